//! Bytes of one envelope in, one [`Event`] out.

use super::event::{Body, Event, Format};
use super::kind::Kind;
use super::limits::Limits;
use super::malformed::{InField, Malformed, quoted};
use super::payload::{self, Fields, rest_of_keys};
use super::reader::{Read, Reader};
use super::text::Text;
use super::{json, msgpack};

/// Read one envelope into *event*, whose content is of no use after an error.
///
/// # Errors
/// [`Malformed`] for anything that is not exactly one well-formed envelope. Its size is the caller's
/// business: see [`crate::frame`].
#[inline]
pub fn decode<'a>(
    body: &'a [u8],
    format: Format,
    limits: &Limits,
    event: &mut Event<'a>,
) -> Result<(), Malformed> {
    match format {
        Format::Json => envelope(&mut json::Scanner::new(body, limits), event),
        Format::Msgpack => envelope(&mut msgpack::Scanner::new(body, limits), event),
    }
}

/// Read exactly one value of any kind, and say whether it is one.
///
/// # Errors
/// [`Malformed`], with the offset in *raw*.
pub fn check(raw: &[u8], format: Format, limits: &Limits) -> Result<(), Malformed> {
    match format {
        Format::Json => json::check(raw, limits),
        Format::Msgpack => msgpack::check(raw, limits),
    }
}

const TYPE: u32 = 1;
const ID: u32 = 2;
const PAYLOAD: u32 = 4;

fn envelope<'a, R: Reader<'a>>(reader: &mut R, event: &mut Event<'a>) -> Read<()> {
    let start = reader.value_offset();
    let mut fields = Fields::new("");
    let mut kind = Kind::Unknown;
    let mut name = Text::EMPTY;
    // Where the payload is, if it came before its type was known.
    let mut deferred = None;
    let mut request_id = None;
    let map = match reader.usual_start() {
        Some((known, map)) => {
            kind = known;
            fields.assume(TYPE | ID);
            event.id = reader.string().in_field("id")?;
            map
        }
        None => reader.enter_map().in_field("envelope")?,
    };
    rest_of_keys(reader, map, "envelope", |reader, field, key| {
        match field {
            b"type" => {
                fields.once(TYPE, reader, "type")?;
                name = reader.string().in_field("type")?;
                kind = match name.plain() {
                    Some(name) => Kind::of(name),
                    None => Kind::of(name.to_str().as_bytes()),
                };
            }
            b"id" => {
                fields.once(ID, reader, "id")?;
                event.id = reader.string().in_field("id")?;
            }
            b"payload" => {
                fields.once(PAYLOAD, reader, "payload")?;
                if fields.has(TYPE) {
                    request_id = payload::read(reader, kind, &mut event.body)?;
                } else {
                    // Validate it now, so that faults come out in the order of the bytes, and read
                    // it again when its type is known.
                    deferred = Some(reader.value_offset());
                    reader.pass_payload().in_field("payload")?;
                }
            }
            _ => fields.skip(reader, key)?,
        }
        Ok(())
    })?;
    reader.finish()?;

    if !fields.has(TYPE) {
        return Err(Malformed::new(start, "type: missing"));
    }
    if !fields.has(ID) {
        return Err(Malformed::new(start, "id: missing"));
    }
    if let Some(offset) = deferred {
        reader.seek(offset);
        request_id = payload::read(reader, kind, &mut event.body)?;
    } else if !fields.has(PAYLOAD) {
        event.body = payload::absent(kind, R::FORMAT, start)?;
    }
    if kind == Kind::Unknown {
        event.body = Body::Unknown { kind: name };
    }
    if let Some((offset, request_id)) = request_id {
        older_id(event, offset, request_id)?;
    }
    Ok(())
}

/// The older dialect repeats the id in the payload, or has it only there.
#[cold]
fn older_id<'a>(event: &mut Event<'a>, offset: usize, request_id: Text<'a>) -> Read<()> {
    if event.id.is_empty() {
        event.id = request_id;
    } else if event.id != request_id {
        let reason = format!(
            "payload.requestId: {} is not the id of the envelope, {}",
            quoted(&request_id.to_str()),
            quoted(&event.id.to_str())
        );
        return Err(Malformed::new(offset, reason));
    }
    Ok(())
}

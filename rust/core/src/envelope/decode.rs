//! Bytes of one envelope in, one [`Event`] out.

use super::event::{Body, Event, Format, Text};
use super::limits::Limits;
use super::malformed::{InField, Malformed, quoted};
use super::payload::{self, Fields};
use super::reader::{Read, Reader};
use super::{json, msgpack};

/// Read one envelope.
///
/// # Errors
/// [`Malformed`] for anything that is not exactly one well-formed envelope. Its size is the caller's
/// business: see [`crate::frame`].
pub fn decode<'a>(body: &'a [u8], format: Format, limits: &Limits) -> Result<Event<'a>, Malformed> {
    match format {
        Format::Json => envelope(json::Scanner::new(body, limits)?),
        Format::Msgpack => envelope(msgpack::Scanner::new(body, limits)),
    }
}

/// Read exactly one value of any kind, and say whether it is one.
///
/// # Errors
/// [`Malformed`], with the offset in *raw*.
pub fn check(raw: &[u8], format: Format, limits: &Limits) -> Result<(), Malformed> {
    match format {
        Format::Json => {
            let mut scanner = json::Scanner::new(raw, limits)?;
            scanner.raw()?;
            scanner.finish()
        }
        Format::Msgpack => {
            let mut scanner = msgpack::Scanner::new(raw, limits);
            scanner.raw()?;
            scanner.finish()
        }
    }
}

const TYPE: u32 = 1;
const ID: u32 = 2;
const PAYLOAD: u32 = 4;

fn envelope<'a, R: Reader<'a>>(mut reader: R) -> Read<Event<'a>> {
    let start = reader.value_offset();
    let mut map = reader.enter_map().in_field("envelope")?;
    let mut fields = Fields::new("");
    let mut kind: Option<Text<'a>> = None;
    let mut id: Option<Text<'a>> = None;
    let mut payload = Payload::Missing;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("envelope")? {
        match &*key {
            "type" => {
                fields.once(TYPE, at, "type")?;
                kind = Some(reader.string().in_field("type")?);
            }
            "id" => {
                fields.once(ID, at, "id")?;
                id = Some(reader.string().in_field("id")?);
            }
            "payload" => {
                fields.once(PAYLOAD, at, "payload")?;
                payload = match &kind {
                    Some(kind) => Payload::Read(payload::read(&mut reader, kind)?),
                    None => {
                        // The peer wrote the payload first. Validate it now, so that faults come out
                        // in the order of the bytes, and read it again when its type is known.
                        let offset = reader.value_offset();
                        reader.pass_payload().in_field("payload")?;
                        Payload::Deferred(offset)
                    }
                };
            }
            _ => fields.skip(&mut reader, at, key)?,
        }
    }
    reader.finish()?;

    let Some(kind) = kind else {
        return Err(Malformed::new(start, "type: missing"));
    };
    let Some(id) = id else {
        return Err(Malformed::new(start, "id: missing"));
    };
    let (body, request_id) = match payload {
        Payload::Read(read) => read,
        Payload::Missing => (payload::absent::<R>(&kind, start)?, None),
        Payload::Deferred(offset) => {
            reader.seek(offset);
            payload::read(&mut reader, &kind)?
        }
    };
    let body = match body {
        Body::Unknown { .. } => Body::Unknown { kind },
        known => known,
    };
    Ok(Event {
        id: one_id(id, request_id)?,
        body,
    })
}

enum Payload<'a> {
    Missing,
    Deferred(usize),
    Read(payload::Read<'a>),
}

/// The older dialect repeats the id in the payload, or has it only there.
fn one_id<'a>(id: Text<'a>, request_id: Option<(usize, Text<'a>)>) -> Read<Text<'a>> {
    match request_id {
        None => Ok(id),
        Some((_, request_id)) if id.is_empty() || id == request_id => Ok(request_id),
        Some((at, request_id)) => Err(Malformed::new(
            at,
            format!(
                "payload.requestId: {} is not the id of the envelope, {}",
                quoted(&request_id),
                quoted(&id)
            ),
        )),
    }
}

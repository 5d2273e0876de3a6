//! The payload of each type: which fields it has, and what each must be.

mod failed;
mod fields;
mod requested;

use super::event::{Body, Format, Raw};
use super::kind::Kind;
use super::malformed::{InField, Malformed};
use super::reader::{Read, Reader};
use super::text::Text;

use fields::each_key;
pub(crate) use fields::{Fields, rest_of_keys};
use fields::{OlderId, REQUEST_ID};

/// Read the payload of a *kind* at the reader's position into *body*; null stands for an empty map.
///
/// Returns the older dialect's `requestId` and its offset, if it is there.
#[inline]
pub(crate) fn read<'a, R: Reader<'a>>(
    reader: &mut R,
    kind: Kind,
    body: &mut Body<'a>,
) -> Read<Option<OlderId<'a>>> {
    let start = reader.value_offset();
    if reader.take_null().in_field("payload")? {
        *body = absent(kind, R::FORMAT, start)?;
        return Ok(None);
    }
    match kind {
        Kind::Requested => requested::read(reader, start, body),
        Kind::Responded => {
            let (output, older) = one_raw(reader, b"output", "payload.output")?;
            *body = Body::Responded { output };
            Ok(older)
        }
        Kind::Item => {
            let (item, older) = one_raw(reader, b"item", "payload.item")?;
            *body = Body::Item { item };
            Ok(older)
        }
        Kind::Failed => failed::read(reader, start, body),
        Kind::Credit => credit(reader, start, body),
        Kind::Unknown => drop_all(reader),
        Kind::Completed | Kind::Aborted | Kind::Finished | Kind::Ping | Kind::Pong => {
            *body = absent(kind, R::FORMAT, start)?;
            nothing(reader)
        }
    }
}

/// What an envelope of a *kind* says that has no payload.
pub(crate) fn absent(kind: Kind, format: Format, start: usize) -> Read<Body<'static>> {
    Ok(match kind {
        Kind::Requested => return Err(missing(start, "payload.operationId")),
        Kind::Failed => return Err(missing(start, "payload.code")),
        Kind::Credit => return Err(missing(start, "payload.items")),
        Kind::Responded => Body::Responded {
            output: format.null(),
        },
        Kind::Item => Body::Item {
            item: format.null(),
        },
        Kind::Completed => Body::Completed,
        Kind::Aborted => Body::Aborted,
        Kind::Finished => Body::Finished,
        Kind::Ping => Body::Ping,
        Kind::Pong => Body::Pong,
        Kind::Unknown => Body::Unknown { kind: Text::EMPTY },
    })
}

#[cold]
fn missing(start: usize, field: &str) -> Malformed {
    Malformed::new(start, format!("{field}: missing"))
}

/// A payload whose only field is raw. It may be left out: JavaScript cannot say `undefined`.
#[inline]
fn one_raw<'a, R: Reader<'a>>(
    reader: &mut R,
    wanted: &[u8],
    path: &'static str,
) -> Read<(Raw<'a>, Option<OlderId<'a>>)> {
    const WANTED: u32 = REQUEST_ID << 1;
    let mut fields = Fields::new("payload.");
    let mut older = None;
    let mut raw = R::FORMAT.null();
    each_key(reader, "payload", |reader, name, key| {
        if name == wanted {
            fields.once(WANTED, reader, path)?;
            raw = reader.raw().in_field(path)?;
        } else {
            fields.other(reader, name, key, &mut older)?;
        }
        Ok(())
    })?;
    Ok((raw, older))
}

fn credit<'a, R: Reader<'a>>(
    reader: &mut R,
    start: usize,
    body: &mut Body<'a>,
) -> Read<Option<OlderId<'a>>> {
    const ITEMS: u32 = REQUEST_ID << 1;
    let mut fields = Fields::new("payload.");
    let mut older = None;
    let mut items = None;
    each_key(reader, "payload", |reader, name, key| {
        if name == b"items" {
            fields.once(ITEMS, reader, "payload.items")?;
            items = Some(reader.unsigned().in_field("payload.items")?);
        } else {
            fields.other(reader, name, key, &mut older)?;
        }
        Ok(())
    })?;
    let items = items.ok_or_else(|| missing(start, "payload.items"))?;
    *body = Body::Credit { items };
    Ok(older)
}

/// A payload with no fields of its own.
fn nothing<'a, R: Reader<'a>>(reader: &mut R) -> Read<Option<OlderId<'a>>> {
    let mut fields = Fields::new("payload.");
    let mut older = None;
    each_key(reader, "payload", |reader, name, key| {
        fields.other(reader, name, key, &mut older)
    })?;
    Ok(older)
}

/// The payload of a type that nobody knows: a map, whatever is in it.
#[cold]
fn drop_all<'a, R: Reader<'a>>(reader: &mut R) -> Read<Option<OlderId<'a>>> {
    let mut fields = Fields::new("payload.");
    each_key(reader, "payload", |reader, _, key| fields.skip(reader, key))?;
    Ok(None)
}

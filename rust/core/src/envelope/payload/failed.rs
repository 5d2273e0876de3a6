//! The payload of `call.error`.

use super::super::event::{Body, Failed};
use super::super::malformed::InField;
use super::super::reader::{Read, Reader};
use super::fields::{Fields, OlderId, REQUEST_ID, each_key, optional};
use super::missing;

const CODE: u32 = REQUEST_ID << 1;
const MESSAGE: u32 = REQUEST_ID << 2;
const RETRYABLE: u32 = REQUEST_ID << 3;
const DETAILS: u32 = REQUEST_ID << 4;

pub(super) fn read<'a, R: Reader<'a>>(
    reader: &mut R,
    start: usize,
    body: &mut Body<'a>,
) -> Read<Option<OlderId<'a>>> {
    let mut fields = Fields::new("payload.");
    let mut older = None;
    let mut code = None;
    let mut message = None;
    let mut retryable = None;
    let mut details = None;
    each_key(reader, "payload", |reader, name, key| {
        match name {
            b"code" => {
                fields.once(CODE, reader, "payload.code")?;
                code = Some(reader.string().in_field("payload.code")?);
            }
            b"message" => {
                fields.once(MESSAGE, reader, "payload.message")?;
                message = Some(reader.string().in_field("payload.message")?);
            }
            b"retryable" => {
                fields.once(RETRYABLE, reader, "payload.retryable")?;
                retryable = optional(reader, "payload.retryable", R::boolean)?;
            }
            b"details" => {
                fields.once(DETAILS, reader, "payload.details")?;
                details = optional(reader, "payload.details", R::raw)?;
            }
            _ => fields.other(reader, name, key, &mut older)?,
        }
        Ok(())
    })?;
    *body = Body::Failed(Failed {
        code: code.ok_or_else(|| missing(start, "payload.code"))?,
        message: message.ok_or_else(|| missing(start, "payload.message"))?,
        retryable: retryable.unwrap_or(false),
        details,
    });
    Ok(older)
}

//! The payload of `call.requested`.

use super::super::event::{Body, Raw, Requested};
use super::super::malformed::{InField, Malformed};
use super::super::reader::{Read, Reader};
use super::super::text::Text;
use super::fields::{Fields, OlderId, REQUEST_ID, each_key, optional};
use super::missing;

/// The name in messages and the bit of each field.
macro_rules! field {
    ($($constant:ident = $bit:literal, $name:literal;)*) => {
        $(const $constant: (&str, u32) = (concat!("payload.", $name), REQUEST_ID << $bit);)*
    };
}

field! {
    OPERATION = 1, "operationId";
    INPUT = 2, "input";
    DEADLINE = 3, "deadline";
    PARENT = 4, "parentRequestId";
    TOKEN = 5, "auth_token";
    FORWARDED = 6, "forwarded_for";
    METADATA = 7, "metadata";
    WINDOW = 8, "window";
    IDLE = 9, "idleTimeout";
    TRACE = 10, "traceparent";
    HOPS = 11, "hops";
}

pub(super) fn read<'a, R: Reader<'a>>(
    reader: &mut R,
    start: usize,
    body: &mut Body<'a>,
) -> Read<Option<OlderId<'a>>> {
    *body = Body::Requested(Requested::new(Text::EMPTY, R::FORMAT.empty_map()));
    let Body::Requested(request) = body else {
        return Ok(None);
    };
    let mut fields = Fields::new("payload.");
    let mut older = None;
    each_key(reader, "payload", |reader, name, key| {
        match name {
            b"operationId" => {
                fields.once(OPERATION.1, reader, OPERATION.0)?;
                request.operation = reader.string().in_field(OPERATION.0)?;
            }
            b"input" => {
                fields.once(INPUT.1, reader, INPUT.0)?;
                request.input = reader.raw().in_field(INPUT.0)?;
            }
            b"deadline" => {
                fields.once(DEADLINE.1, reader, DEADLINE.0)?;
                let deadline = optional(reader, DEADLINE.0, R::unsigned)?;
                // The older dialect writes 0 where it means that there is none.
                request.deadline_ms = deadline.filter(|&ms| ms != 0);
            }
            b"parentRequestId" => {
                fields.once(PARENT.1, reader, PARENT.0)?;
                request.parent_id = optional(reader, PARENT.0, R::string)?;
            }
            b"auth_token" => {
                fields.once(TOKEN.1, reader, TOKEN.0)?;
                request.auth_token = optional(reader, TOKEN.0, R::string)?;
            }
            b"forwarded_for" => {
                fields.once(FORWARDED.1, reader, FORWARDED.0)?;
                request.forwarded_for = optional(reader, FORWARDED.0, R::raw)?;
            }
            b"metadata" => {
                fields.once(METADATA.1, reader, METADATA.0)?;
                request.metadata = optional(reader, METADATA.0, R::raw)?;
            }
            b"window" => {
                fields.once(WINDOW.1, reader, WINDOW.0)?;
                request.window = optional(reader, WINDOW.0, R::unsigned)?;
            }
            b"idleTimeout" => {
                fields.once(IDLE.1, reader, IDLE.0)?;
                request.idle_timeout_ms = optional(reader, IDLE.0, R::unsigned)?;
            }
            b"traceparent" => {
                fields.once(TRACE.1, reader, TRACE.0)?;
                request.traceparent = optional(reader, TRACE.0, R::string)?;
            }
            b"hops" => {
                fields.once(HOPS.1, reader, HOPS.0)?;
                request.hops = optional(reader, HOPS.0, R::unsigned)?;
            }
            _ => fields.other(reader, name, key, &mut older)?,
        }
        Ok(())
    })?;
    if !fields.has(OPERATION.1) {
        return Err(missing(start, OPERATION.0));
    }
    one_format(request, fields.has(INPUT.1), start)?;
    Ok(older)
}

/// All raw fields of one request are in one format, so that an event needs to name it once.
#[inline]
fn one_format(request: &mut Requested<'_>, has_input: bool, start: usize) -> Read<()> {
    let others: [(&str, Option<Raw<'_>>); 2] = [
        (FORWARDED.0, request.forwarded_for),
        (METADATA.0, request.metadata),
    ];
    for (field, raw) in others {
        let Some(raw) = raw else { continue };
        if raw.format != request.input.format {
            if has_input {
                let reason = format!("{field}: must be encoded as payload.input is");
                return Err(Malformed::new(start, reason));
            }
            request.input = raw.format.empty_map();
        }
    }
    Ok(())
}

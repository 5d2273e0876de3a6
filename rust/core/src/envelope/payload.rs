//! The payload of each type: which fields it has, and what each must be.

use std::collections::HashSet;

use super::event::{Body, Failed, Raw, Requested, Text};
use super::malformed::{InField, Malformed, quoted};
use super::reader::{self, Reader};

/// A payload, and the older dialect's `requestId` with its offset.
pub(crate) type Read<'a> = (Body<'a>, Option<(usize, Text<'a>)>);

/// Which fields of one map have been seen, so that none comes twice.
pub(crate) struct Fields<'a> {
    parent: &'static str,
    seen: u32,
    unknown: Option<HashSet<Text<'a>>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(parent: &'static str) -> Self {
        Self {
            parent,
            seen: 0,
            unknown: None,
        }
    }

    /// Note a known field; refuse it the second time.
    #[inline]
    pub(crate) fn once(&mut self, bit: u32, at: usize, name: &'static str) -> reader::Read<()> {
        if self.seen & bit != 0 {
            return Err(Malformed::new(at, format!("{name}: comes twice")));
        }
        self.seen |= bit;
        Ok(())
    }

    /// Check and drop the value of a field that nobody knows; refuse it the second time.
    #[cold]
    pub(crate) fn skip<R: Reader<'a>>(
        &mut self,
        reader: &mut R,
        at: usize,
        key: Text<'a>,
    ) -> reader::Read<()> {
        reader.raw().in_unknown_field(self.parent, &key)?;
        let known = self.unknown.get_or_insert_default();
        if known.contains(&key) {
            let reason = format!("{}{}: comes twice", self.parent, quoted(&key));
            return Err(Malformed::new(at, reason));
        }
        known.insert(key);
        Ok(())
    }
}

/// Read the payload of a *kind* at the reader's position; null stands for an empty map.
#[inline]
pub(crate) fn read<'a, R: Reader<'a>>(reader: &mut R, kind: &str) -> reader::Read<Read<'a>> {
    let start = reader.value_offset();
    if reader.take_null().in_field("payload")? {
        return Ok((absent::<R>(kind, start)?, None));
    }
    match kind {
        "call.requested" => requested(reader, start),
        "call.responded" => one_raw(reader, "output", "payload.output").map(|(output, id)| {
            let output = output.unwrap_or(null::<R>());
            (Body::Responded { output }, id)
        }),
        "call.item" => one_raw(reader, "item", "payload.item").map(|(item, id)| {
            let item = item.unwrap_or(null::<R>());
            (Body::Item { item }, id)
        }),
        "call.error" => failed(reader, start),
        "call.credit" => credit(reader, start),
        _ => nothing(reader).map(|id| (empty_body(kind), id)),
    }
}

/// What an envelope without a payload says.
pub(crate) fn absent<'a, R: Reader<'a>>(kind: &str, start: usize) -> reader::Read<Body<'a>> {
    match kind {
        "call.requested" => Err(missing(start, "payload.operationId")),
        "call.error" => Err(missing(start, "payload.code")),
        "call.credit" => Err(missing(start, "payload.items")),
        "call.responded" => Ok(Body::Responded {
            output: null::<R>(),
        }),
        "call.item" => Ok(Body::Item { item: null::<R>() }),
        _ => Ok(empty_body(kind)),
    }
}

fn empty_body(kind: &str) -> Body<'static> {
    match kind {
        "call.completed" => Body::Completed,
        "call.aborted" => Body::Aborted,
        "call.finished" => Body::Finished,
        "link.ping" => Body::Ping,
        "link.pong" => Body::Pong,
        // The caller puts the name in: here it is only borrowed for a moment.
        _ => Body::Unknown {
            kind: Text::Borrowed(""),
        },
    }
}

fn null<'a, R: Reader<'a>>() -> Raw<'a> {
    Raw {
        bytes: R::FORMAT.null(),
        format: R::FORMAT,
    }
}

#[cold]
fn missing(start: usize, field: &str) -> Malformed {
    Malformed::new(start, format!("{field}: missing"))
}

const REQUEST_ID: u32 = 1;
const OPERATION: u32 = 1 << 1;
const INPUT: u32 = 1 << 2;
const DEADLINE: u32 = 1 << 3;
const PARENT: u32 = 1 << 4;
const TOKEN: u32 = 1 << 5;
const FORWARDED: u32 = 1 << 6;
const METADATA: u32 = 1 << 7;
const WINDOW: u32 = 1 << 8;
const IDLE: u32 = 1 << 9;
const TRACE: u32 = 1 << 10;
const HOPS: u32 = 1 << 11;

fn requested<'a, R: Reader<'a>>(reader: &mut R, start: usize) -> reader::Read<Read<'a>> {
    let mut fields = Fields::new("payload.");
    let mut request_id = None;
    let mut operation = None;
    let mut input = None;
    let mut deadline_ms = None;
    let mut parent_id = None;
    let mut auth_token = None;
    let mut forwarded_for = None;
    let mut metadata = None;
    let mut window = None;
    let mut idle_timeout_ms = None;
    let mut traceparent = None;
    let mut hops = None;
    let mut map = reader.enter_map().in_field("payload")?;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("payload")? {
        match &*key {
            "operationId" => {
                const NAME: &str = "payload.operationId";
                fields.once(OPERATION, at, NAME)?;
                operation = Some(reader.string().in_field(NAME)?);
            }
            "input" => {
                const NAME: &str = "payload.input";
                fields.once(INPUT, at, NAME)?;
                input = Some(reader.raw().in_field(NAME)?);
            }
            "deadline" => {
                const NAME: &str = "payload.deadline";
                fields.once(DEADLINE, at, NAME)?;
                // The older dialect writes 0 where it means that there is none.
                deadline_ms = optional(reader, NAME, R::unsigned)?.filter(|&ms| ms != 0);
            }
            "parentRequestId" => {
                const NAME: &str = "payload.parentRequestId";
                fields.once(PARENT, at, NAME)?;
                parent_id = optional(reader, NAME, R::string)?;
            }
            "auth_token" => {
                const NAME: &str = "payload.auth_token";
                fields.once(TOKEN, at, NAME)?;
                auth_token = optional(reader, NAME, R::string)?;
            }
            "forwarded_for" => {
                const NAME: &str = "payload.forwarded_for";
                fields.once(FORWARDED, at, NAME)?;
                forwarded_for = optional(reader, NAME, R::raw)?;
            }
            "metadata" => {
                const NAME: &str = "payload.metadata";
                fields.once(METADATA, at, NAME)?;
                metadata = optional(reader, NAME, R::raw)?;
            }
            "window" => {
                const NAME: &str = "payload.window";
                fields.once(WINDOW, at, NAME)?;
                window = optional(reader, NAME, R::unsigned)?;
            }
            "idleTimeout" => {
                const NAME: &str = "payload.idleTimeout";
                fields.once(IDLE, at, NAME)?;
                idle_timeout_ms = optional(reader, NAME, R::unsigned)?;
            }
            "traceparent" => {
                const NAME: &str = "payload.traceparent";
                fields.once(TRACE, at, NAME)?;
                traceparent = optional(reader, NAME, R::string)?;
            }
            "hops" => {
                const NAME: &str = "payload.hops";
                fields.once(HOPS, at, NAME)?;
                hops = optional(reader, NAME, R::unsigned)?;
            }
            "requestId" => request_id = Some(older_id(reader, &mut fields, at)?),
            _ => fields.skip(reader, at, key)?,
        }
    }
    let Some(operation) = operation else {
        return Err(missing(start, "payload.operationId"));
    };
    let input = input.unwrap_or_else(|| {
        let format = forwarded_for
            .or(metadata)
            .map_or(R::FORMAT, |raw: Raw<'a>| raw.format);
        Raw {
            bytes: format.empty_map(),
            format,
        }
    });
    for (raw, field) in [
        (forwarded_for, "payload.forwarded_for"),
        (metadata, "payload.metadata"),
    ] {
        if raw.is_some_and(|raw: Raw<'a>| raw.format != input.format) {
            let reason = format!("{field}: must be encoded as payload.input is");
            return Err(Malformed::new(start, reason));
        }
    }
    let body = Body::Requested(Requested {
        operation,
        input,
        deadline_ms,
        parent_id,
        auth_token,
        forwarded_for,
        metadata,
        window,
        idle_timeout_ms,
        traceparent,
        hops,
    });
    Ok((body, request_id))
}

fn failed<'a, R: Reader<'a>>(reader: &mut R, start: usize) -> reader::Read<Read<'a>> {
    const CODE: u32 = 1 << 1;
    const MESSAGE: u32 = 1 << 2;
    const RETRYABLE: u32 = 1 << 3;
    const DETAILS: u32 = 1 << 4;
    let mut fields = Fields::new("payload.");
    let mut request_id = None;
    let mut code = None;
    let mut message = None;
    let mut retryable = None;
    let mut details = None;
    let mut map = reader.enter_map().in_field("payload")?;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("payload")? {
        match &*key {
            "code" => {
                fields.once(CODE, at, "payload.code")?;
                code = Some(reader.string().in_field("payload.code")?);
            }
            "message" => {
                fields.once(MESSAGE, at, "payload.message")?;
                message = Some(reader.string().in_field("payload.message")?);
            }
            "retryable" => {
                fields.once(RETRYABLE, at, "payload.retryable")?;
                retryable = optional(reader, "payload.retryable", R::boolean)?;
            }
            "details" => {
                fields.once(DETAILS, at, "payload.details")?;
                details = optional(reader, "payload.details", R::raw)?;
            }
            "requestId" => request_id = Some(older_id(reader, &mut fields, at)?),
            _ => fields.skip(reader, at, key)?,
        }
    }
    let body = Body::Failed(Failed {
        code: code.ok_or_else(|| missing(start, "payload.code"))?,
        message: message.ok_or_else(|| missing(start, "payload.message"))?,
        retryable: retryable.unwrap_or(false),
        details,
    });
    Ok((body, request_id))
}

fn credit<'a, R: Reader<'a>>(reader: &mut R, start: usize) -> reader::Read<Read<'a>> {
    const ITEMS: u32 = 1 << 1;
    let mut fields = Fields::new("payload.");
    let mut request_id = None;
    let mut items = None;
    let mut map = reader.enter_map().in_field("payload")?;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("payload")? {
        match &*key {
            "items" => {
                fields.once(ITEMS, at, "payload.items")?;
                items = Some(reader.unsigned().in_field("payload.items")?);
            }
            "requestId" => request_id = Some(older_id(reader, &mut fields, at)?),
            _ => fields.skip(reader, at, key)?,
        }
    }
    let items = items.ok_or_else(|| missing(start, "payload.items"))?;
    Ok((Body::Credit { items }, request_id))
}

/// A payload whose only field is raw; what the field was, if it came.
#[allow(clippy::type_complexity)] // a value and where it came from, used twice, here
fn one_raw<'a, R: Reader<'a>>(
    reader: &mut R,
    wanted: &'static str,
    name: &'static str,
) -> reader::Read<(Option<Raw<'a>>, Option<(usize, Text<'a>)>)> {
    const WANTED: u32 = 1 << 1;
    let mut fields = Fields::new("payload.");
    let mut request_id = None;
    let mut raw = None;
    let mut map = reader.enter_map().in_field("payload")?;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("payload")? {
        if key == wanted {
            fields.once(WANTED, at, name)?;
            raw = Some(reader.raw().in_field(name)?);
        } else if key == "requestId" {
            request_id = Some(older_id(reader, &mut fields, at)?);
        } else {
            fields.skip(reader, at, key)?;
        }
    }
    Ok((raw, request_id))
}

fn nothing<'a, R: Reader<'a>>(reader: &mut R) -> reader::Read<Option<(usize, Text<'a>)>> {
    let mut fields = Fields::new("payload.");
    let mut request_id = None;
    let mut map = reader.enter_map().in_field("payload")?;
    while let Some((at, key)) = reader.next_key(&mut map).in_field("payload")? {
        if key == "requestId" {
            request_id = Some(older_id(reader, &mut fields, at)?);
        } else {
            fields.skip(reader, at, key)?;
        }
    }
    Ok(request_id)
}

#[cold]
fn older_id<'a, R: Reader<'a>>(
    reader: &mut R,
    fields: &mut Fields<'a>,
    at: usize,
) -> reader::Read<(usize, Text<'a>)> {
    fields.once(REQUEST_ID, at, "payload.requestId")?;
    let offset = reader.value_offset();
    Ok((offset, reader.string().in_field("payload.requestId")?))
}

/// A field that may be null instead of being left out.
#[inline]
fn optional<'a, R: Reader<'a>, T>(
    reader: &mut R,
    name: &'static str,
    read: impl FnOnce(&mut R) -> reader::Read<T>,
) -> reader::Read<Option<T>> {
    if reader.take_null().in_field(name)? {
        return Ok(None);
    }
    read(reader).map(Some).in_field(name)
}

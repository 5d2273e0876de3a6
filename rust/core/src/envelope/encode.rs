//! Events in, bytes of envelopes out, many to a buffer.

use std::fmt;

use super::decode::check;
use super::event::{Body, Event, Failed, Format, Raw, Requested};
use super::limits::Limits;
use super::malformed::{InField, Malformed};
use super::writer::{Json, Msgpack, Writer};
use crate::frame::PREFIX_BYTES;

/// Why an event was not encoded; the buffer is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The envelope would be *size* bytes and the limit is *limit*.
    TooLarge {
        /// Bytes of the envelope, its length prefix not counted.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A raw value is empty, is not well formed, or cannot be said in the other format.
    BadRaw(Malformed),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => write!(
                out,
                "an envelope of {size} bytes cannot be sent: the limit is {limit} \
                 (send less at once, or raise `frame_bytes` under [limits] in stack.toml on both sides)"
            ),
            Self::BadRaw(fault) => write!(
                out,
                "{} (at byte {} of the value)",
                fault.reason(),
                fault.offset()
            ),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Malformed> for Refused {
    fn from(fault: Malformed) -> Self {
        Self::BadRaw(fault)
    }
}

/// Collects envelopes until somebody takes them.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    framed: bool,
    frame_bytes: usize,
    checked: bool,
    buffer: Vec<u8>,
    /// Where each envelope ends; kept only where they must be told apart again.
    ends: Vec<usize>,
}

impl Encoder {
    /// An empty encoder.
    ///
    /// *framed* puts a length before each envelope. *checked* validates every raw value, which a
    /// program that has just encoded or decoded them need not pay for.
    #[must_use]
    pub fn new(format: Format, framed: bool, frame_bytes: usize, checked: bool) -> Self {
        Self {
            format,
            framed,
            frame_bytes: frame_bytes.min(u32::MAX as usize),
            checked,
            buffer: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// How envelopes are encoded.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes waiting to be taken, length prefixes included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Append one envelope and return its size, its length prefix included.
    ///
    /// # Errors
    /// [`Refused`]; nothing was appended.
    pub fn append(&mut self, event: &Event<'_>) -> Result<usize, Refused> {
        let start = self.buffer.len();
        match self.try_append(event) {
            Ok(size) => Ok(size),
            Err(refused) => {
                self.buffer.truncate(start);
                Err(refused)
            }
        }
    }

    fn try_append(&mut self, event: &Event<'_>) -> Result<usize, Refused> {
        let start = self.buffer.len();
        self.accept(event)?;
        if self.framed {
            self.buffer.extend_from_slice(&[0; PREFIX_BYTES]);
        }
        let body = self.buffer.len();
        match self.format {
            Format::Json => write(&mut Json(&mut self.buffer), event),
            Format::Msgpack => write(&mut Msgpack(&mut self.buffer), event),
        }?;
        let size = self.buffer.len() - body;
        let limit = self.frame_bytes;
        let too_large = Refused::TooLarge { size, limit };
        if size > limit {
            return Err(too_large);
        }
        if self.framed {
            let length = u32::try_from(size).map_err(|_| too_large)?;
            self.buffer[start..body].copy_from_slice(&length.to_be_bytes());
        } else {
            self.ends.push(self.buffer.len());
        }
        Ok(self.buffer.len() - start)
    }

    /// Refuse what cannot be a value, and what is plainly too large before it is copied.
    fn accept(&self, event: &Event<'_>) -> Result<(), Refused> {
        let limits = Limits {
            frame_bytes: self.frame_bytes,
            string_bytes: self.frame_bytes,
            ..Limits::default()
        };
        for (field, raw) in raws(&event.body) {
            let Some(raw) = raw else { continue };
            if raw.bytes.is_empty() {
                let reason = "empty: a raw value is the bytes of exactly one value";
                Err(Malformed::new(0, reason)).in_field(field)?;
            }
            if raw.bytes.len() > self.frame_bytes && raw.format == self.format {
                return Err(Refused::TooLarge {
                    size: raw.bytes.len(),
                    limit: self.frame_bytes,
                });
            }
            if self.checked {
                check(raw.bytes, raw.format, &limits).in_field(field)?;
            }
        }
        Ok(())
    }

    /// The bytes that wait; call [`Encoder::clear`] when they are copied.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The envelopes that wait, one by one; of a framed encoder, all of them as one run.
    #[must_use]
    pub fn runs(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let whole = [self.buffer.len()];
        let count = if self.framed {
            usize::from(!self.buffer.is_empty())
        } else {
            self.ends.len()
        };
        (0..count).map(move |index| {
            let ends: &[usize] = if self.framed { &whole } else { &self.ends };
            let start = index.checked_sub(1).map_or(0, |before| ends[before]);
            &self.buffer[start..ends[index]]
        })
    }

    /// Forget what waits. Keeps a moderate buffer for the next round; gives a large one back.
    pub fn clear(&mut self) {
        const KEPT_BYTES: usize = 256 << 10;
        self.buffer.clear();
        self.ends.clear();
        self.buffer.shrink_to(KEPT_BYTES);
    }
}

fn raws<'a>(body: &Body<'a>) -> [(&'static str, Option<Raw<'a>>); 3] {
    let none = ("", None);
    match body {
        Body::Requested(requested) => [
            ("input", Some(requested.input)),
            ("forwarded_for", requested.forwarded_for),
            ("metadata", requested.metadata),
        ],
        Body::Responded { output } => [("output", Some(*output)), none, none],
        Body::Item { item } => [("item", Some(*item)), none, none],
        Body::Failed(failed) => [("details", failed.details), none, none],
        _ => [none; 3],
    }
}

fn write<W: Writer>(out: &mut W, event: &Event<'_>) -> Result<(), Malformed> {
    let kind = match &event.body {
        Body::Requested(_) => "call.requested",
        Body::Responded { .. } => "call.responded",
        Body::Completed => "call.completed",
        Body::Aborted => "call.aborted",
        Body::Failed(_) => "call.error",
        Body::Credit { .. } => "call.credit",
        Body::Item { .. } => "call.item",
        Body::Finished => "call.finished",
        Body::Ping => "link.ping",
        Body::Pong => "link.pong",
        Body::Unknown { kind } => &kind.to_str(),
    };
    out.open_map(3);
    out.key("type");
    out.string(kind.as_bytes());
    out.key("id");
    out.string(&event.id.bytes());
    out.key("payload");
    match &event.body {
        Body::Requested(requested) => write_requested(out, requested)?,
        Body::Responded { output } => one_raw(out, "output", *output)?,
        Body::Item { item } => one_raw(out, "item", *item)?,
        Body::Failed(failed) => write_failed(out, failed)?,
        Body::Credit { items } => {
            out.open_map(1);
            out.key("items");
            out.unsigned(*items);
            out.close_map();
        }
        _ => {
            out.open_map(0);
            out.close_map();
        }
    }
    out.close_map();
    Ok(())
}

fn one_raw<W: Writer>(out: &mut W, name: &'static str, raw: Raw<'_>) -> Result<(), Malformed> {
    out.open_map(1);
    out.key(name);
    out.raw(raw).in_field(name)?;
    out.close_map();
    Ok(())
}

fn write_requested<W: Writer>(out: &mut W, requested: &Requested<'_>) -> Result<(), Malformed> {
    let numbers = [
        ("deadline", requested.deadline_ms),
        ("window", requested.window),
        ("idleTimeout", requested.idle_timeout_ms),
        ("hops", requested.hops),
    ];
    let texts = [
        ("parentRequestId", requested.parent_id),
        ("auth_token", requested.auth_token),
        ("traceparent", requested.traceparent),
    ];
    let raws = [
        ("forwarded_for", requested.forwarded_for),
        ("metadata", requested.metadata),
    ];
    out.open_map(
        2 + numbers.iter().filter(|(_, value)| value.is_some()).count()
            + texts.iter().filter(|(_, text)| text.is_some()).count()
            + raws.iter().filter(|(_, raw)| raw.is_some()).count(),
    );
    out.key("operationId");
    out.string(&requested.operation.bytes());
    for (name, value) in numbers {
        if let Some(value) = value {
            out.key(name);
            out.unsigned(value);
        }
    }
    for (name, text) in texts {
        if let Some(text) = text {
            out.key(name);
            out.string(&text.bytes());
        }
    }
    for (name, raw) in raws {
        if let Some(raw) = raw {
            out.key(name);
            out.raw(raw).in_field(name)?;
        }
    }
    out.key("input");
    out.raw(requested.input).in_field("input")?;
    out.close_map();
    Ok(())
}

fn write_failed<W: Writer>(out: &mut W, failed: &Failed<'_>) -> Result<(), Malformed> {
    out.open_map(3 + usize::from(failed.details.is_some()));
    out.key("code");
    out.string(&failed.code.bytes());
    out.key("message");
    out.string(&failed.message.bytes());
    out.key("retryable");
    out.boolean(failed.retryable);
    if let Some(details) = failed.details {
        out.key("details");
        out.raw(details).in_field("details")?;
    }
    out.close_map();
    Ok(())
}

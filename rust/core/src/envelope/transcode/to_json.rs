//! A msgpack value in JSON.

use base64_turbo::STANDARD;

use super::super::json;
use super::super::limits::Limits;
use super::super::malformed::Malformed;
use super::super::msgpack::{self, Item, JSON_EXTENSION};
use super::super::reader::{Read, Reader};
use super::super::timestamp;

/// Append the msgpack value *raw* to *out* as JSON.
pub(in super::super) fn append(out: &mut Vec<u8>, raw: &[u8], limits: &Limits) -> Read<()> {
    let mut scanner = msgpack::Scanner::new(raw, limits);
    scanner.say_as_json(out, limits, limits.depth)?;
    scanner.finish()
}

impl msgpack::Scanner<'_> {
    fn say_as_json(&mut self, out: &mut Vec<u8>, limits: &Limits, levels: usize) -> Read<()> {
        let start = self.offset();
        match self.item()? {
            Item::Nil => out.extend_from_slice(b"null"),
            Item::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Item::Unsigned(value) => say_integer(out, value),
            Item::Negative(value) => say_integer(out, value),
            Item::Float(value) if value.is_finite() => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
            }
            Item::Float(value) => {
                let reason = format!("{value} has no form in JSON");
                return Err(Malformed::new(start, reason));
            }
            Item::String(length) => json::write_string(out, self.text(length)?),
            Item::Binary(length) => {
                out.push(b'"');
                base64(out, self.content(length)?);
                out.push(b'"');
            }
            Item::Array(count) => {
                let levels = self.deeper(levels, start)?;
                out.push(b'[');
                for index in 0..count {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.say_as_json(out, limits, levels)?;
                }
                out.push(b']');
            }
            Item::Map(count) => {
                let levels = self.deeper(levels, start)?;
                out.push(b'{');
                for index in 0..count {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.say_key_as_json(out)?;
                    out.push(b':');
                    self.say_as_json(out, limits, levels)?;
                }
                out.push(b'}');
            }
            Item::Extension(JSON_EXTENSION, length) => {
                let inside = self.offset();
                let text = self.content(length)?;
                // What is already this deep may not go deeper by way of an extension.
                let limits = Limits {
                    depth: levels,
                    ..*limits
                };
                json::check(text, &limits).map_err(|fault| fault.shifted(inside))?;
                out.extend_from_slice(text);
            }
            Item::Extension(timestamp::EXTENSION, length) => {
                let content = self.content(length)?;
                let text = timestamp::rfc3339(content)
                    .ok_or_else(|| Malformed::new(start, "not a msgpack timestamp"))?;
                json::write_string(out, text.as_bytes());
            }
            Item::Extension(kind, _) => {
                let reason = format!("an extension of type {kind} has no form in JSON");
                return Err(Malformed::new(start, reason));
            }
        }
        Ok(())
    }

    fn say_key_as_json(&mut self, out: &mut Vec<u8>) -> Read<()> {
        let start = self.offset();
        match self.item()? {
            Item::String(length) => json::write_string(out, self.text(length)?),
            Item::Unsigned(value) => {
                json::write_string(out, itoa::Buffer::new().format(value).as_bytes());
            }
            Item::Negative(value) => {
                json::write_string(out, itoa::Buffer::new().format(value).as_bytes());
            }
            other => {
                let reason = format!("{} as a key has no form in JSON", other.name());
                return Err(Malformed::new(start, reason));
            }
        }
        Ok(())
    }
}

fn say_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn base64(out: &mut Vec<u8>, content: &[u8]) {
    let start = out.len();
    out.resize(start + STANDARD.encoded_len(content.len()), 0);
    let _ = STANDARD.encode_slice(content, &mut out[start..]);
}

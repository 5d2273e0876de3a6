//! One value from one format into the other, for the rare link whose two sides differ.
//!
//! msgpack says more than JSON. Binary becomes a base64 string, a whole-number key its decimal digits
//! and a timestamp RFC 3339 (as msgspec does, so schemas agree); JSON in an extension of type 1 is put
//! in as it stands. NaN, infinities, other extensions and other keys are refused.

use base64_turbo::STANDARD;

use super::event::Format;
use super::json::{self, Number};
use super::limits::Limits;
use super::malformed::Malformed;
use super::msgpack::{self, Item, JSON_EXTENSION};
use super::reader::{Read, Reader};
use super::text::Text;
use super::timestamp;
use super::writer::{Json, Msgpack, Writer};

/// Say one value in another format. The same format copies it, validated.
///
/// # Errors
/// [`Malformed`] if *raw* is not one well-formed value, or has no form in *target*.
pub fn transcode(
    raw: &[u8],
    source: Format,
    target: Format,
    limits: &Limits,
) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 4);
    match (source, target) {
        (Format::Json, Format::Msgpack) => json_to_msgpack(&mut out, raw, limits)?,
        (Format::Msgpack, Format::Json) => msgpack_to_json(&mut out, raw, limits)?,
        _ => {
            super::decode::check(raw, source, limits)?;
            out.extend_from_slice(raw);
        }
    }
    Ok(out)
}

pub(crate) fn msgpack_to_json(out: &mut Vec<u8>, raw: &[u8], limits: &Limits) -> Read<()> {
    let mut scanner = msgpack::Scanner::new(raw, limits);
    scanner.say_as_json(out, limits, limits.depth)?;
    scanner.finish()
}

impl msgpack::Scanner<'_> {
    fn say_as_json(&mut self, out: &mut Vec<u8>, limits: &Limits, levels: usize) -> Read<()> {
        let start = self.offset();
        match self.item()? {
            Item::Nil => out.extend_from_slice(b"null"),
            Item::Boolean(value) => Json(out).boolean(value),
            Item::Unsigned(value) => Json(out).unsigned(value),
            Item::Negative(value) => {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
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
                super::decode::check(text, Format::Json, &limits)
                    .map_err(|fault| fault.shifted(inside))?;
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

fn base64(out: &mut Vec<u8>, content: &[u8]) {
    let start = out.len();
    out.resize(start + STANDARD.encoded_len(content.len()), 0);
    let _ = STANDARD.encode_slice(content, &mut out[start..]);
}

pub(crate) fn json_to_msgpack(out: &mut Vec<u8>, raw: &[u8], limits: &Limits) -> Read<()> {
    // msgpack wants the number of items before the first: count them all in a first walk, which
    // validates too, and say them in a second.
    let mut counts = Vec::new();
    let mut scanner = json::Scanner::new(raw, limits);
    scanner.count(&mut counts, limits.depth)?;
    scanner.finish()?;
    let mut again = json::Scanner::new(raw, limits);
    again.say_as_msgpack(out, &mut counts.into_iter())
}

/// What comes next in a map or an array; its value follows.
enum Entry<'a> {
    Key(Text<'a>),
    Item,
}

impl<'a> json::Scanner<'a> {
    /// Note how many items each map and array has, in the order in which they open.
    fn count(&mut self, counts: &mut Vec<usize>, levels: usize) -> Read<()> {
        self.space();
        let Some(open @ (b'{' | b'[')) = self.peek() else {
            return self.value(levels);
        };
        let levels = self.deeper(levels)?;
        let slot = counts.len();
        counts.push(0);
        let mut first = true;
        while self.next_entry(open, &mut first)?.is_some() {
            counts[slot] += 1;
            self.count(counts, levels)?;
        }
        Ok(())
    }

    /// The next item of an array, or the next key of a map.
    fn next_entry(&mut self, open: u8, first: &mut bool) -> Read<Option<Entry<'a>>> {
        if open == b'{' {
            Ok(self.key(first)?.map(Entry::Key))
        } else {
            Ok(self.next_item(first)?.then_some(Entry::Item))
        }
    }

    fn say_as_msgpack(
        &mut self,
        out: &mut Vec<u8>,
        counts: &mut impl Iterator<Item = usize>,
    ) -> Read<()> {
        self.space();
        match self.peek() {
            Some(open @ (b'{' | b'[')) => {
                self.step();
                let count = counts.next().unwrap_or(0);
                if open == b'{' {
                    Msgpack(out).open_map(count);
                } else {
                    Msgpack(out).array(count);
                }
                let mut first = true;
                while let Some(entry) = self.next_entry(open, &mut first)? {
                    if let Entry::Key(key) = entry {
                        Msgpack(out).string(&key.bytes());
                    }
                    self.say_as_msgpack(out, counts)?;
                }
            }
            Some(b'"') => Msgpack(out).string(&self.string()?.bytes()),
            Some(b't' | b'f') => {
                let value = self.boolean()?;
                Msgpack(out).boolean(value);
            }
            Some(b'n') => {
                self.take_null()?;
                Msgpack(out).nil();
            }
            _ => match self.any_number()? {
                Number::Unsigned(value) => Msgpack(out).unsigned(value),
                // "-0" is an integer for JSON, and msgpack has one zero.
                Number::Negative(0) => Msgpack(out).unsigned(0),
                Number::Negative(value) => Msgpack(out).negative(value),
                Number::Float(value) => Msgpack(out).float(value),
            },
        }
        Ok(())
    }
}

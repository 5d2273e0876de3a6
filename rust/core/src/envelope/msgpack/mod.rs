//! msgpack, read in place. An extension of type 1 holds JSON text where a raw value may stand.

mod item;

use super::ascii::is_ascii;
use super::event::{Format, Raw};
use super::json;
use super::kind::Kind;
use super::limits::Limits;
use super::malformed::Malformed;
use super::reader::{Read, Reader};
use super::text::Text;

pub(crate) use item::Item;

/// The extension type that holds JSON text.
pub(crate) const JSON_EXTENSION: i8 = 1;

/// A position in msgpack bytes.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    key_at: usize,
    limits: Limits,
}

impl<'a> Scanner<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            bytes,
            at: 0,
            key_at: 0,
            limits: *limits,
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.truncated()),
        }
    }

    /// Read a string; short ones, which most are, without the detour over `item`.
    #[inline(always)]
    fn string_or(&mut self, what: &str) -> Read<Text<'a>> {
        let start = self.at;
        let length = match self.bytes[start..] {
            [marker @ 0xa0..=0xbf, ..] => {
                self.at += 1;
                usize::from(marker & 0x1f)
            }
            [0xd9, length, ..] => {
                self.at += 2;
                usize::from(length)
            }
            _ => match self.item()? {
                Item::String(length) => length,
                _ => return Err(self.expected(what, start)),
            },
        };
        let text = self.text(length)?;
        Ok(Text::plain_of(text))
    }

    /// Step over *length* bytes of a string, a binary or an extension.
    #[inline(always)]
    pub(crate) fn content(&mut self, length: usize) -> Read<&'a [u8]> {
        if length > self.limits.string_bytes {
            let reason = format!(
                "a string of {length} bytes; the limit is {}",
                self.limits.string_bytes
            );
            return Err(Malformed::new(self.at, reason));
        }
        match self.bytes[self.at..].get(..length) {
            Some(content) => {
                self.at += length;
                Ok(content)
            }
            None => Err(self.truncated()),
        }
    }

    #[inline(always)]
    pub(crate) fn text(&mut self, length: usize) -> Read<&'a [u8]> {
        let start = self.at;
        let content = self.content(length)?;
        if !is_ascii(content) {
            check_utf8(content, start)?;
        }
        Ok(content)
    }

    /// Validate so many values, one after the other, not more than *levels* of maps and arrays deep.
    ///
    /// A loop over the scalars of a container, and recursion for what is in it; a count that no input
    /// can fill ends with the input.
    fn values(&mut self, count: usize, levels: usize) -> Read<()> {
        for _ in 0..count {
            let start = self.at;
            // The commonest first, without the detour over `item`.
            match self.bytes.get(start) {
                Some(0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff) => {
                    self.at += 1;
                    continue;
                }
                Some(marker @ 0xa0..=0xbf) => {
                    self.at += 1;
                    self.text(usize::from(marker & 0x1f))?;
                    continue;
                }
                Some(marker @ 0x80..=0x8f) => {
                    self.at += 1;
                    let levels = self.deeper(levels, start)?;
                    self.values(2 * usize::from(marker & 0x0f), levels)?;
                    continue;
                }
                _ => {}
            }
            match self.item()? {
                Item::Nil
                | Item::Boolean(_)
                | Item::Unsigned(_)
                | Item::Negative(_)
                | Item::Float(_) => {}
                Item::String(length) => drop(self.text(length)?),
                Item::Binary(length) | Item::Extension(_, length) => drop(self.content(length)?),
                Item::Array(count) => {
                    let levels = self.deeper(levels, start)?;
                    self.values(count, levels)?;
                }
                Item::Map(count) => {
                    let levels = self.deeper(levels, start)?;
                    self.values(count.saturating_mul(2), levels)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn deeper(&self, levels: usize, start: usize) -> Read<usize> {
        levels.checked_sub(1).ok_or_else(|| {
            let reason = format!("nested deeper than {} levels", self.limits.depth);
            Malformed::new(start, reason)
        })
    }

    #[cold]
    #[inline(never)]
    fn truncated(&self) -> Malformed {
        Malformed::new(self.bytes.len(), "the input ends inside a value")
    }

    #[cold]
    #[inline(never)]
    fn expected(&mut self, what: &str, start: usize) -> Malformed {
        self.at = start;
        match self.item() {
            Ok(item) => Malformed::new(start, format!("expected {what}, found {}", item.name())),
            Err(fault) => fault,
        }
    }
}

/// See [`super::check`].
pub(crate) fn check(raw: &[u8], limits: &Limits) -> Read<()> {
    let mut scanner = Scanner::new(raw, limits);
    scanner.raw()?;
    scanner.finish()
}

impl<'a> Reader<'a> for Scanner<'a> {
    /// How many keys are still to come.
    type Map = usize;

    const FORMAT: Format = Format::Msgpack;

    #[inline(always)]
    fn value_offset(&mut self) -> usize {
        self.at
    }

    fn seek(&mut self, offset: usize) {
        self.at = offset;
    }

    #[inline]
    fn usual_start(&mut self) -> Option<(Kind, usize)> {
        const REQUESTED: &[u8] = b"\x83\xa4type\xaecall.requested\xa2id";
        const RESPONDED: &[u8] = b"\x83\xa4type\xaecall.responded\xa2id";
        let kind = if self.bytes.starts_with(REQUESTED) {
            Kind::Requested
        } else if self.bytes.starts_with(RESPONDED) {
            Kind::Responded
        } else {
            return None;
        };
        // Both are of one length, and one key is still to come.
        self.at = REQUESTED.len();
        Some((kind, 1))
    }

    #[inline(always)]
    fn enter_map(&mut self) -> Read<usize> {
        let start = self.at;
        match self.item()? {
            Item::Map(count) => Ok(count),
            _ => Err(self.expected("a map", start)),
        }
    }

    #[inline(always)]
    fn next_key(&mut self, left: &mut usize) -> Read<Option<Text<'a>>> {
        let Some(fewer) = left.checked_sub(1) else {
            return Ok(None);
        };
        *left = fewer;
        self.key_at = self.at;
        self.string_or("a key that is a string").map(Some)
    }

    #[inline(always)]
    fn key_offset(&self) -> usize {
        self.key_at
    }

    #[inline(always)]
    fn take_null(&mut self) -> Read<bool> {
        let is_null = self.bytes.get(self.at) == Some(&0xc0);
        self.at += usize::from(is_null);
        Ok(is_null)
    }

    #[inline(always)]
    fn string(&mut self) -> Read<Text<'a>> {
        self.string_or("a string")
    }

    #[inline]
    fn unsigned(&mut self) -> Read<u64> {
        let start = self.at;
        // Moments in milliseconds take eight bytes.
        if let [0xcf, value @ ..] = &self.bytes[start..]
            && let Some(value) = value.first_chunk()
        {
            self.at += 9;
            return Ok(u64::from_be_bytes(*value));
        }
        match self.item()? {
            Item::Unsigned(value) => Ok(value),
            Item::Negative(_) => Err(Malformed::new(start, "must not be negative")),
            _ => Err(self.expected("an integer", start)),
        }
    }

    fn boolean(&mut self) -> Read<bool> {
        let start = self.at;
        match self.item()? {
            Item::Boolean(value) => Ok(value),
            _ => Err(self.expected("a boolean", start)),
        }
    }

    #[inline(always)]
    fn raw(&mut self) -> Read<Raw<'a>> {
        let start = self.at;
        if let Some(0xc7..=0xc9 | 0xd4..=0xd8) = self.bytes.get(start)
            && let Item::Extension(JSON_EXTENSION, length) = self.item()?
        {
            let inside = self.at;
            let bytes = self.content(length)?;
            json::check(bytes, &self.limits).map_err(|fault| fault.shifted(inside))?;
            return Ok(Raw {
                bytes,
                format: Format::Json,
            });
        }
        self.at = start;
        self.values(1, self.limits.depth)?;
        Ok(Raw {
            bytes: &self.bytes[start..self.at],
            format: Format::Msgpack,
        })
    }

    fn pass_payload(&mut self) -> Read<()> {
        self.values(1, self.limits.depth + 1)
    }

    #[inline]
    fn finish(&mut self) -> Read<()> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        let left = self.bytes.len() - self.at;
        let reason = format!("expected the end of the input, found {left} more bytes");
        Err(Malformed::new(self.at, reason))
    }
}

#[inline(never)]
fn check_utf8(content: &[u8], start: usize) -> Read<()> {
    match simdutf8::compat::from_utf8(content) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Malformed::new(start + fault.valid_up_to(), "invalid UTF-8")),
    }
}

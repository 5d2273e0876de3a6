//! JSON, read in place: RFC 8259 with nothing added (no NaN, no comments, no lone surrogates) and
//! one thing taken away, numbers that 64 bits cannot hold, because two ends would disagree on them.

mod number;
mod run;
mod text;

use super::event::{Format, Raw};
use super::kind::Kind;
use super::limits::Limits;
use super::malformed::Malformed;
use super::reader::{Read, Reader};
use super::text::Text;

pub(crate) use number::Number;
pub(crate) use text::write_string;

/// A position in JSON text.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    key_at: usize,
    depth: usize,
    string_bytes: usize,
    /// Something that is not ASCII was seen. Whether the text is UTF-8 is asked once, at the end, and
    /// only then: outside strings such a byte is an error anyway.
    beyond_ascii: bool,
}

impl<'a> Scanner<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            bytes,
            at: 0,
            key_at: 0,
            depth: limits.depth,
            string_bytes: limits.string_bytes,
            beyond_ascii: false,
        }
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    /// Step over white space, of which there usually is none.
    #[inline(always)]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Validate one value, not more than *levels* of maps and arrays deep.
    #[inline(always)]
    pub(crate) fn value(&mut self, levels: usize) -> Read<()> {
        self.space();
        match self.peek() {
            Some(b'"') => self.quoted().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => self.object(levels),
            Some(b'[') => self.array(levels),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.expected("a value")),
        }
    }

    #[inline(never)]
    fn object(&mut self, levels: usize) -> Read<()> {
        let levels = self.deeper(levels)?;
        let mut first = true;
        while self.key(&mut first)?.is_some() {
            self.value(levels)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn array(&mut self, levels: usize) -> Read<()> {
        let levels = self.deeper(levels)?;
        let mut first = true;
        while self.next_item(&mut first)? {
            self.value(levels)?;
        }
        Ok(())
    }

    /// Step over the bracket that opens a map or an array.
    #[inline]
    pub(crate) fn deeper(&mut self, levels: usize) -> Read<usize> {
        let Some(levels) = levels.checked_sub(1) else {
            let reason = format!("nested deeper than {} levels", self.depth);
            return Err(Malformed::new(self.at, reason));
        };
        self.at += 1;
        Ok(levels)
    }

    /// Stand before the next item of an array, or step over its end.
    #[inline]
    pub(crate) fn next_item(&mut self, first: &mut bool) -> Read<bool> {
        self.space();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                return Ok(false);
            }
            _ if *first => *first = false,
            Some(b',') => {
                self.at += 1;
                self.space();
                if self.peek() == Some(b']') {
                    return Err(self.expected("a value"));
                }
            }
            _ => return Err(self.expected("',' or ']'")),
        }
        Ok(true)
    }

    /// Read a key and the colon after it, or step over the end of the map.
    #[inline(always)]
    pub(crate) fn key(&mut self, first: &mut bool) -> Read<Option<Text<'a>>> {
        self.space();
        match self.peek() {
            Some(b',') if !*first => {
                self.at += 1;
                self.space();
            }
            Some(b'"') if *first => *first = false,
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            _ if *first => return Err(self.expected("a key or '}'")),
            _ => return Err(self.expected("',' or '}'")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        self.key_at = self.at;
        let key = self.quoted()?;
        if self.peek() != Some(b':') {
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.expected("':'"));
            }
        }
        self.at += 1;
        Ok(Some(key))
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Read<()> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn expected(&self, what: &str) -> Malformed {
        let found = found(&self.bytes[self.at..]);
        Malformed::new(self.at, format!("expected {what}, found {found}"))
    }

    /// Refuse what is not UTF-8. An error of the syntax that comes first in the bytes has been
    /// reported first.
    #[cold]
    fn check_utf8(&self) -> Read<()> {
        let passed = &self.bytes[..self.at];
        simdutf8::compat::from_utf8(passed)
            .map(drop)
            .map_err(|fault| Malformed::new(fault.valid_up_to(), "invalid UTF-8"))
    }
}

/// See [`super::check`].
pub(crate) fn check(raw: &[u8], limits: &Limits) -> Read<()> {
    let mut scanner = Scanner::new(raw, limits);
    scanner.raw()?;
    scanner.finish()
}

impl<'a> Reader<'a> for Scanner<'a> {
    /// Whether no key has been read yet.
    type Map = bool;

    const FORMAT: Format = Format::Json;

    #[inline(always)]
    fn value_offset(&mut self) -> usize {
        self.space();
        self.at
    }

    fn seek(&mut self, offset: usize) {
        self.at = offset;
    }

    #[inline]
    fn usual_start(&mut self) -> Option<(Kind, bool)> {
        const REQUESTED: &[u8] = br#"{"type":"call.requested","id":"#;
        const RESPONDED: &[u8] = br#"{"type":"call.responded","id":"#;
        let kind = if self.bytes.starts_with(REQUESTED) {
            Kind::Requested
        } else if self.bytes.starts_with(RESPONDED) {
            Kind::Responded
        } else {
            return None;
        };
        // Both are of one length.
        self.at = REQUESTED.len();
        Some((kind, false))
    }

    #[inline]
    fn enter_map(&mut self) -> Read<bool> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.expected("a map"));
        }
        self.at += 1;
        Ok(true)
    }

    #[inline(always)]
    fn next_key(&mut self, first: &mut bool) -> Read<Option<Text<'a>>> {
        self.key(first)
    }

    #[inline(always)]
    fn key_offset(&self) -> usize {
        self.key_at
    }

    #[inline(always)]
    fn take_null(&mut self) -> Read<bool> {
        self.space();
        if self.peek() == Some(b'n') {
            self.literal(b"null")?;
            return Ok(true);
        }
        Ok(false)
    }

    #[inline(always)]
    fn string(&mut self) -> Read<Text<'a>> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        self.quoted()
    }

    #[inline]
    fn unsigned(&mut self) -> Read<u64> {
        self.space();
        self.unsigned_number()
    }

    fn boolean(&mut self) -> Read<bool> {
        self.space();
        match self.peek() {
            Some(b't') => self.literal(b"true").map(|()| true),
            Some(b'f') => self.literal(b"false").map(|()| false),
            _ => Err(self.expected("a boolean")),
        }
    }

    #[inline(always)]
    fn raw(&mut self) -> Read<Raw<'a>> {
        self.space();
        let start = self.at;
        self.value(self.depth)?;
        Ok(Raw {
            bytes: &self.bytes[start..self.at],
            format: Format::Json,
        })
    }

    fn pass_payload(&mut self) -> Read<()> {
        self.value(self.depth + 1)
    }

    #[inline]
    fn finish(&mut self) -> Read<()> {
        self.space();
        if self.at != self.bytes.len() {
            return Err(self.expected("the end of the input"));
        }
        if self.beyond_ascii {
            return self.check_utf8();
        }
        Ok(())
    }
}

/// What stands there, for an error message.
fn found(rest: &[u8]) -> String {
    let named = match rest {
        [] => "the end of the input",
        [b'"', ..] => "a string",
        [b'{', ..] => "a map",
        [b'[', ..] => "an array",
        [b'-' | b'0'..=b'9', ..] => "a number",
        [b't', b'r', b'u', b'e', ..] | [b'f', b'a', b'l', b's', b'e', ..] => "a boolean",
        [b'n', b'u', b'l', b'l', ..] => "null",
        [b'N', b'a', b'N', ..] => "NaN, which is not JSON",
        [b'I', b'n', b'f', b'i', b'n', ..] => "Infinity, which is not JSON",
        _ => {
            let start = &rest[..rest.len().min(4)];
            let text = String::from_utf8_lossy(start);
            return text
                .chars()
                .next()
                .map_or_else(String::new, |found| format!("{found:?}"));
        }
    };
    named.into()
}

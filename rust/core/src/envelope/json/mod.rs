//! JSON, read in place: RFC 8259 with nothing added (no NaN, no comments, no lone surrogates) and one
//! thing taken away, integers that 64 bits cannot hold, because the two ends would disagree on them.

mod number;
mod text;

use super::event::{Format, Raw, Text};
use super::limits::Limits;
use super::malformed::Malformed;
use super::reader::{Read, Reader};

pub(crate) use number::Number;
use text::unescape;
pub(crate) use text::write_string;

/// A position in JSON text.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    string_bytes: usize,
}

impl<'a> Scanner<'a> {
    /// UTF-8 is validated here, once for the whole text, which SIMD makes cheaper than string by
    /// string; from then on every slice is known to be text.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Read<Self> {
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes))?;
        Ok(Self {
            text,
            at: 0,
            depth: limits.depth,
            string_bytes: limits.string_bytes,
        })
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Validate one value, not more than *levels* of maps and arrays deep.
    pub(crate) fn value(&mut self, levels: usize) -> Read<()> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string_span().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => self.object(levels),
            Some(b'[') => self.array(levels),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self, levels: usize) -> Read<()> {
        let levels = self.deeper(levels)?;
        let mut first = true;
        while self.key_span(&mut first)?.is_some() {
            self.value(levels)?;
        }
        Ok(())
    }

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
            Some(b']') if *first => {
                self.at += 1;
                return Ok(false);
            }
            _ if *first => *first = false,
            Some(b',') => self.at += 1,
            Some(b']') => {
                self.at += 1;
                return Ok(false);
            }
            _ => return Err(self.expected("',' or ']'")),
        }
        Ok(true)
    }

    /// Read a key and the colon after it, or step over the end of the map.
    #[inline]
    pub(crate) fn key_span(&mut self, first: &mut bool) -> Read<Option<Span>> {
        self.space();
        match self.peek() {
            Some(b'"') if *first => *first = false,
            Some(b',') if !*first => {
                self.at += 1;
                self.space();
            }
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
        let span = self.string_span()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("':'"));
        }
        self.at += 1;
        Ok(Some(span))
    }

    pub(crate) fn text_of(&self, span: &Span) -> Text<'a> {
        let text = &self.text[span.start..span.end];
        if span.escaped {
            Text::Owned(unescape(text))
        } else {
            Text::Borrowed(text)
        }
    }

    #[inline]
    fn literal(&mut self, word: &'static str) -> Read<()> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn expected(&self, what: &str) -> Malformed {
        Malformed::new(
            self.at,
            format!("expected {what}, found {}", found(&self.text[self.at..])),
        )
    }
}

/// The inside of a string, quotes not counted.
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

impl<'a> Reader<'a> for Scanner<'a> {
    /// Whether no key has been read yet.
    type Map = bool;

    const FORMAT: Format = Format::Json;

    #[inline]
    fn value_offset(&mut self) -> usize {
        self.space();
        self.at
    }

    fn seek(&mut self, offset: usize) {
        self.at = offset;
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

    #[inline]
    fn next_key(&mut self, first: &mut bool) -> Read<Option<(usize, Text<'a>)>> {
        let span = self.key_span(first)?;
        Ok(span.map(|span| (span.start - 1, self.text_of(&span))))
    }

    #[inline]
    fn take_null(&mut self) -> Read<bool> {
        self.space();
        if self.peek() == Some(b'n') {
            self.literal("null")?;
            return Ok(true);
        }
        Ok(false)
    }

    #[inline]
    fn string(&mut self) -> Read<Text<'a>> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let span = self.string_span()?;
        Ok(self.text_of(&span))
    }

    fn unsigned(&mut self) -> Read<u64> {
        self.space();
        self.unsigned_number()
    }

    fn boolean(&mut self) -> Read<bool> {
        self.space();
        match self.peek() {
            Some(b't') => self.literal("true").map(|()| true),
            Some(b'f') => self.literal("false").map(|()| false),
            _ => Err(self.expected("a boolean")),
        }
    }

    #[inline]
    fn raw(&mut self) -> Read<Raw<'a>> {
        self.space();
        let start = self.at;
        self.value(self.depth)?;
        Ok(Raw {
            bytes: &self.text.as_bytes()[start..self.at],
            format: Format::Json,
        })
    }

    fn pass_payload(&mut self) -> Read<()> {
        self.value(self.depth + 1)
    }

    #[inline]
    fn finish(&mut self) -> Read<()> {
        self.space();
        if self.at == self.text.len() {
            return Ok(());
        }
        Err(self.expected("the end of the input"))
    }
}

/// What stands there, for an error message.
fn found(rest: &str) -> String {
    let word = |word: &str| rest.starts_with(word);
    match rest.chars().next() {
        None => "the end of the input".into(),
        Some('"') => "a string".into(),
        Some('{') => "a map".into(),
        Some('[') => "an array".into(),
        Some('-' | '0'..='9') => "a number".into(),
        Some('t') if word("true") => "a boolean".into(),
        Some('f') if word("false") => "a boolean".into(),
        Some('n') if word("null") => "null".into(),
        Some('N') if word("NaN") => "NaN, which is not JSON".into(),
        Some('I') if word("Infinity") => "Infinity, which is not JSON".into(),
        Some(other) => format!("{other:?}"),
    }
}

#[cold]
fn not_utf8(bytes: &[u8]) -> Malformed {
    let offset = match simdutf8::compat::from_utf8(bytes) {
        Ok(_) => 0,
        Err(fault) => fault.valid_up_to(),
    };
    Malformed::new(offset, "invalid UTF-8")
}

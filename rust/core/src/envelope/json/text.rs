//! JSON strings: where they end, whether their escapes are right, and what they stand for.

use super::super::malformed::Malformed;
use super::super::reader::Read;
use super::super::text::Text;
use super::Scanner;
use super::run::{ascii_run, plain_run};

impl<'a> Scanner<'a> {
    /// Read a string whose opening quote stands here.
    #[inline(always)]
    pub(crate) fn quoted(&mut self) -> Read<Text<'a>> {
        let start = self.at + 1;
        self.at = ascii_run(self.bytes, start);
        if self.bytes.get(self.at) == Some(&b'"') {
            return self.close(start).map(Text::plain_of);
        }
        self.quoted_slowly(start)
    }

    /// The rest of a string in which something other than plain ASCII was found.
    #[inline(never)]
    fn quoted_slowly(&mut self, start: usize) -> Read<Text<'a>> {
        let mut escaped = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') if escaped => return self.close(start).map(Text::escaped_of),
                Some(b'"') => return self.close(start).map(Text::plain_of),
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0x80..) => self.beyond_ascii = true,
                Some(control) => {
                    let reason = format!("control character 0x{control:02x} inside a string");
                    return Err(Malformed::new(self.at, reason));
                }
                None => return Err(Malformed::new(self.at, "the input ends inside a string")),
            }
            self.at = if self.beyond_ascii {
                plain_run(self.bytes, self.at)
            } else {
                ascii_run(self.bytes, self.at)
            };
        }
    }

    #[inline(always)]
    fn close(&mut self, start: usize) -> Read<&'a [u8]> {
        let content = &self.bytes[start..self.at];
        if content.len() > self.string_bytes {
            return Err(self.too_long(start - 1, content.len()));
        }
        self.at += 1;
        Ok(content)
    }

    #[cold]
    fn too_long(&self, start: usize, length: usize) -> Malformed {
        let limit = self.string_bytes;
        Malformed::new(
            start,
            format!("a string of {length} bytes; the limit is {limit}"),
        )
    }

    fn escape(&mut self) -> Read<()> {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.hex4(start + 2)?;
                self.at += 6;
                if (0xdc00..0xe000).contains(&unit) {
                    return Err(lone(start, unit));
                }
                if (0xd800..0xdc00).contains(&unit) {
                    if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(lone(start, unit));
                    }
                    let low = self.hex4(self.at + 2)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(lone(start, unit));
                    }
                    self.at += 6;
                }
            }
            Some(_) => return Err(Malformed::new(start, "unknown escape inside a string")),
            None => {
                let end = self.bytes.len();
                return Err(Malformed::new(end, "the input ends inside a string"));
            }
        }
        Ok(())
    }

    fn hex4(&self, at: usize) -> Read<u32> {
        let mut unit = 0;
        for offset in at..at + 4 {
            let Some(&byte) = self.bytes.get(offset) else {
                return Err(Malformed::new(offset, "the input ends inside a string"));
            };
            let Some(digit) = char::from(byte).to_digit(16) else {
                let reason = "\\u must be followed by four hexadecimal digits";
                return Err(Malformed::new(offset, reason));
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }
}

#[cold]
fn lone(at: usize, unit: u32) -> Malformed {
    Malformed::new(at, format!("lone surrogate \\u{unit:04x}"))
}

/// Append UTF-8 text as a JSON string, quotes included.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut from = 0;
    loop {
        let at = plain_run(text, from);
        out.extend_from_slice(&text[from..at]);
        let Some(&byte) = text.get(at) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(control >> 4)]);
                out.push(DIGITS[usize::from(control & 15)]);
            }
        }
        from = at + 1;
    }
    out.push(b'"');
}

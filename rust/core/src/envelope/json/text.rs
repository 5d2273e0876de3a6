//! JSON strings: where they end, whether their escapes are right, and what they stand for.

use super::super::malformed::Malformed;
use super::super::reader::Read;
use super::{Scanner, Span};

const LANES: u64 = u64::MAX / 0xff;
const HIGH: u64 = LANES * 0x80;

/// Marks, among eight bytes, those that end a plain run: `"`, `\` and control characters.
///
/// The lowest mark is always right; a borrow may set false ones above it (the classic zero-byte trick).
#[inline]
fn special(chunk: u64) -> u64 {
    let quote = chunk ^ (LANES * 0x22);
    let backslash = chunk ^ (LANES * 0x5c);
    let control = chunk.wrapping_sub(LANES * 0x20) & !chunk;
    let quote = quote.wrapping_sub(LANES) & !quote;
    let backslash = backslash.wrapping_sub(LANES) & !backslash;
    (control | quote | backslash) & HIGH
}

/// The first position from *at* on which does not belong to a plain run, or the end.
#[inline]
fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = special(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

impl Scanner<'_> {
    /// Step over a string whose opening quote stands here.
    #[inline]
    pub(crate) fn string_span(&mut self) -> Read<Span> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_run(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(control) => {
                    let reason = format!("control character 0x{control:02x} inside a string");
                    return Err(Malformed::new(self.at, reason));
                }
                None => return Err(Malformed::new(self.at, "the input ends inside a string")),
            }
        }
        let end = self.at;
        if end - start > self.string_bytes {
            let reason = format!(
                "a string of {} bytes; the limit is {}",
                end - start,
                self.string_bytes
            );
            return Err(Malformed::new(start - 1, reason));
        }
        self.at += 1;
        Ok(Span {
            start,
            end,
            escaped,
        })
    }

    fn escape(&mut self) -> Read<()> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        match bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = hex4(bytes, start + 2)?;
                self.at += 6;
                if (0xdc00..0xe000).contains(&unit) {
                    return Err(lone(start, unit));
                }
                if (0xd800..0xdc00).contains(&unit) {
                    if bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                        return Err(lone(start, unit));
                    }
                    let low = hex4(bytes, self.at + 2)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(lone(start, unit));
                    }
                    self.at += 6;
                }
            }
            Some(_) => return Err(Malformed::new(start, "unknown escape inside a string")),
            None => {
                return Err(Malformed::new(
                    bytes.len(),
                    "the input ends inside a string",
                ));
            }
        }
        Ok(())
    }
}

#[cold]
fn lone(at: usize, unit: u32) -> Malformed {
    Malformed::new(at, format!("lone surrogate \\u{unit:04x}"))
}

fn hex4(bytes: &[u8], at: usize) -> Read<u32> {
    let mut unit = 0;
    for offset in at..at + 4 {
        let Some(&byte) = bytes.get(offset) else {
            return Err(Malformed::new(offset, "the input ends inside a string"));
        };
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Err(Malformed::new(
                offset,
                "\\u must be followed by four hexadecimal digits",
            ));
        };
        unit = unit * 16 + digit;
    }
    Ok(unit)
}

/// The text that a validated string with escapes stands for.
pub(crate) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let simple = match rest.as_bytes()[0] {
            b'u' => {
                units.clear();
                // One escape, or the two halves of a pair.
                loop {
                    let unit = u16::from_str_radix(&rest[1..5], 16).unwrap_or(0xfffd);
                    units.push(unit);
                    rest = &rest[5..];
                    if units.len() == 2 || !(0xd800..0xdc00).contains(&unit) {
                        break;
                    }
                    rest = &rest[1..];
                }
                text.extend(char::decode_utf16(units.iter().copied()).flatten());
                continue;
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            other => char::from(other),
        };
        text.push(simple);
        rest = &rest[1..];
    }
    text.push_str(rest);
    text
}

/// Append *text* as a JSON string, quotes included.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut from = 0;
    loop {
        let at = plain_run(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(&byte) = bytes.get(at) else { break };
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

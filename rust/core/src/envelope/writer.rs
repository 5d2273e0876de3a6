//! What the encoder asks of a format: the mirror of `reader`.

use super::event::{Format, Raw};
use super::json;
use super::limits::Limits;
use super::malformed::Malformed;
use super::msgpack::JSON_EXTENSION;
use super::transcode::to_json;

/// Appends one envelope to bytes.
pub(crate) trait Writer {
    fn open_map(&mut self, count: usize);
    /// A key; its value must follow.
    fn key(&mut self, name: &str);
    fn close_map(&mut self);
    fn string(&mut self, text: &[u8]);
    fn unsigned(&mut self, value: u64);
    fn boolean(&mut self, value: bool);
    /// A raw value, brought into this format if it is in the other.
    fn raw(&mut self, raw: Raw<'_>) -> Result<(), Malformed>;
}

pub(crate) struct Json<'o>(pub(crate) &'o mut Vec<u8>);

impl Writer for Json<'_> {
    fn open_map(&mut self, _count: usize) {
        self.0.push(b'{');
    }

    #[inline]
    fn key(&mut self, name: &str) {
        // Our own keys need no escapes.
        let open: &[u8] = if self.0.last() == Some(&b'{') {
            b"\""
        } else {
            b",\""
        };
        self.0.extend_from_slice(open);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn close_map(&mut self) {
        self.0.push(b'}');
    }

    fn string(&mut self, text: &[u8]) {
        json::write_string(self.0, text);
    }

    fn unsigned(&mut self, value: u64) {
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn boolean(&mut self, value: bool) {
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn raw(&mut self, raw: Raw<'_>) -> Result<(), Malformed> {
        match raw.format {
            Format::Json => self.0.extend_from_slice(raw.bytes),
            Format::Msgpack => to_json::append(self.0, raw.bytes, &ours(raw))?,
        }
        Ok(())
    }
}

pub(crate) struct Msgpack<'o>(pub(crate) &'o mut Vec<u8>);

impl Msgpack<'_> {
    fn marker(&mut self, marker: u8, number: &[u8]) {
        self.0.push(marker);
        self.0.extend_from_slice(number);
    }

    pub(crate) fn array(&mut self, count: usize) {
        if let Ok(short) = u16::try_from(count) {
            match short {
                0..=15 => self.0.push(0x90 | short.to_be_bytes()[1]),
                _ => self.marker(0xdc, &short.to_be_bytes()),
            }
        } else {
            self.marker(0xdd, &length32(count));
        }
    }

    pub(crate) fn nil(&mut self) {
        self.0.push(0xc0);
    }

    pub(crate) fn negative(&mut self, value: i64) {
        if let Ok(value) = i8::try_from(value) {
            if value >= -32 {
                self.0.push(value.cast_unsigned());
            } else {
                self.marker(0xd0, &value.to_be_bytes());
            }
        } else if let Ok(value) = i16::try_from(value) {
            self.marker(0xd1, &value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.marker(0xd2, &value.to_be_bytes());
        } else {
            self.marker(0xd3, &value.to_be_bytes());
        }
    }

    pub(crate) fn float(&mut self, value: f64) {
        self.marker(0xcb, &value.to_be_bytes());
    }

    /// JSON text as one msgpack value.
    fn wrapped_json(&mut self, text: &[u8]) {
        if let Ok(length) = u8::try_from(text.len()) {
            self.marker(0xc7, &[length]);
        } else if let Ok(length) = u16::try_from(text.len()) {
            self.marker(0xc8, &length.to_be_bytes());
        } else {
            self.marker(0xc9, &length32(text.len()));
        }
        self.0.push(JSON_EXTENSION.cast_unsigned());
        self.0.extend_from_slice(text);
    }
}

impl Writer for Msgpack<'_> {
    #[inline]
    fn open_map(&mut self, count: usize) {
        if let Ok(short) = u16::try_from(count) {
            match short {
                0..=15 => self.0.push(0x80 | short.to_be_bytes()[1]),
                _ => self.marker(0xde, &short.to_be_bytes()),
            }
        } else {
            self.marker(0xdf, &length32(count));
        }
    }

    #[inline]
    fn key(&mut self, name: &str) {
        self.string(name.as_bytes());
    }

    fn close_map(&mut self) {}

    #[inline]
    fn string(&mut self, text: &[u8]) {
        if let Ok(short) = u8::try_from(text.len()) {
            match short {
                0..=31 => self.0.push(0xa0 | short),
                _ => self.marker(0xd9, &[short]),
            }
        } else if let Ok(length) = u16::try_from(text.len()) {
            self.marker(0xda, &length.to_be_bytes());
        } else {
            self.marker(0xdb, &length32(text.len()));
        }
        self.0.extend_from_slice(text);
    }

    fn unsigned(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            if value < 0x80 {
                self.0.push(value);
            } else {
                self.marker(0xcc, &[value]);
            }
        } else if let Ok(value) = u16::try_from(value) {
            self.marker(0xcd, &value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.marker(0xce, &value.to_be_bytes());
        } else {
            self.marker(0xcf, &value.to_be_bytes());
        }
    }

    fn boolean(&mut self, value: bool) {
        self.0.push(0xc2 | u8::from(value));
    }

    fn raw(&mut self, raw: Raw<'_>) -> Result<(), Malformed> {
        match raw.format {
            Format::Json => self.wrapped_json(raw.bytes),
            Format::Msgpack => self.0.extend_from_slice(raw.bytes),
        }
        Ok(())
    }
}

/// Bounds for a value of our own: its size is the bound of its strings.
fn ours(raw: Raw<'_>) -> Limits {
    Limits {
        depth: Limits::MAX_DEPTH,
        string_bytes: raw.bytes.len(),
        ..Limits::default()
    }
}

/// A length for which msgpack has no more than 32 bits. Frames are limited to less (see
/// `Encoder::new`), so what saturates here is refused as too large afterwards.
fn length32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

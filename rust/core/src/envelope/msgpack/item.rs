//! One marker of msgpack, and the number or the length that belongs to it.

use super::super::malformed::Malformed;
use super::super::reader::Read;
use super::Scanner;

/// What one marker announces. Lengths are what the peer says; nobody has looked whether it is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    Negative(i64),
    Float(f64),
    String(usize),
    Binary(usize),
    Array(usize),
    Map(usize),
    Extension(i8, usize),
}

impl Item {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nil => "null",
            Self::Boolean(_) => "a boolean",
            Self::Unsigned(_) => "an integer",
            Self::Negative(_) => "a negative integer",
            Self::Float(_) => "a float",
            Self::String(_) => "a string",
            Self::Binary(_) => "binary",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Extension(..) => "an extension",
        }
    }
}

impl Scanner<'_> {
    /// Read a marker and the number or the length that belongs to it.
    #[inline]
    pub(crate) fn item(&mut self) -> Read<Item> {
        let start = self.at;
        let [marker] = self.fixed()?;
        Ok(match marker {
            0x00..=0x7f => Item::Unsigned(u64::from(marker)),
            0x80..=0x8f => Item::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Item::Array(usize::from(marker & 0x0f)),
            0xa0..=0xbf => Item::String(usize::from(marker & 0x1f)),
            0xc0 => Item::Nil,
            0xc1 => return Err(Malformed::new(start, "0xc1 is not a msgpack marker")),
            0xc2 => Item::Boolean(false),
            0xc3 => Item::Boolean(true),
            0xc4 => Item::Binary(self.length8()?),
            0xc5 => Item::Binary(self.length16()?),
            0xc6 => Item::Binary(self.length32()?),
            0xc7 => {
                let length = self.length8()?;
                self.extension(length)?
            }
            0xc8 => {
                let length = self.length16()?;
                self.extension(length)?
            }
            0xc9 => {
                let length = self.length32()?;
                self.extension(length)?
            }
            0xca => Item::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            0xcb => Item::Float(f64::from_be_bytes(self.fixed()?)),
            0xcc => Item::Unsigned(u64::from(u8::from_be_bytes(self.fixed()?))),
            0xcd => Item::Unsigned(u64::from(u16::from_be_bytes(self.fixed()?))),
            0xce => Item::Unsigned(u64::from(u32::from_be_bytes(self.fixed()?))),
            0xcf => Item::Unsigned(u64::from_be_bytes(self.fixed()?)),
            0xd0 => signed(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => signed(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => signed(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => signed(i64::from_be_bytes(self.fixed()?)),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9 => Item::String(self.length8()?),
            0xda => Item::String(self.length16()?),
            0xdb => Item::String(self.length32()?),
            0xdc => Item::Array(self.length16()?),
            0xdd => Item::Array(self.length32()?),
            0xde => Item::Map(self.length16()?),
            0xdf => Item::Map(self.length32()?),
            0xe0..=0xff => Item::Negative(i64::from(marker.cast_signed())),
        })
    }

    fn length8(&mut self) -> Read<usize> {
        Ok(usize::from(u8::from_be_bytes(self.fixed()?)))
    }

    fn length16(&mut self) -> Read<usize> {
        Ok(usize::from(u16::from_be_bytes(self.fixed()?)))
    }

    fn length32(&mut self) -> Read<usize> {
        Ok(u32::from_be_bytes(self.fixed()?) as usize)
    }

    fn extension(&mut self, length: usize) -> Read<Item> {
        let [kind] = self.fixed()?;
        Ok(Item::Extension(kind.cast_signed(), length))
    }
}

fn signed(value: i64) -> Item {
    match u64::try_from(value) {
        Ok(value) => Item::Unsigned(value),
        Err(_) => Item::Negative(value),
    }
}

//! The header of a frame (RFC 6455, section 5.2).

use super::Role;
use super::close::Fault;
use super::mask::Mask;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message before.
    Continuation = 0,
    /// A message of text, or its beginning.
    Text = 1,
    /// A message of bytes, or its beginning.
    Binary = 2,
    /// A farewell.
    Close = 8,
    /// A question whether somebody is there.
    Ping = 9,
    /// The answer to it.
    Pong = 10,
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, Fault> {
        match bits {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(Fault::Protocol("a reserved opcode")),
        }
    }

    /// Whether it is one of section 5.5: short, whole, and allowed between fragments.
    pub(super) fn is_control(self) -> bool {
        self as u8 & 0b1000 != 0
    }
}

const FIN: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASKED: u8 = 0b1000_0000;
const LENGTH: u8 = 0b0111_1111;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
pub(super) const LONGEST_CONTROL_BYTES: usize = 125;

/// The most bytes that a header has: two, a length of eight, and a mask.
pub(super) const LONGEST_BYTES: usize = 14;

/// What is known of a frame before its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_last: bool,
    pub(super) length: u64,
    pub(super) mask: Option<Mask>,
}

impl Header {
    /// Read the header that *bytes* begin with, and how long it is; none if its end is not there.
    ///
    /// What its first two bytes say is judged as soon as they are there. *role* is the reader's.
    pub(super) fn parse(bytes: &[u8], role: Role) -> Result<Option<(Self, usize)>, Fault> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else {
            return Ok(None);
        };
        if first & RESERVED != 0 {
            return Err(Fault::Protocol(
                "a reserved bit, though no extension was agreed on",
            ));
        }
        let opcode = Opcode::parse(first & OPCODE)?;
        let is_last = first & FIN != 0;
        let short = second & LENGTH;
        if opcode.is_control() && !(is_last && usize::from(short) <= LONGEST_CONTROL_BYTES) {
            return Err(Fault::Protocol(
                "a control frame that is long, or in fragments",
            ));
        }
        let is_masked = second & MASKED != 0;
        if is_masked != (role == Role::Server) {
            return Err(Fault::Protocol(
                "a client masks its frames, and a server does not",
            ));
        }
        let (length, rest) = match short {
            LENGTH_16 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            LENGTH_64 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match (is_masked, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((key, rest))) => (Some(Mask(*key)), rest),
            (true, None) => return Ok(None),
        };
        let header = Self {
            opcode,
            is_last,
            length,
            mask,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Append a header of a whole message, or of a control frame, to *out*.
    pub(super) fn write(opcode: Opcode, length: usize, mask: Option<Mask>, out: &mut Vec<u8>) {
        let masked = if mask.is_some() { MASKED } else { 0 };
        out.push(FIN | opcode as u8);
        if let (Ok(short), true) = (u8::try_from(length), length < usize::from(LENGTH_16)) {
            out.push(masked | short);
        } else if let Ok(length) = u16::try_from(length) {
            out.push(masked | LENGTH_16);
            out.extend_from_slice(&length.to_be_bytes());
        } else {
            out.push(masked | LENGTH_64);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
        if let Some(Mask(key)) = mask {
            out.extend_from_slice(&key);
        }
    }
}

//! Why a connection ends: the peer's farewell, or what it has done wrong.

use std::fmt;

/// A farewell (RFC 6455, section 5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// What it means (section 7.4); none if it has not been said.
    pub code: Option<u16>,
    /// The reason, for a human.
    pub reason: String,
}

impl Close {
    /// Read the payload of a frame.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Fault> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return match payload {
                [] => Ok(Self::default()),
                _ => Err(Fault::Protocol("half of a status code")),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Fault::Protocol("a status code that may not be sent"));
        }
        let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
        Ok(Self {
            code: Some(code),
            reason: reason.to_owned(),
        })
    }

    /// The payload of a frame that says this; a reason too long for it is cut.
    pub(super) fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(2 + self.reason.len());
        if let Some(code) = self.code {
            payload.extend_from_slice(&code.to_be_bytes());
            let end = self.reason.floor_char_boundary(LONGEST_REASON_BYTES);
            payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        }
        payload
    }
}

/// A control frame has 125 bytes at most (section 5.5), two of which are the code.
const LONGEST_REASON_BYTES: usize = 123;

/// Section 7.4.1 and the registry of the IANA; from 3000 on, section 7.4.2.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What a peer has done that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has broken the protocol.
    Protocol(&'static str),
    /// It has called something text that is none.
    NotUtf8,
    /// Its message is above the limit.
    TooLarge {
        /// Bytes of the message, as far as they were announced.
        size: u64,
        /// Bytes allowed.
        limit: usize,
    },
}

impl Fault {
    /// What to say to the peer.
    pub(super) fn close(self) -> Close {
        let code = match self {
            Self::Protocol(_) => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge { .. } => 1009,
        };
        Close {
            code: Some(code),
            reason: self.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(what) => out.write_str(what),
            Self::NotUtf8 => out.write_str("text that is not UTF-8"),
            Self::TooLarge { size, limit } => {
                write!(
                    out,
                    "a message of {size} bytes, above the limit of {limit} bytes"
                )
            }
        }
    }
}

impl std::error::Error for Fault {}

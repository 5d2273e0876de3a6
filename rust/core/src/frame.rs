//! Framing on a byte stream: a 4-byte big-endian length, then the body. Zero is illegal.
//!
//! Whole frames are handed on where they lie in what was received; only a frame that is cut by the end
//! of a read is copied. An announced length is not believed until the bytes are there: the buffer
//! grows with what arrives, and never past the one frame.

use std::fmt;

/// Bytes of the length before each body.
pub const PREFIX_BYTES: usize = 4;

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// The peer announced *size* bytes and the limit is *limit*.
    TooLarge {
        /// Bytes announced.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The peer announced a frame of no bytes.
    Empty,
}

impl fmt::Display for BadFrame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, limit } => {
                write!(out, "a frame of {size} bytes; the limit is {limit}")
            }
            Self::Empty => out.write_str("a frame of zero bytes"),
        }
    }
}

impl std::error::Error for BadFrame {}

/// Cuts a byte stream into bodies.
#[derive(Debug)]
pub struct Splitter {
    frame_bytes: usize,
    /// The beginning of a frame whose end has not come, prefix included.
    partial: Vec<u8>,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    #[must_use]
    pub fn new(frame_bytes: usize) -> Self {
        Self {
            frame_bytes,
            partial: Vec::new(),
        }
    }

    /// Bytes of a frame whose end has not come.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.len()
    }

    /// Bytes that the frame in the buffer lacks; 0 if there is none, or if its length has not come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.partial
            .split_first_chunk::<PREFIX_BYTES>()
            .map_or(0, |(prefix, body)| {
                (u32::from_be_bytes(*prefix) as usize).saturating_sub(body.len())
            })
    }

    /// Hand every body that is whole now to *sink*, in order.
    ///
    /// # Errors
    /// What *sink* returned, or a [`BadFrame`] as soon as its length is known. The splitter is of no
    /// use afterwards: where the next frame begins is not known.
    pub fn feed<E: From<BadFrame>>(
        &mut self,
        mut data: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.partial.is_empty() {
            let Some(rest) = self.complete(data)? else {
                return Ok(());
            };
            let outcome = sink(&self.partial[PREFIX_BYTES..]);
            // A busy link keeps a small buffer; one huge frame does not stay allocated for ever.
            self.partial.clear();
            self.partial.shrink_to(KEPT_BYTES);
            outcome?;
            data = rest;
        }
        while let Some((prefix, rest)) = data.split_first_chunk::<PREFIX_BYTES>() {
            let length = self.length(*prefix)?;
            let Some((body, rest)) = rest.split_at_checked(length) else {
                break;
            };
            sink(body)?;
            data = rest;
        }
        self.partial.extend_from_slice(data);
        Ok(())
    }

    /// Take from *data* what the partial frame lacks; what is left of *data* if that completed it.
    fn complete<'d>(&mut self, mut data: &'d [u8]) -> Result<Option<&'d [u8]>, BadFrame> {
        if let Some(missing) = PREFIX_BYTES.checked_sub(self.partial.len()) {
            let (head, rest) = data.split_at(missing.min(data.len()));
            self.partial.extend_from_slice(head);
            data = rest;
        }
        let Some(prefix) = self.partial.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let whole = PREFIX_BYTES + self.length(*prefix)?;
        let missing = whole - self.partial.len();
        let (body, rest) = data.split_at(missing.min(data.len()));
        let wanted = self.partial.len() + body.len();
        if wanted > self.partial.capacity() {
            // Double, so that many small reads stay linear, but not beyond the frame.
            let capacity = (2 * self.partial.capacity()).clamp(wanted, whole);
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(body);
        Ok((body.len() == missing).then_some(rest))
    }

    #[inline]
    fn length(&self, prefix: [u8; PREFIX_BYTES]) -> Result<usize, BadFrame> {
        let size = u32::from_be_bytes(prefix) as usize;
        let limit = self.frame_bytes;
        if size == 0 {
            Err(BadFrame::Empty)
        } else if size > limit {
            Err(BadFrame::TooLarge { size, limit })
        } else {
            Ok(size)
        }
    }
}

const KEPT_BYTES: usize = 64 << 10;

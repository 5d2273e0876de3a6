//! Why bytes are not an envelope, and where.

use std::borrow::Cow;
use std::fmt;

/// Bytes that break the rules of the wire.
///
/// Boxed, so that the happy path hands results around in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Box<Fault>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    reason: Cow<'static, str>,
    offset: usize,
}

impl Malformed {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Fault {
            reason: reason.into(),
            offset,
        }))
    }

    /// What is wrong, with the name of the field in front where there is one.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Where, in bytes from the start of the envelope (its length prefix not counted).
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    #[cold]
    #[inline(never)]
    fn within(mut self, field: &str) -> Self {
        self.0.reason = format!("{field}: {}", self.0.reason).into();
        self
    }

    /// The same fault in a value that begins *base* bytes further on.
    #[cold]
    pub(crate) fn shifted(mut self, base: usize) -> Self {
        self.0.offset += base;
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "malformed envelope at byte {}: {}",
            self.0.offset, self.0.reason
        )
    }
}

impl std::error::Error for Malformed {}

/// Names the field in which a fault was found.
pub(crate) trait InField<T> {
    fn in_field(self, field: &'static str) -> Result<T, Malformed>;
    /// As `in_field`, for a key that the peer made up: quoted, and cut to a readable length.
    fn in_unknown_field(self, parent: &str, key: &str) -> Result<T, Malformed>;
}

impl<T> InField<T> for Result<T, Malformed> {
    #[inline]
    fn in_field(self, field: &'static str) -> Self {
        self.map_err(|fault| fault.within(field))
    }

    #[inline]
    fn in_unknown_field(self, parent: &str, key: &str) -> Self {
        self.map_err(|fault| fault.within(&format!("{parent}{}", quoted(key))))
    }
}

/// A key of the peer's, fit for a log line.
#[cold]
pub(crate) fn quoted(key: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = key.chars().take(SHOWN).collect();
    let dots = if shown.len() < key.len() { "…" } else { "" };
    format!("{shown:?}{dots}")
}

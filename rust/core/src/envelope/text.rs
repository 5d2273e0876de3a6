//! Text of a header field, as it stands on the wire.

use std::borrow::Cow;
use std::fmt;

use super::escape::unescape;

/// Valid UTF-8 that is borrowed from an envelope, or from a program that makes one.
///
/// JSON escapes are checked when the envelope is read and resolved only when somebody asks: hardly
/// any header has one.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// UTF-8, validated by whoever made this.
    bytes: &'a [u8],
    spelling: Spelling,
}

/// A whole word wide: seven bytes of padding after a `bool` are copied in two overlapping halves,
/// and the processor then waits for both (half of the time of a decode, before this).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Spelling {
    Plain,
    Escaped,
}

impl<'a> Text<'a> {
    pub(crate) const EMPTY: Text<'static> = Text {
        bytes: b"",
        spelling: Spelling::Plain,
    };

    #[inline]
    pub(crate) const fn plain_of(bytes: &'a [u8]) -> Self {
        let spelling = Spelling::Plain;
        Self { bytes, spelling }
    }

    #[inline]
    pub(crate) const fn escaped_of(bytes: &'a [u8]) -> Self {
        let spelling = Spelling::Escaped;
        Self { bytes, spelling }
    }

    /// The bytes, if they are the text and not an escaped spelling of it.
    #[inline]
    #[must_use]
    pub fn plain(self) -> Option<&'a [u8]> {
        match self.spelling {
            Spelling::Plain => Some(self.bytes),
            Spelling::Escaped => None,
        }
    }

    /// The text.
    #[must_use]
    pub fn to_str(self) -> Cow<'a, str> {
        // Validated already, so this replaces nothing; there is no checked way that says so.
        let text = String::from_utf8_lossy(self.bytes);
        if self.spelling == Spelling::Escaped {
            Cow::Owned(unescape(&text))
        } else {
            text
        }
    }

    /// The text in UTF-8.
    #[must_use]
    pub fn bytes(self) -> Cow<'a, [u8]> {
        match self.plain() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => Cow::Owned(self.to_str().into_owned().into_bytes()),
        }
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::plain_of(text.as_bytes())
    }
}

impl PartialEq for Text<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self.plain(), other.plain()) {
            (Some(one), Some(another)) => one == another,
            _ => self.to_str() == other.to_str(),
        }
    }
}

impl Eq for Text<'_> {}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_str().fmt(out)
    }
}

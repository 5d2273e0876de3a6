//! Keys that sign, and the checks of what they signed.

use core::fmt;

pub mod ed25519;
pub mod ethereum;
pub mod secp256k1;
pub mod ssh;

/// Bytes that are no key, with the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

impl BadKey {
    /// Take *bytes* as the N bytes that *what* has.
    ///
    /// # Errors
    /// Another length.
    pub fn length<'a, const N: usize>(what: &str, bytes: &'a [u8]) -> Result<&'a [u8; N], Self> {
        bytes
            .try_into()
            .map_err(|_| Self(format!("{what} is {N} bytes; this one is {}", bytes.len())))
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadKey {}

/// The signature is not by that key over that message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is not by that key over that message")
    }
}

impl std::error::Error for BadSignature {}

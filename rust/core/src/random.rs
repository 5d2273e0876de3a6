//! Randomness of the operating system, asked anew each time.
//!
//! No generator of our own stands between: one that lives in the process repeats itself after a
//! fork or a restored snapshot, and a nonce that repeats gives AES-GCM away. It costs 0.3 us a call.

use core::fmt;

/// The operating system gave no randomness: there is no safe way on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the operating system gave no randomness, and nothing is made without: \
             is a sandbox refusing getrandom(2)?",
        )
    }
}

impl std::error::Error for NoRandomness {}

/// Fill *bytes* with randomness.
///
/// # Errors
/// The system has none to give.
pub fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

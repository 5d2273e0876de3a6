//! Randomness of the operating system.
//!
//! For whatever must not repeat it is asked anew each time: what lies ready in the process comes
//! twice after a fork or a restored snapshot, and a nonce that comes twice gives AES-GCM away. A
//! call takes 0.2 us up to 32 bytes and half as much again beyond, so what may repeat, because
//! nothing hangs on it, is kept ready.

use core::fmt;
use std::cell::RefCell;

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

const READY_BYTES: usize = 1024;

/// Bytes that the system gave, and how many of them were used.
struct Ready {
    bytes: [u8; READY_BYTES],
    used: usize,
}

thread_local! {
    static READY: RefCell<Ready> =
        const { RefCell::new(Ready { bytes: [0; READY_BYTES], used: READY_BYTES }) };
}

/// N bytes of randomness that come again in a forked child: for what no security hangs on.
///
/// # Errors
/// The system has none to give.
pub(crate) fn may_repeat<const N: usize>() -> Result<[u8; N], NoRandomness> {
    const { assert!(N <= READY_BYTES) }
    READY.with_borrow_mut(|ready| {
        if READY_BYTES - ready.used < N {
            fill(&mut ready.bytes)?;
            ready.used = 0;
        }
        let taken = ready.bytes[ready.used..]
            .first_chunk()
            .copied()
            .ok_or(NoRandomness)?;
        ready.used += N;
        Ok(taken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_repeat_does_not_within_a_thread() {
        let mut drawn: Vec<[u8; 24]> = (0..500).map(|_| may_repeat().expect("random")).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 500);
    }
}

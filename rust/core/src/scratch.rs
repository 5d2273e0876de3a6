//! A buffer for what is in between, kept by each thread.
//!
//! Sealing and opening pass the message through a buffer of its length. Asking the system for one
//! each time costs more than the cipher: it comes as fresh pages, which are faulted in one by one.

use std::cell::Cell;

/// A longer buffer is given back, so that one long message does not stay with the thread.
const KEPT_BYTES: usize = 1024 * 1024;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lend *length* bytes to `use_them`; what is in them is left from the last time. What is left in
/// them stays in memory: leave no secret.
pub(crate) fn with_bytes<R>(length: usize, use_them: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = BUFFER.take();
    if buffer.len() < length {
        // Not `resize`, which would copy what nobody wants.
        buffer = vec![0; length];
    }
    let result = use_them(&mut buffer[..length]);
    if buffer.len() <= KEPT_BYTES {
        BUFFER.set(buffer);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_buffer_is_kept_and_a_long_one_is_not() {
        with_bytes(1000, |bytes| bytes.fill(7));
        with_bytes(10, |bytes| {
            assert_eq!(bytes, [7; 10]);
            with_bytes(2000, |inner| assert_eq!(inner, [0; 2000]));
        });
        with_bytes(KEPT_BYTES + 1, |bytes| bytes.fill(9));
        with_bytes(5, |bytes| assert_eq!(bytes, [0; 5]));
    }
}

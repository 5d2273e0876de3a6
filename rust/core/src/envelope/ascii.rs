//! Whether bytes are all ASCII: asked of every string, and nearly always answered with yes.

use wide::u8x16;

const HIGH: u64 = 0x8080_8080_8080_8080;

/// As `<[u8]>::is_ascii`, but quick for strings of some tens of bytes: whole words first, and the
/// last word once more instead of what is left over byte by byte.
#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let (chunks, _) = bytes.as_chunks::<16>();
        let mut any = u8x16::new(*last);
        for chunk in chunks {
            any |= u8x16::new(*chunk);
        }
        any.to_bitmask() == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (u64::from_le_bytes(*first) | u64::from_le_bytes(*last)) & HIGH == 0
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH == 0
    } else {
        bytes.iter().all(u8::is_ascii)
    }
}

#[cfg(test)]
mod tests {
    use super::is_ascii;

    #[test]
    fn one_byte_above_ascii_is_found_wherever_it_stands() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert!(is_ascii(&bytes));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "{at} of {length}");
                bytes[at] = 0x7f;
            }
        }
    }
}

//! How far a run of plain string bytes goes: the loop in which most of the time is spent.
//!
//! Sixteen bytes at a time in a vector register, and the tail eight at a time in a plain word.
//! (Thirty-two at a time was tried and is slower: most strings of a header are short.)

use wide::i8x16;

/// The first position from *at* on that holds `"`, `\`, a control character or a byte above 0x7f, or
/// the end.
#[inline(always)]
pub(super) fn ascii_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = wide_marks(*chunk);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let marks = marks(word) | (word & HIGH);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// As `ascii_run`, but bytes above 0x7f are plain too.
#[inline]
pub(super) fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = marks(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// One bit for each of sixteen bytes that ends an ASCII run.
#[inline(always)]
fn wide_marks(chunk: [u8; 16]) -> u32 {
    let bytes = i8x16::new(chunk.map(u8::cast_signed));
    // Seen as signed, control characters and bytes above 0x7f are what is less than a space.
    let outside = bytes.simd_lt(i8x16::splat(0x20));
    let quote = bytes.simd_eq(i8x16::splat(0x22));
    let backslash = bytes.simd_eq(i8x16::splat(0x5c));
    (outside | quote | backslash).to_bitmask()
}

const LANES: u64 = u64::MAX / 0xff;
const HIGH: u64 = LANES * 0x80;

/// The high bit of each of eight bytes that is `"`, `\` or a control character.
///
/// The lowest mark is always right; a borrow may set a false one above it (the classic way to find
/// a zero byte in a word).
#[inline]
fn marks(word: u64) -> u64 {
    let quote = word ^ (LANES * 0x22);
    let backslash = word ^ (LANES * 0x5c);
    let control = word.wrapping_sub(LANES * 0x20) & !word;
    let quote = quote.wrapping_sub(LANES) & !quote;
    let backslash = backslash.wrapping_sub(LANES) & !backslash;
    (control | quote | backslash) & HIGH
}

#[cfg(test)]
mod tests {
    use super::{ascii_run, plain_run};

    #[test]
    fn a_run_ends_at_each_byte_that_is_not_plain_wherever_it_stands() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(ascii_run(&bytes, 0), length);
            assert_eq!(plain_run(&bytes, 0), length);
            for at in 0..length {
                for byte in 0..=255_u8 {
                    bytes[at] = byte;
                    let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let plain = if ends { at } else { length };
                    let ascii = if ends || byte >= 0x80 { at } else { length };
                    assert_eq!(plain_run(&bytes, 0), plain, "{byte:#x} at {at} of {length}");
                    assert_eq!(ascii_run(&bytes, 0), ascii, "{byte:#x} at {at} of {length}");
                }
                bytes[at] = b'z';
            }
        }
    }
}

//! How far a run of plain string bytes goes: the loop in which most of the time is spent.
//!
//! Sixteen bytes at a time in a vector register, and the tail eight at a time in a plain word.

use wide::u8x16;

/// The first position from *at* on that holds `"`, `\` or a control character, or the end.
///
/// Sets `beyond_ascii` if a byte above 0x7f may have been passed (it may be set for one that stands
/// a little further on): only then need anybody look whether the input is UTF-8.
#[inline(always)]
pub(super) fn plain_run(bytes: &[u8], mut at: usize, beyond_ascii: &mut bool) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let (special, high) = wide_marks(*chunk);
        *beyond_ascii |= high;
        if special != 0 {
            return at + special.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        *beyond_ascii |= word & HIGH != 0;
        let special = marks(word);
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        *beyond_ascii |= byte >= 0x80;
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// One bit for each of sixteen bytes that ends a run, and whether any byte is above 0x7f.
#[inline(always)]
fn wide_marks(chunk: [u8; 16]) -> (u32, bool) {
    let bytes = u8x16::new(chunk);
    let last_control = u8x16::splat(0x1f);
    let control = bytes.max(last_control).cmp_eq(last_control);
    let quote = bytes.cmp_eq(u8x16::splat(b'"'));
    let backslash = bytes.cmp_eq(u8x16::splat(b'\\'));
    (
        (control | quote | backslash).move_mask().cast_unsigned(),
        bytes.move_mask() != 0,
    )
}

const LANES: u64 = u64::MAX / 0xff;
const HIGH: u64 = LANES * 0x80;

/// The high bit of each of eight bytes that ends a run.
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

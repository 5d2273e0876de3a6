//! RS1024, the checksum of a share: a Reed-Solomon code over GF(1024), three words long.
//!
//! It finds any three wrong words. It could mend one; the standard forbids that, because mending a
//! share with more mistakes makes another good one of it. It allows saying where to look.

use core::hint::black_box;

/// Words of the checksum.
pub(super) const WORDS: usize = 3;

/// SLIP-0039, "Checksum".
const GENERATOR: [u32; 10] = [
    0x00e0_e040,
    0x01c1_c080,
    0x0383_8100,
    0x0707_0200,
    0x0e0e_0009,
    0x1c0c_2412,
    0x3808_6c24,
    0x3090_fc48,
    0x21b1_f890,
    0x03f3_f120,
];

fn step(sum: u32, value: u32) -> u32 {
    let top = sum >> 20;
    let mut next = ((sum & 0xf_ffff) << 10) ^ value;
    for (bit, generator) in GENERATOR.iter().enumerate() {
        next ^= generator & black_box((top >> bit) & 1).wrapping_neg();
    }
    next
}

fn polymod(customisation: &[u8], words: &[u16]) -> u32 {
    let sum = customisation
        .iter()
        .fold(1, |sum, byte| step(sum, u32::from(*byte)));
    words
        .iter()
        .fold(sum, |sum, word| step(sum, u32::from(*word)))
}

/// Write the checksum of the other words of *words* into its last three.
pub(super) fn seal(customisation: &[u8], words: &mut [u16]) {
    let Some((data, checksum)) = words.split_last_chunk_mut::<WORDS>() else {
        return; // A share has twenty words and more.
    };
    let sum = step(step(step(polymod(customisation, data), 0), 0), 0) ^ 1;
    for (word, shift) in checksum.iter_mut().zip([20, 10, 0]) {
        *word = u16::try_from((sum >> shift) & 1023).unwrap_or_default();
    }
}

/// Whether the last three of *words* are the checksum of the others.
pub(super) fn holds(customisation: &[u8], words: &[u16]) -> bool {
    polymod(customisation, words) == 1
}

/// Which of *words*, from 1, is wrong, if one alone is; what would be right is not said.
///
/// With more mistakes there is seldom such a word, and then it is not one to look at.
pub(super) fn suspect(customisation: &[u8], words: &[u16]) -> Option<usize> {
    // The code is linear: the sum is off by what the mistake alone would come to.
    let off = polymod(customisation, words) ^ 1;
    (1..1024).find_map(|mistake| {
        let mut at_the_end = mistake;
        (0..words.len()).rev().find_map(|index| {
            let is_it = at_the_end == off;
            at_the_end = step(at_the_end, 0);
            is_it.then_some(index + 1)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_wrong_word_is_found_and_is_the_suspect() {
        let mut words: Vec<u16> = (0..20).map(|word| word * 51 % 1024).collect();
        seal(b"shamir", &mut words);
        assert!(holds(b"shamir", &words));
        assert!(!holds(b"shamir_extendable", &words));
        for index in 0..words.len() {
            for mistake in [1, 2, 512, 1023] {
                let mut wrong = words.clone();
                wrong[index] ^= mistake;
                assert!(!holds(b"shamir", &wrong));
                assert_eq!(suspect(b"shamir", &wrong), Some(index + 1));
            }
        }
    }
}

//! HMAC-SHA512 whose every intermediate value is wiped: the step of all key derivation here.
//!
//! A general HMAC keeps its message in a buffer that nobody wipes, and hashes the key anew for each
//! message. Derivation feeds *secrets* as messages and asks one key for many of them, so this one
//! keeps the two compressed pads (RFC 2104, section 4) and cleans up behind itself.

use std::ops::ControlFlow;

use sha2::block_api::compress512;
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a tag.
pub const TAG_BYTES: usize = 64;

const BLOCK_BYTES: usize = 128;

/// The longest message that fits one block beside the end mark and the 16-byte length.
const ONE_BLOCK: usize = BLOCK_BYTES - 17;

/// FIPS 180-4, section 5.3.5.
const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// A key ready to authenticate, wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HmacSha512 {
    inner: [u64; 8],
    outer: [u64; 8],
}

impl HmacSha512 {
    /// Prepare *key*, of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut block = [[0u8; BLOCK_BYTES]; 1];
        if key.len() > BLOCK_BYTES {
            let mut hash = Sha512::digest(key);
            block[0][..TAG_BYTES].copy_from_slice(&hash);
            hash.as_mut_slice().zeroize();
        } else {
            block[0][..key.len()].copy_from_slice(key);
        }
        let mut prepared = Self {
            inner: INITIAL,
            outer: INITIAL,
        };
        block[0].iter_mut().for_each(|byte| *byte ^= 0x36);
        compress512(&mut prepared.inner, &block);
        block[0].iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
        compress512(&mut prepared.outer, &block);
        block.zeroize();
        prepared
    }

    /// Write the tag of *parts*, taken as one message, into *tag*.
    pub fn tag_into(&self, parts: &[&[u8]], tag: &mut [u8; TAG_BYTES]) {
        let mut block = [[0u8; BLOCK_BYTES]; 1];
        let mut state = self.inner;
        let mut filled = 0;
        let mut total = BLOCK_BYTES;
        for part in parts {
            let mut rest = *part;
            total += rest.len();
            while !rest.is_empty() {
                let taken = rest.len().min(BLOCK_BYTES - filled);
                block[0][filled..filled + taken].copy_from_slice(&rest[..taken]);
                filled += taken;
                rest = &rest[taken..];
                if filled == BLOCK_BYTES {
                    compress512(&mut state, &block);
                    filled = 0;
                }
            }
        }
        block[0][filled] = 0x80;
        block[0][filled + 1..].fill(0);
        if filled > ONE_BLOCK {
            compress512(&mut state, &block);
            block[0].fill(0);
        }
        set_length(&mut block[0], total);
        compress512(&mut state, &block);
        put_words(&state, &mut block[0]);
        end_digest(&mut block[0]);
        state = self.outer;
        compress512(&mut state, &block);
        put_words(&state, tag);
        block.zeroize();
        state.zeroize();
    }

    /// PBKDF2 (RFC 8018, section 5.2) for exactly one 64-byte block of output, into *out*.
    ///
    /// Every round hangs on the one before, so nothing here can run side by side: the time is two
    /// compressions a round and nothing else.
    pub fn stretch_into(&self, salt: &[&[u8]], rounds: u32, out: &mut [u8; TAG_BYTES]) {
        let mut first = [0u8; TAG_BYTES];
        self.tag_into(&[salt, &[&[0, 0, 0, 1]]].concat(), &mut first);

        // The last 64 bytes of every block here are the same: they say that 64 came before.
        let mut block = [[0u8; BLOCK_BYTES]; 1];
        end_digest(&mut block[0]);
        let mut state = [0u64; 8];
        for (word, bytes) in state.iter_mut().zip(first.chunks_exact(8)) {
            *word = bytes
                .iter()
                .fold(0, |value, byte| (value << 8) | u64::from(*byte));
        }
        let mut sum = state;
        for _ in 1..rounds {
            for pad in [&self.inner, &self.outer] {
                put_words(&state, &mut block[0]);
                state = *pad;
                compress512(&mut state, &block);
            }
            for (total, word) in sum.iter_mut().zip(&state) {
                *total ^= word;
            }
        }
        put_words(&sum, out);
        first.zeroize();
        block.zeroize();
        state.zeroize();
        sum.zeroize();
    }
}

/// Close a block whose first 64 bytes are a digest, after one block that was a padded key.
fn end_digest(block: &mut [u8; BLOCK_BYTES]) {
    block[TAG_BYTES] = 0x80;
    block[TAG_BYTES + 1..].fill(0);
    set_length(block, BLOCK_BYTES + TAG_BYTES);
}

fn set_length(block: &mut [u8; BLOCK_BYTES], bytes: usize) {
    block[BLOCK_BYTES - 8..].copy_from_slice(&(bytes as u64 * 8).to_be_bytes());
}

/// Write *words* at the front of *bytes*.
fn put_words(words: &[u64; 8], bytes: &mut [u8]) {
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
}

/// HKDF (RFC 5869) over HMAC-SHA512, without salt: hand the output to *take*, 64 bytes at a time, as
/// long as it wants more, and up to the 255 blocks that the RFC allows.
pub(crate) fn hkdf(secret: &[u8], info: &[u8], mut take: impl FnMut(&[u8]) -> ControlFlow<()>) {
    let mut pseudorandom = Zeroizing::new([0; TAG_BYTES]);
    HmacSha512::new(&[0; TAG_BYTES]).tag_into(&[secret], &mut pseudorandom);
    let expand = HmacSha512::new(&pseudorandom[..]);
    let mut block = Zeroizing::new([0; TAG_BYTES]);
    let mut previous = Zeroizing::new([0; TAG_BYTES]);
    for counter in 1..=u8::MAX {
        let chained = if counter == 1 { &[][..] } else { &previous[..] };
        expand.tag_into(&[chained, info, &[counter]], &mut block);
        if take(&block[..]).is_break() {
            break;
        }
        previous.copy_from_slice(&block[..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn tag(key: &[u8], parts: &[&[u8]]) -> String {
        let mut tag = [0; TAG_BYTES];
        HmacSha512::new(key).tag_into(parts, &mut tag);
        hex(&tag)
    }

    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        for (key, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
                 daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            assert_eq!(tag(key, &[message]), expected);
        }
    }

    #[test]
    fn a_message_is_the_same_however_it_is_cut() {
        let message: Vec<u8> = (0..=255).cycle().take(400).collect();
        for length in [0, 1, 110, 111, 112, 127, 128, 129, 255, 256, 300, 400] {
            let whole = tag(b"key", &[&message[..length]]);
            for cut in [0, 1, 64, 111, 128, 200] {
                let (one, two) = message[..length].split_at(cut.min(length));
                assert_eq!(
                    tag(b"key", &[one, &[], two]),
                    whole,
                    "{length} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn one_round_of_stretching_is_one_tag_and_two_are_their_sum() {
        let hmac = HmacSha512::new(b"password");
        let (mut stretched, mut first, mut second) = ([0; 64], [0; 64], [0; 64]);
        hmac.tag_into(&[b"salt", &[0, 0, 0, 1]], &mut first);
        hmac.stretch_into(&[b"sa", b"lt"], 1, &mut stretched);
        assert_eq!(stretched, first);
        hmac.tag_into(&[&first], &mut second);
        first
            .iter_mut()
            .zip(&second)
            .for_each(|(sum, byte)| *sum ^= byte);
        hmac.stretch_into(&[b"salt"], 2, &mut stretched);
        assert_eq!(stretched, first);
    }
}

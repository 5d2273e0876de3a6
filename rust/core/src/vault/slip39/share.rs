//! One share: what its words say, and the words.

use alknet_guard::Cell;
use zeroize::Zeroizing;

use super::error::BadShare;
use super::{rs1024, wordlist};
use crate::vault::mnemonic::normalise;

/// Bytes of the longest secret that is shared (BIP-32 has no longer seed), and of the shortest.
pub const LONGEST_SECRET: usize = 64;
pub(super) const SHORTEST_SECRET: usize = 16;

/// Words before the value, and all but the value.
const HEADER_WORDS: usize = 4;
const OTHER_WORDS: usize = HEADER_WORDS + rs1024::WORDS;
const WORD_BITS: usize = 10;
const MOST_WORDS: usize = OTHER_WORDS + (LONGEST_SECRET * 8).div_ceil(WORD_BITS);
/// More bits than this cannot be padding: another byte would fit.
const MOST_PADDING: usize = 8;

/// What is the same in all shares of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 15 bits.
    pub(super) identifier: u16,
    pub(super) is_extendable: bool,
    /// 0 to 15.
    pub(super) iteration_exponent: u8,
    /// How many groups are needed, 1 to 16, and how many there are.
    pub(super) group_threshold: u8,
    pub(super) group_count: u8,
    /// Bytes of the secret, and of each value.
    pub(super) bytes: usize,
}

impl Header {
    fn customisation(&self) -> &'static [u8] {
        if self.is_extendable {
            b"shamir_extendable"
        } else {
            b"shamir"
        }
    }
}

/// A share whose words and checksum are good; wiped on drop.
pub struct Share {
    pub(super) header: Header,
    /// Which group it is of, from 0, and which of that group.
    pub(super) group: u8,
    pub(super) member: u8,
    /// How many of its group are needed, 1 to 16.
    pub(super) threshold: u8,
    pub(super) value: Cell,
}

impl Share {
    /// Read a share as a person types it: any white space, any case.
    ///
    /// # Errors
    /// It is none; see [`BadShare`].
    pub fn parse(share: &[u8]) -> Result<Self, BadShare> {
        let share = core::str::from_utf8(share).map_err(|_| BadShare::NotText)?;
        let share = normalise(share);
        let found = share.split_whitespace().count();
        let bytes = value_bytes(found).ok_or(BadShare::WordCount { found })?;
        let mut indices = Zeroizing::new([0; MOST_WORDS]);
        let indices = &mut indices[..found];
        for (number, word) in share.split_whitespace().enumerate() {
            let position = number + 1;
            indices[number] = wordlist::find(word).ok_or(BadShare::UnknownWord { position })?;
        }
        Self::from_indices(indices, bytes)
    }

    fn from_indices(indices: &[u16], bytes: usize) -> Result<Self, BadShare> {
        let field = |first: usize, bits: usize| -> u16 {
            (first..first + bits).fold(0, |value, at| (value << 1) | bit(indices, at))
        };
        let small = |first| u8::try_from(field(first, 4)).unwrap_or_default();
        let header = Header {
            identifier: field(0, 15),
            is_extendable: field(15, 1) == 1,
            iteration_exponent: small(16),
            group_threshold: small(24) + 1,
            group_count: small(28) + 1,
            bytes,
        };
        let customisation = header.customisation();
        if !rs1024::holds(customisation, indices) {
            let suspect = rs1024::suspect(customisation, indices);
            return Err(BadShare::Checksum { suspect });
        }
        if header.group_threshold > header.group_count {
            return Err(BadShare::Groups);
        }
        let end = (indices.len() - rs1024::WORDS) * WORD_BITS;
        let start = end - bytes * 8;
        if (HEADER_WORDS * WORD_BITS..start).any(|at| bit(indices, at) != 0) {
            return Err(BadShare::Padding);
        }
        let mut value = Cell::new();
        for (number, byte) in value[..bytes].iter_mut().enumerate() {
            let first = start + number * 8;
            *byte = (first..first + 8)
                .fold(0, |byte, at| (byte << 1) | u8::from(bit(indices, at) == 1));
        }
        Ok(Self {
            header,
            group: small(20),
            member: small(32),
            threshold: small(36) + 1,
            value,
        })
    }

    /// The words, in lower case, with single spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        let header = &self.header;
        let length = OTHER_WORDS + (header.bytes * 8).div_ceil(WORD_BITS);
        let mut indices = Zeroizing::new([0; MOST_WORDS]);
        let indices = &mut indices[..length];
        let mut put = |first: usize, bits: usize, value: u16| {
            for at in 0..bits {
                let bit = (value >> (bits - 1 - at)) & 1;
                indices[(first + at) / WORD_BITS] |=
                    bit << (WORD_BITS - 1 - (first + at) % WORD_BITS);
            }
        };
        put(0, 15, header.identifier);
        put(15, 1, u16::from(header.is_extendable));
        put(16, 4, u16::from(header.iteration_exponent));
        put(20, 4, u16::from(self.group));
        put(24, 4, u16::from(header.group_threshold - 1));
        put(28, 4, u16::from(header.group_count - 1));
        put(32, 4, u16::from(self.member));
        put(36, 4, u16::from(self.threshold - 1));
        let start = (length - rs1024::WORDS) * WORD_BITS - header.bytes * 8;
        for (number, byte) in self.value[..header.bytes].iter().enumerate() {
            put(start + number * 8, 8, u16::from(*byte));
        }
        rs1024::seal(header.customisation(), indices);
        let longest = MOST_WORDS * (wordlist::LONGEST_WORD + 1);
        let mut text = Zeroizing::new(String::with_capacity(longest));
        for (number, index) in indices.iter().enumerate() {
            if number > 0 {
                text.push(' ');
            }
            text.push_str(wordlist::word(*index));
        }
        text
    }

    /// How hard the passphrase is to guess: it costs 10000 times two to this power rounds.
    #[must_use]
    pub fn iteration_exponent(&self) -> u8 {
        self.header.iteration_exponent
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value[..self.header.bytes]
    }
}

/// The bytes of the value in a share of so many *words*; None if there is no such share.
fn value_bytes(words: usize) -> Option<usize> {
    let bits = words.checked_sub(OTHER_WORDS)? * WORD_BITS;
    let padding = bits % 16;
    let bytes = (bits - padding) / 8;
    let is_one = padding <= MOST_PADDING && (SHORTEST_SECRET..=LONGEST_SECRET).contains(&bytes);
    is_one.then_some(bytes)
}

/// Bit *at* of a string in which each word takes ten.
fn bit(indices: &[u16], at: usize) -> u16 {
    (indices[at / WORD_BITS] >> (WORD_BITS - 1 - at % WORD_BITS)) & 1
}

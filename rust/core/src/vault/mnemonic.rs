//! BIP-39: a phrase of English words, and the 64-byte seed stretched out of it.

use core::fmt;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

use crate::hmac::HmacSha512;
use crate::random::{self, NoRandomness};
use alknet_guard::Cell;

/// Bytes of a seed.
pub const SEED_BYTES: usize = 64;

/// BIP-39, "From mnemonic to seed".
const ROUNDS: u32 = 2048;

const MAX_WORDS: usize = 24;

/// No word of the list is longer (BIP-39, "Wordlist").
const LONGEST_WORD: usize = 8;

/// The English list of BIP-39 (bitcoin/bips `bip-0039/english.txt`, MIT), sorted.
static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("english.txt").lines().collect());

/// Why a text is no recovery phrase. It never quotes a word: a phrase with one slip in it is still
/// almost the whole secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadMnemonic {
    /// The number of words is none of 12, 15, 18, 21, 24.
    WordCount {
        /// How many words there are.
        found: usize,
    },
    /// A word is not in the English list.
    UnknownWord {
        /// Which one, from 1.
        position: usize,
    },
    /// All words are known, and together they are no phrase.
    Checksum,
    /// The bytes are not UTF-8.
    NotText,
}

impl fmt::Display for BadMnemonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WordCount { found } => write!(
                f,
                "a recovery phrase has 12, 15, 18, 21 or 24 words; this one has {found}"
            ),
            Self::UnknownWord { position } => write!(
                f,
                "word {position} of the recovery phrase is not in the English list of BIP-39: \
                 look for a slip of the pen there"
            ),
            Self::Checksum => f.write_str(
                "every word of the recovery phrase is known, but the checksum is wrong: \
                 two words have changed places, or one is another word of the list",
            ),
            Self::NotText => f.write_str("the recovery phrase is not UTF-8 text"),
        }
    }
}

impl std::error::Error for BadMnemonic {}

/// A phrase whose words and checksum are good; wiped on drop.
pub struct Mnemonic {
    /// The words in lower case with one space between, and nothing else.
    text: Zeroizing<String>,
}

impl Mnemonic {
    /// Make a phrase of 12, 15, 18, 21 or 24 *words* out of the operating system's randomness.
    ///
    /// # Errors
    /// Another number of words; the system has no randomness.
    pub fn generate(words: usize) -> Result<Self, NotGenerated> {
        if !is_word_count(words) {
            return Err(NotGenerated::Words(words));
        }
        let mut entropy = Cell::new();
        let entropy = &mut entropy[..words * 4 / 3];
        random::fill(entropy).map_err(NotGenerated::Randomness)?;
        Ok(Self::from_entropy(entropy))
    }

    /// The phrase that stands for *entropy*, of 16, 20, 24, 28 or 32 bytes.
    pub(crate) fn from_entropy(entropy: &[u8]) -> Self {
        let mut bits = Zeroizing::new([0u8; 33]);
        bits[..entropy.len()].copy_from_slice(entropy);
        bits[entropy.len()] = checksum(entropy);
        let words = entropy.len() * 3 / 4;
        let mut text = Zeroizing::new(String::with_capacity(MAX_WORDS * (LONGEST_WORD + 1)));
        for number in 0..words {
            if number > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[read_index(&bits[..], number)]);
        }
        Self { text }
    }

    /// Read a phrase as a person types it: any white space, any case.
    ///
    /// # Errors
    /// It is not a phrase; see [`BadMnemonic`].
    pub fn parse(phrase: &[u8]) -> Result<Self, BadMnemonic> {
        let phrase = core::str::from_utf8(phrase).map_err(|_| BadMnemonic::NotText)?;
        let phrase = normalise(phrase);
        let found = phrase.split_whitespace().count();
        if !is_word_count(found) {
            return Err(BadMnemonic::WordCount { found });
        }
        let mut bits = Zeroizing::new([0u8; 33]);
        let mut text = Zeroizing::new(String::with_capacity(MAX_WORDS * (LONGEST_WORD + 1)));
        for (number, word) in phrase.split_whitespace().enumerate() {
            let index = find_word(word).ok_or(BadMnemonic::UnknownWord {
                position: number + 1,
            })?;
            write_index(&mut bits[..], number, index);
            if number > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[index]);
        }
        let (entropy, rest) = bits.split_at(found * 4 / 3);
        // The last byte written is the checksum, in its upper found / 3 bits.
        if rest[0] != checksum(entropy) {
            return Err(BadMnemonic::Checksum);
        }
        Ok(Self { text })
    }

    /// The words, in lower case, with single spaces.
    #[must_use]
    pub fn phrase(&self) -> &str {
        &self.text
    }

    /// What the phrase stands for, and how many bytes it is.
    pub(crate) fn entropy(&self) -> (Cell, usize) {
        let mut bits = Zeroizing::new([0u8; 33]);
        let mut words = 0;
        for (number, word) in self.text.split(' ').enumerate() {
            // Every word is known: the phrase would not be one otherwise.
            write_index(&mut bits[..], number, find_word(word).unwrap_or_default());
            words = number + 1;
        }
        let bytes = words * 4 / 3;
        (Cell::holding(&bits[..bytes]), bytes)
    }

    /// Stretch the phrase and *passphrase* (UTF-8, normalised to NFKD here) into *seed*.
    ///
    /// # Errors
    /// *passphrase* is not UTF-8.
    pub fn seed_into(&self, passphrase: &[u8], seed: &mut [u8; SEED_BYTES]) -> Result<(), NotUtf8> {
        let passphrase = core::str::from_utf8(passphrase).map_err(|_| NotUtf8)?;
        let passphrase = normalise(passphrase);
        HmacSha512::new(self.text.as_bytes()).stretch_into(
            &[b"mnemonic", passphrase.as_bytes()],
            ROUNDS,
            seed,
        );
        Ok(())
    }
}

/// There is no new phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGenerated {
    /// No phrase has so many words.
    Words(usize),
    /// The system has no randomness to give.
    Randomness(NoRandomness),
}

impl fmt::Display for NotGenerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => write!(
                f,
                "a recovery phrase has 12, 15, 18, 21 or 24 words; {words} were asked for"
            ),
            Self::Randomness(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotGenerated {}

/// The passphrase is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the passphrase is not UTF-8 text")
    }
}

impl std::error::Error for NotUtf8 {}

fn is_word_count(words: usize) -> bool {
    matches!(words, 12 | 15 | 18 | 21 | 24)
}

/// Whether a phrase stands for so many *bytes*.
pub(super) fn is_entropy(bytes: usize) -> bool {
    bytes.is_multiple_of(4) && is_word_count(bytes * 3 / 4)
}

/// NFKD, into a buffer that is measured first so that it never grows and leaves a copy behind.
pub(super) fn normalise(text: &str) -> Zeroizing<String> {
    let bytes = text.nfkd().map(char::len_utf8).sum();
    let mut normal = Zeroizing::new(String::with_capacity(bytes));
    text.nfkd().for_each(|c| normal.push(c));
    normal
}

fn find_word(word: &str) -> Option<usize> {
    if word.len() > LONGEST_WORD || !word.is_ascii() {
        return None;
    }
    let mut lower = Zeroizing::new([0u8; LONGEST_WORD]);
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    WORDS
        .binary_search_by(|candidate| candidate.as_bytes().cmp(lower))
        .ok()
}

/// The first byte of the hash, cut to one bit for every 4 bytes of *entropy*.
fn checksum(entropy: &[u8]) -> u8 {
    let mut hash = Sha256::digest(entropy);
    let first = hash[0];
    hash.as_mut_slice().zeroize();
    first & u8::MAX << (8 - entropy.len() / 4)
}

/// Word *number* of a bit string in which each takes 11 bits.
fn read_index(bits: &[u8], number: usize) -> usize {
    (0..11).fold(0, |index, bit| {
        let at = number * 11 + bit;
        (index << 1) | usize::from(bits[at / 8] >> (7 - at % 8) & 1)
    })
}

fn write_index(bits: &mut [u8], number: usize, index: usize) {
    for bit in 0..11 {
        let at = number * 11 + bit;
        let value = u8::from(index >> (10 - bit) & 1 == 1);
        bits[at / 8] |= value << (7 - at % 8);
    }
}

//! What can be wrong with a share, or with shares that do not belong together.

use core::fmt;

/// Why a text is no share, or not one that helps. It never quotes a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadShare {
    /// The bytes are not UTF-8.
    NotText,
    /// No share has so many words.
    WordCount {
        /// How many words there are.
        found: usize,
    },
    /// A word is not in the list.
    UnknownWord {
        /// Which one, from 1.
        position: usize,
    },
    /// All words are known, and together they are no share.
    Checksum {
        /// Which word, from 1, is wrong if only one is.
        suspect: Option<usize>,
    },
    /// The bits before the value are not zeros.
    Padding,
    /// It wants more groups than there are.
    Groups,
    /// It belongs to another secret, or to another set of shares of this one.
    OtherSet,
    /// It says that its group needs another number of shares than the others say.
    OtherThreshold,
    /// It is there already.
    Given,
    /// Another share of the same number is there, with other content.
    Twice,
    /// There are enough shares of its group.
    NotNeeded,
    /// There are not enough shares yet.
    Missing {
        /// How many more are needed at least.
        shares: usize,
    },
    /// Together they give no secret that was ever shared.
    Digest,
    /// What they give is not the entropy of a phrase.
    NoPhrase {
        /// How many bytes it has.
        bytes: usize,
    },
}

impl BadShare {
    /// The word at fault, from 1, if one is known.
    #[must_use]
    pub fn word(&self) -> Option<usize> {
        match self {
            Self::UnknownWord { position } => Some(*position),
            Self::Checksum { suspect } => *suspect,
            _ => None,
        }
    }
}

impl fmt::Display for BadShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("the share is not UTF-8 text"),
            Self::WordCount { found } => write!(
                f,
                "a share of a phrase has 20, 23, 27, 30 or 33 words; this one has {found}"
            ),
            Self::UnknownWord { position } => write!(
                f,
                "word {position} of the share is not in the list of SLIP-0039: look for a slip of \
                 the pen there"
            ),
            Self::Checksum {
                suspect: Some(position),
            } => write!(
                f,
                "every word of the share is known, but the checksum is wrong: look at word \
                 {position} first"
            ),
            Self::Checksum { suspect: None } => f.write_str(
                "every word of the share is known, but the checksum is wrong: more than one is \
                 another word of the list, or some have changed places",
            ),
            Self::Padding => f.write_str(
                "the share is not one of SLIP-0039: there is something where nothing may be",
            ),
            Self::Groups => {
                f.write_str("the share asks for more groups than it says there are: it is no good")
            }
            Self::OtherSet => f.write_str(
                "the share belongs to another set than those that were given: the first two words \
                 of all shares of a set are the same",
            ),
            Self::OtherThreshold => f.write_str(
                "the share says that another number of shares is needed than the others of its \
                 group say: one of them was tampered with",
            ),
            Self::Given => f.write_str("this share was given already: another one is needed"),
            Self::Twice => f.write_str(
                "another share with the number of this one was given: one of them was tampered with",
            ),
            Self::NotNeeded => {
                f.write_str("enough shares of this one's group were given: it is not needed")
            }
            Self::Missing { shares: 1 } => f.write_str("one more share is needed"),
            Self::Missing { shares } => write!(f, "{shares} more shares are needed"),
            Self::Digest => f.write_str(
                "the shares are good, each by itself, and do not fit together: at least one of \
                 them is a forgery",
            ),
            Self::NoPhrase { bytes } => write!(
                f,
                "the shares give a secret of {bytes} bytes, and no recovery phrase stands for so \
                 many: they are not those of a phrase"
            ),
        }
    }
}

impl std::error::Error for BadShare {}

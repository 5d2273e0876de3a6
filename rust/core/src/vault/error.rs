//! Everything the vault can refuse, in one enum, so that a binding needs one map.

use core::fmt;

use super::bip32::NoKey;
use super::mnemonic::{BadMnemonic, NotGenerated, NotUtf8};
use super::path::BadPath;
use super::slip39::BadShare;
use crate::aead::{DecryptionFailed, TooLong};
use crate::encrypted::BadCiphertext;
use crate::random::NoRandomness;
use crate::secret::Locked;
use crate::sign::ssh::WrongPassphrase;
use crate::sign::{BadKey, BadSignature};

/// Why the vault did not do as asked. The text never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The recovery phrase is not one.
    Mnemonic(BadMnemonic),
    /// The share is none, or does not belong to the others.
    Share(BadShare),
    /// The derivation path is not one, or not one for this curve.
    Path(BadPath),
    /// A key has the wrong length or is not on its curve.
    Key(BadKey),
    /// The value is not `EncryptedData`.
    Ciphertext(BadCiphertext),
    /// The ciphertext does not open.
    Decryption(DecryptionFailed),
    /// A key file does not open with this passphrase.
    Passphrase(WrongPassphrase),
    /// The signature does not verify.
    Signature(BadSignature),
    /// The vault is locked.
    Locked,
    /// Some other argument makes no sense: the sentence says which.
    Input(String),
    /// The system has no randomness to give.
    Randomness(NoRandomness),
    /// What cannot happen did. Nothing here panics, so that a binding need not fear it.
    Internal(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnemonic(error) => error.fmt(f),
            Self::Share(error) => error.fmt(f),
            Self::Path(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Ciphertext(error) => error.fmt(f),
            Self::Decryption(error) => error.fmt(f),
            Self::Passphrase(error) => error.fmt(f),
            Self::Signature(error) => error.fmt(f),
            Self::Randomness(error) => error.fmt(f),
            Self::Internal(sentence) => f.write_str(sentence),
            Self::Locked => Locked.fmt(f),
            Self::Input(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for Error {}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    BadMnemonic => Mnemonic,
    BadShare => Share,
    BadPath => Path,
    BadKey => Key,
    BadCiphertext => Ciphertext,
    DecryptionFailed => Decryption,
    BadSignature => Signature,
    NoRandomness => Randomness,
}

impl From<NotGenerated> for Error {
    fn from(error: NotGenerated) -> Self {
        match error {
            NotGenerated::Words(_) => Self::Input(error.to_string()),
            NotGenerated::Randomness(error) => Self::Randomness(error),
        }
    }
}

impl From<Locked> for Error {
    fn from(_: Locked) -> Self {
        Self::Locked
    }
}

macro_rules! from_input {
    ($($source:ty),* $(,)?) => {
        $(impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::Input(error.to_string())
            }
        })*
    };
}

from_input! { NotUtf8, NoKey, TooLong }

//! `EncryptedData`: the stored form of a sealed value.
//!
//! `salt`, `iv` and `data` are base64 (RFC 4648, section 4, padded): 32 random bytes, 12 bytes, and
//! the ciphertext with its 16-byte tag at the end. `key_version` names the key.

use core::fmt;

use base64_simd::{Out, STANDARD};

use crate::aead::{NONCE_BYTES, TAG_BYTES};

/// Bytes of the salt that we write; the older format has 16.
pub const SALT_BYTES: usize = 32;
/// Bytes of the salt of the older, password-based format.
pub const LEGACY_SALT_BYTES: usize = 16;

/// The value is not `EncryptedData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCiphertext {
    /// The field is not padded standard base64.
    NotBase64(&'static str),
    /// The field decodes to another number of bytes than it must.
    Length {
        /// The name of the field.
        field: &'static str,
        /// Bytes found.
        found: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Version 0 never existed.
    Version,
}

impl fmt::Display for BadCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64(field) => write!(
                f,
                "{field} of the encrypted data is not base64 of the standard alphabet with padding"
            ),
            Self::Length {
                field,
                found,
                allowed,
            } => {
                write!(
                    f,
                    "{field} of the encrypted data is {found} bytes long and must be {allowed}"
                )
            }
            Self::Version => f.write_str("key_version of the encrypted data is 0; the first is 1"),
        }
    }
}

impl std::error::Error for BadCiphertext {}

/// A sealed value whose fields have been checked. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncryptedData {
    key_version: u32,
    salt: String,
    iv: String,
    data: String,
}

impl EncryptedData {
    /// Check the fields of a stored value.
    ///
    /// # Errors
    /// A field is not base64 or has a length that the format does not allow.
    pub fn new(
        key_version: u32,
        salt: String,
        iv: String,
        data: String,
    ) -> Result<Self, BadCiphertext> {
        if key_version == 0 {
            return Err(BadCiphertext::Version);
        }
        let length = |field, text: &str| {
            STANDARD
                .check(text.as_bytes())
                .map_err(|_| BadCiphertext::NotBase64(field))?;
            STANDARD
                .decoded_length(text.as_bytes())
                .map_err(|_| BadCiphertext::NotBase64(field))
        };
        let wrong = |field, found, allowed| {
            Err(BadCiphertext::Length {
                field,
                found,
                allowed,
            })
        };
        let found = length("salt", &salt)?;
        if found != SALT_BYTES && found != LEGACY_SALT_BYTES {
            return wrong("salt", found, "32, or 16 in the older password format");
        }
        let found = length("iv", &iv)?;
        if found != NONCE_BYTES {
            return wrong("iv", found, "12");
        }
        let found = length("data", &data)?;
        if found < TAG_BYTES {
            return wrong("data", found, "16 or more, the tag at its end");
        }
        Ok(Self {
            key_version,
            salt,
            iv,
            data,
        })
    }

    /// Write down what was just sealed.
    pub(crate) fn encode(
        key_version: u32,
        salt: &[u8; SALT_BYTES],
        iv: [u8; NONCE_BYTES],
        sealed: &[u8],
    ) -> Self {
        Self {
            key_version,
            salt: STANDARD.encode_to_string(salt),
            iv: STANDARD.encode_to_string(iv),
            data: STANDARD.encode_to_string(sealed),
        }
    }

    /// Which key sealed it: 2 is the first of the vault, 1 and some of 2 are the older format.
    #[must_use]
    pub fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The salt, in base64.
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// The nonce, in base64.
    #[must_use]
    pub fn iv(&self) -> &str {
        &self.iv
    }

    /// The ciphertext and tag, in base64.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Whether a password opens it, not the vault.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.key_version == 1 || self.salt.len() < STANDARD.encoded_length(SALT_BYTES)
    }

    /// Bytes of the plaintext inside.
    #[must_use]
    pub fn plaintext_bytes(&self) -> usize {
        let sealed = STANDARD.decoded_length(self.data.as_bytes());
        sealed.expect("checked when it was made") - TAG_BYTES
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        decode_into(&self.iv, &mut nonce);
        nonce
    }

    /// The salt: 32 bytes, or 16 in the older format.
    #[must_use]
    pub fn salt_bytes(&self) -> Vec<u8> {
        STANDARD
            .decode_to_vec(&self.salt)
            .expect("checked when it was made")
    }

    /// The ciphertext and its tag.
    #[must_use]
    pub fn sealed_bytes(&self) -> Vec<u8> {
        STANDARD
            .decode_to_vec(&self.data)
            .expect("checked when it was made")
    }
}

fn decode_into(text: &str, bytes: &mut [u8]) {
    let written = STANDARD
        .decode(text.as_bytes(), Out::from_slice(bytes))
        .expect("checked when it was made");
    debug_assert_eq!(written.len(), bytes.len());
}

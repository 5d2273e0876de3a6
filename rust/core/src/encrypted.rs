//! `EncryptedData`: the stored form of a sealed value.
//!
//! `salt`, `iv` and `data` are base64 (RFC 4648, section 4, padded): 32 random bytes, 12 bytes, and
//! the ciphertext with its 16-byte tag at the end. `key_version` names the key. Older values, which
//! a password opens, have version 1, or version 2 and a salt of 16 bytes.

use core::fmt;

use base64_turbo::STANDARD;

use crate::aead::{NONCE_BYTES, TAG_BYTES};
use crate::scratch;

/// Bytes of the salt that we write.
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
            } => write!(
                f,
                "{field} of the encrypted data is {found} bytes long and must be {allowed}"
            ),
            Self::Version => f.write_str("key_version of the encrypted data is 0; the first is 1"),
        }
    }
}

impl std::error::Error for BadCiphertext {}

/// A sealed value whose fields have been checked. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncryptedData {
    key_version: u32,
    salt: Salt,
    iv: [u8; NONCE_BYTES],
    /// Text, because that is what it is for: a value is written once and sent often.
    data: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Salt {
    Current([u8; SALT_BYTES]),
    Legacy([u8; LEGACY_SALT_BYTES]),
}

impl EncryptedData {
    /// Check the fields of a stored value.
    ///
    /// # Errors
    /// A field is not base64 or has a length that the format does not allow.
    pub fn new(
        key_version: u32,
        salt: &str,
        iv: &str,
        data: String,
    ) -> Result<Self, BadCiphertext> {
        if key_version == 0 {
            return Err(BadCiphertext::Version);
        }
        let wrong = |field, found, allowed| BadCiphertext::Length {
            field,
            found,
            allowed,
        };
        let salt = decode("salt", salt)?;
        let salt = if let Ok(salt) = salt.as_slice().try_into() {
            Salt::Current(salt)
        } else if key_version <= 2 {
            Salt::Legacy(salt.as_slice().try_into().map_err(|_| {
                wrong(
                    "salt",
                    salt.len(),
                    "32, or 16 in the older format that a password opens",
                )
            })?)
        } else {
            return Err(wrong("salt", salt.len(), "32"));
        };
        let iv = decode("iv", iv)?;
        let iv = iv
            .as_slice()
            .try_into()
            .map_err(|_| wrong("iv", iv.len(), "12"))?;
        let found = decode("data", &data)?.len();
        if found < TAG_BYTES {
            return Err(wrong("data", found, "16 or more, with the tag at the end"));
        }
        Ok(Self {
            key_version,
            salt,
            iv,
            data,
        })
    }

    /// Write down what was just sealed.
    pub(crate) fn of(
        key_version: u32,
        salt: [u8; SALT_BYTES],
        iv: [u8; NONCE_BYTES],
        sealed: &[u8],
    ) -> Self {
        Self {
            key_version,
            salt: Salt::Current(salt),
            iv,
            data: STANDARD.encode(sealed),
        }
    }

    /// Which key sealed it: 2 is the first of the vault, 1 and some of 2 are the older format.
    #[must_use]
    pub fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The salt, in base64.
    #[must_use]
    pub fn salt(&self) -> String {
        STANDARD.encode(self.salt_bytes())
    }

    /// The nonce, in base64.
    #[must_use]
    pub fn iv(&self) -> String {
        STANDARD.encode(self.iv)
    }

    /// The ciphertext and tag, in base64.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Whether a password opens it, and not the vault.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.key_version == 1 || matches!(self.salt, Salt::Legacy(_))
    }

    /// The salt: 32 bytes, or 16 in the older format.
    #[must_use]
    pub fn salt_bytes(&self) -> &[u8] {
        match &self.salt {
            Salt::Current(salt) => salt,
            Salt::Legacy(salt) => salt,
        }
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> [u8; NONCE_BYTES] {
        self.iv
    }

    /// Lend the ciphertext and its tag to `use_them`.
    pub fn with_sealed<R>(&self, use_them: impl FnOnce(&[u8]) -> R) -> R {
        scratch::with_bytes(STANDARD.decoded_len_estimate(self.data.len()), |bytes| {
            // It was checked when it was made. Were it ever not, nothing is what does not open.
            let length = STANDARD.decode_slice(&self.data, bytes).unwrap_or_default();
            use_them(&bytes[..length])
        })
    }

    /// Bytes of the plaintext inside.
    #[must_use]
    pub fn plaintext_bytes(&self) -> usize {
        let padding = self
            .data
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'=')
            .count();
        (self.data.len() / 4 * 3).saturating_sub(padding + TAG_BYTES)
    }
}

/// Decode strictly, so that a value has one spelling: what is read and written again is the same.
fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, BadCiphertext> {
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| BadCiphertext::NotBase64(field))?;
    // The last group of four may hold bits that belong to no byte; they must be zero.
    let last = text.len().saturating_sub(4);
    let canonical = STANDARD.encode(bytes.get(last / 4 * 3..).unwrap_or_default());
    if text.get(last..) == Some(&canonical) {
        Ok(bytes)
    } else {
        Err(BadCiphertext::NotBase64(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const OLD_SALT: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
    const IV: &str = "AAAAAAAAAAAAAAAA";
    const TAG: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

    fn read(
        key_version: u32,
        salt: &str,
        iv: &str,
        data: &str,
    ) -> Result<EncryptedData, BadCiphertext> {
        EncryptedData::new(key_version, salt, iv, data.into())
    }

    #[test]
    fn the_salt_tells_the_older_format_from_ours() {
        for (key_version, salt, legacy) in [
            (1, OLD_SALT, true),
            (1, SALT, true),
            (2, OLD_SALT, true),
            (2, SALT, false),
            (3, SALT, false),
        ] {
            let read = read(key_version, salt, IV, TAG).expect("good");
            assert_eq!(read.is_legacy(), legacy, "{key_version} {salt}");
            assert_eq!(read.salt(), salt);
            assert_eq!(read.plaintext_bytes(), 0);
        }
        assert!(read(3, OLD_SALT, IV, TAG).is_err());
    }

    #[test]
    fn only_one_spelling_is_read() {
        for data in [
            "AAAAAAAAAAAAAAAAAAAAAB==",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA=\n",
            "AAAA AAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAA-==",
            "====",
            "A=AA",
        ] {
            assert_eq!(
                read(2, SALT, IV, data),
                Err(BadCiphertext::NotBase64("data")),
                "{data}"
            );
        }
        assert_eq!(
            read(2, SALT, IV, ""),
            Err(BadCiphertext::Length {
                field: "data",
                found: 0,
                allowed: "16 or more, with the tag at the end"
            })
        );
    }
}

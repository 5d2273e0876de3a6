//! AES-256-GCM with a 12-byte nonce and a 16-byte tag at the end (NIST SP 800-38D).

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// The key, nonce, associated data or ciphertext is not what it was when it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecryptionFailed;

impl fmt::Display for DecryptionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the ciphertext does not open: the key, the associated data or some byte of it \
             is not what it was when it was sealed",
        )
    }
}

impl std::error::Error for DecryptionFailed {}

/// The plaintext is longer than one nonce may cover: 2^36 - 32 bytes (SP 800-38D, 5.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plaintext is longer than the 64 GiB that AES-GCM allows: seal it in parts")
    }
}

impl std::error::Error for TooLong {}

/// A key that is ready for use.
///
/// Making one takes 0.1 us, so nobody keeps one: the library wipes the expanded key on drop, and
/// between two calls there is none in memory.
pub struct Cipher(LessSafeKey);

impl Cipher {
    /// Expand *key*.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "32 bytes are an AES-256 key")]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key).expect("32 bytes"),
        ))
    }

    /// Encrypt *buffer* in place, and return the tag.
    ///
    /// # Errors
    /// It is too long for one nonce; nothing was encrypted.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], TooLong> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(associated_data), buffer);
        let tag = sealed.map_err(|_| TooLong)?;
        tag.as_ref().try_into().map_err(|_| TooLong)
    }

    /// Decrypt *sealed*, tag at its end, into *plaintext*, which is [`TAG_BYTES`] shorter.
    ///
    /// # Errors
    /// The tag does not match, or the lengths do not; *plaintext* is then all zeros.
    pub fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated_data: &[u8],
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), DecryptionFailed> {
        let (ciphertext, tag) = sealed
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(DecryptionFailed)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(associated_data);
        self.0
            .open_separate_gather(nonce, aad, ciphertext, tag, plaintext)
            .map_err(|_| {
                plaintext.fill(0);
                DecryptionFailed
            })
    }
}

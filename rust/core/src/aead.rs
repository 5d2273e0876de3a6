//! AES-256-GCM with a 12-byte nonce and a 16-byte tag at the end (NIST SP 800-38D).

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// The most plaintext under one nonce: 2^36 - 32 bytes (SP 800-38D, section 5.2.1.1).
pub const MAX_PLAINTEXT_BYTES: u64 = (1 << 36) - 32;

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

/// Encrypt the front of *buffer* in place and write the tag into its last [`TAG_BYTES`].
///
/// # Panics
/// *buffer* has no room for a tag, or is longer than [`MAX_PLAINTEXT_BYTES`]: callers make it.
pub fn seal_in_place(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    associated_data: &[u8],
    buffer: &mut [u8],
) {
    let end = buffer.len() - TAG_BYTES;
    let tag = cipher(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data),
            &mut buffer[..end],
        )
        .expect("the caller checked the length");
    buffer[end..].copy_from_slice(tag.as_ref());
}

/// Decrypt *sealed*, tag at its end, into *plaintext*, which is [`TAG_BYTES`] shorter.
///
/// # Errors
/// The tag does not match; *plaintext* is then all zeros.
pub fn open_into(
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
    associated_data: &[u8],
    sealed: &[u8],
    plaintext: &mut [u8],
) -> Result<(), DecryptionFailed> {
    let end = sealed
        .len()
        .checked_sub(TAG_BYTES)
        .ok_or(DecryptionFailed)?;
    let (ciphertext, tag) = sealed.split_at(end);
    cipher(key)
        .open_separate_gather(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(associated_data),
            ciphertext,
            tag,
            plaintext,
        )
        .map_err(|_| {
            plaintext.fill(0);
            DecryptionFailed
        })
}

// Expanding the key costs less than a tenth of the cheapest seal and keeps the schedule out of
// memory between calls: the library wipes it when this drops.
fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key"))
}

//! The older format: AES-256-GCM under a key stretched out of a password.
//!
//! PBKDF2-HMAC-SHA256 over the salt, 100 000 rounds for version 1 and 200 000 for version 2, which
//! the 16-byte salt tells from our own version 2. It is read, never written.

use core::num::NonZeroU32;

use alknet_guard::Cell;
use aws_lc_rs::pbkdf2;

use super::error::Error;
use crate::aead::Cipher;
use crate::encrypted::EncryptedData;

const ROUNDS_OF_VERSION_1: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const ROUNDS_OF_VERSION_2: NonZeroU32 = NonZeroU32::new(200_000).unwrap();

/// Decrypt *encrypted* with *password* into *plaintext*, of [`EncryptedData::plaintext_bytes`].
///
/// # Errors
/// The password is another; or the value is not of the older format.
pub fn open_into(
    encrypted: &EncryptedData,
    password: &[u8],
    plaintext: &mut [u8],
) -> Result<(), Error> {
    if !encrypted.is_legacy() {
        return Err(Error::Input(format!(
            "this value was sealed by the vault under key_version {}: use open, without a password",
            encrypted.key_version()
        )));
    }
    let rounds = if encrypted.key_version() == 1 {
        ROUNDS_OF_VERSION_1
    } else {
        ROUNDS_OF_VERSION_2
    };
    let mut cell = Cell::new();
    let key = cell
        .first_chunk_mut()
        .ok_or(Error::Internal("a cell is 64 bytes"))?;
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        encrypted.salt_bytes(),
        password,
        key,
    );
    let (cipher, nonce) = (Cipher::new(key), encrypted.nonce());
    encrypted.with_sealed(|sealed| Ok(cipher.open(nonce, &[], sealed, plaintext)?))
}

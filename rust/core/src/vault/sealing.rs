//! Sealing under the keys of the vault: `m/74'/2'/0'/{key_version - 2}'`.
//!
//! The associated data is exactly what the caller gives, and nothing is mixed in: whoever has the
//! key opens `data` with any AES-256-GCM. What the other fields say is bound all the same: another
//! `key_version` is another key, another `iv` does not open, and the salt, whose length tells two
//! formats apart, enters no computation. That is why only the nonce is asked from the system anew.

use std::sync::Arc;

use alknet_guard::Cell;

use super::cache::{Asked, Kept};
use super::error::Error;
use super::keyring::{Keyring, PURPOSE};
use super::path::{DerivationPath, HARDENED};
use crate::aead::{Cipher, NONCE_BYTES, TAG_BYTES};
use crate::encrypted::{EncryptedData, SALT_BYTES};
use crate::random;
use crate::scratch;
use crate::secret::{Secret, Wiped};

/// The first key version that the vault seals with.
pub const FIRST_KEY_VERSION: u32 = 2;

impl Keyring {
    /// Seal *plaintext* under the key of `key_version`, bound to `associated_data`.
    ///
    /// # Errors
    /// The vault is locked, has no such key version, or has sealed [`MAX_SEALS`](super::seal_counts::MAX_SEALS) times with it.
    pub fn seal(
        &self,
        plaintext: &[u8],
        key_version: u32,
        associated_data: &[u8],
    ) -> Result<EncryptedData, Error> {
        let cipher = self.cipher(key_version)?;
        self.seals.add(key_version, 1)?;
        let mut iv = [0; NONCE_BYTES];
        random::fill(&mut iv)?;
        let salt = random::may_repeat()?;
        seal_with(&cipher, salt, iv, plaintext, key_version, associated_data)
    }

    /// Seal each of *plaintexts*; randomness and the key are fetched once for all.
    ///
    /// # Errors
    /// As [`Self::seal`]; nothing was sealed.
    pub fn seal_many<'a>(
        &self,
        plaintexts: impl ExactSizeIterator<Item = &'a [u8]>,
        key_version: u32,
        associated_data: &[u8],
    ) -> Result<Vec<EncryptedData>, Error> {
        let cipher = self.cipher(key_version)?;
        self.seals.add(key_version, plaintexts.len() as u64)?;
        let mut random = vec![0; NONCE_BYTES * plaintexts.len()];
        random::fill(&mut random)?;
        let (nonces, _) = random.as_chunks::<NONCE_BYTES>();
        plaintexts
            .zip(nonces)
            .map(|(plaintext, iv)| {
                let salt = random::may_repeat()?;
                seal_with(&cipher, salt, *iv, plaintext, key_version, associated_data)
            })
            .collect()
    }

    /// Decrypt *encrypted* into *plaintext*, of [`EncryptedData::plaintext_bytes`].
    ///
    /// # Errors
    /// It does not open, or only with a password; the vault is locked.
    pub fn open_into(
        &self,
        encrypted: &EncryptedData,
        associated_data: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        if encrypted.is_legacy() {
            return Err(Error::Input(
                "this value is of the older format, which a password opens and the vault does \
                 not: use open_legacy, and seal what it gives"
                    .into(),
            ));
        }
        let cipher = self.cipher(encrypted.key_version())?;
        let nonce = encrypted.nonce();
        encrypted
            .with_sealed(|sealed| Ok(cipher.open(nonce, associated_data, sealed, plaintext)?))
    }

    /// Seal what is in *encrypted* anew, under the key of `to_version`.
    ///
    /// # Errors
    /// As [`Self::open_into`] and [`Self::seal`].
    pub fn rotate(
        &self,
        encrypted: &EncryptedData,
        to_version: u32,
        associated_data: &[u8],
    ) -> Result<EncryptedData, Error> {
        let mut plaintext = Wiped::zeros(encrypted.plaintext_bytes());
        self.open_into(encrypted, associated_data, &mut plaintext)?;
        self.seal(&plaintext, to_version, associated_data)
    }

    fn cipher(&self, key_version: u32) -> Result<Cipher, Error> {
        let asked = Asked::EncryptionKey(key_version);
        // A locked keyring keeps nothing, and what it kept a moment ago cannot be read.
        let secret = if let Some(Kept::Secret(secret)) = self.cached(&asked) {
            secret
        } else {
            let secret = Arc::new(self.encryption_key(key_version)?);
            self.keep(asked, Kept::Secret(Arc::clone(&secret)));
            secret
        };
        let cipher = secret.read(|bytes| bytes.first_chunk().map(Cipher::new))?;
        cipher.ok_or(Error::Internal("a cell is 64 bytes"))
    }

    fn encryption_key(&self, key_version: u32) -> Result<Secret, Error> {
        let node = self.ed25519_node(&encryption_path(key_version)?)?;
        Ok(self.shelter.keep(Cell::holding(node.key()))?)
    }
}

/// The path of the key of `key_version`.
///
/// # Errors
/// The version is not one of the vault's.
pub fn encryption_path(key_version: u32) -> Result<DerivationPath, Error> {
    let version = key_version
        .checked_sub(FIRST_KEY_VERSION)
        .filter(|version| *version < HARDENED);
    let version = version.ok_or_else(|| {
        Error::Input(format!(
            "key_version {key_version} is not one of the vault's, which count from \
             {FIRST_KEY_VERSION} to {}; version 1 was sealed with a password, for open_legacy",
            HARDENED - 1 + FIRST_KEY_VERSION
        ))
    })?;
    Ok(DerivationPath::from_indices([
        PURPOSE,
        2 | HARDENED,
        HARDENED,
        version | HARDENED,
    ])?)
}

fn seal_with(
    cipher: &Cipher,
    salt: [u8; SALT_BYTES],
    iv: [u8; NONCE_BYTES],
    plaintext: &[u8],
    key_version: u32,
    associated_data: &[u8],
) -> Result<EncryptedData, Error> {
    scratch::with_bytes(plaintext.len().saturating_add(TAG_BYTES), |buffer| {
        let (body, end) = buffer.split_at_mut(plaintext.len());
        body.copy_from_slice(plaintext);
        let tag = cipher
            .seal(iv, associated_data, body)
            .inspect_err(|_| body.fill(0))?;
        end.copy_from_slice(&tag);
        Ok(EncryptedData::of(key_version, salt, iv, buffer))
    })
}

//! The keyring: one seed in its shelter, and the keys that are derived from it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::error::Error;
use super::mnemonic::{Mnemonic, SEED_BYTES};
use super::path::{BadPath, DerivationPath, HARDENED};
use super::{bip32, slip10};
use crate::aead::{self, NONCE_BYTES, TAG_BYTES};
use crate::encrypted::{EncryptedData, SALT_BYTES};
use crate::hmac::HmacSha512;
use crate::secret::{Secret, Shelter};
use crate::sign::{ed25519, secp256k1};

/// The first step of every path of ours. It stands at the purpose level (BIP-43), where 74
/// collides with nothing; as a SLIP-0044 coin type it would be ICON's.
pub const PURPOSE: u32 = 74 | HARDENED;

/// The first key version that the vault seals with.
pub const FIRST_KEY_VERSION: u32 = 2;

/// A seed, and everything derived from it, until it is locked.
pub struct Keyring {
    shelter: Arc<Shelter>,
    seed: Secret,
}

impl Keyring {
    /// Stretch *mnemonic* and *passphrase* into a seed and shelter it.
    ///
    /// # Errors
    /// *passphrase* is not UTF-8.
    pub fn from_mnemonic(mnemonic: &Mnemonic, passphrase: &[u8]) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        mnemonic.seed_into(passphrase, &mut seed)?;
        Self::from_seed(&seed[..])
    }

    /// Shelter *seed*, of 16 to 64 bytes (BIP-32).
    ///
    /// # Errors
    /// Another length.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Error> {
        if !(16..=64).contains(&seed.len()) {
            return Err(Error::Input(format!(
                "a seed is 16 to 64 bytes; this one is {}",
                seed.len()
            )));
        }
        let shelter = Shelter::new();
        let seed = shelter.store(seed.len(), |slot| slot.copy_from_slice(seed))?;
        Ok(Self { shelter, seed })
    }

    fn slip10(&self, path: &DerivationPath) -> Result<slip10::Node, Error> {
        if !path.is_hardened() {
            return Err(BadPath {
                position: 0,
                reason: format!(
                    "{path} has a step that is not hardened, and Ed25519 (SLIP-0010) has no other"
                ),
            }
            .into());
        }
        let mut node = self.seed.read(slip10::Node::master)?;
        path.indices().iter().for_each(|index| node.step(*index));
        Ok(node)
    }

    /// The Ed25519 key at *path* (SLIP-0010).
    ///
    /// # Errors
    /// The path has a step that is not hardened; the vault is locked.
    pub fn ed25519(&self, path: &DerivationPath) -> Result<ed25519::PrivateKey, Error> {
        Ok(ed25519::PrivateKey::new(
            &self.shelter,
            self.slip10(path)?.key(),
        )?)
    }

    /// The secp256k1 key at *path* (BIP-32).
    ///
    /// # Errors
    /// There is no key there, which happens to one path in 2^127; the vault is locked.
    pub fn secp256k1(&self, path: &DerivationPath) -> Result<secp256k1::PrivateKey, Error> {
        let mut node = self.seed.read(bip32::Node::master)??;
        path.indices()
            .iter()
            .try_for_each(|index| node.step(*index))?;
        secp256k1::PrivateKey::new(&self.shelter, node.key())
    }

    fn encryption_key(&self, key_version: u32) -> Result<slip10::Node, Error> {
        let version = key_version
            .checked_sub(FIRST_KEY_VERSION)
            .filter(|version| *version < HARDENED)
            .ok_or_else(|| {
                Error::Input(format!(
                    "key_version {key_version} is not one of the vault's, which count from \
                     {FIRST_KEY_VERSION}; older data opens with its password"
                ))
            })?;
        self.slip10(&DerivationPath::from_indices([
            PURPOSE,
            2 | HARDENED,
            HARDENED,
            version | HARDENED,
        ])?)
    }

    /// Seal *plaintext* under the key of *key_version*.
    ///
    /// # Errors
    /// The vault is locked, or has no such key version.
    pub fn seal(
        &self,
        plaintext: &[u8],
        key_version: u32,
        associated_data: &[u8],
    ) -> Result<EncryptedData, Error> {
        let key = self.encryption_key(key_version)?;
        let mut random = [0; SALT_BYTES + NONCE_BYTES];
        getrandom::fill(&mut random).expect("the operating system gives randomness");
        let salt = random.first_chunk().expect("the salt comes first");
        let iv = *random.last_chunk().expect("the nonce comes last");
        let mut buffer = Vec::with_capacity(plaintext.len() + TAG_BYTES);
        buffer.extend_from_slice(plaintext);
        buffer.extend_from_slice(&[0; TAG_BYTES]);
        aead::seal_in_place(key.key(), iv, associated_data, &mut buffer);
        Ok(EncryptedData::encode(key_version, salt, iv, &buffer))
    }

    /// Decrypt *encrypted* into *plaintext*, of [`EncryptedData::plaintext_bytes`].
    ///
    /// # Errors
    /// It does not open; the vault is locked.
    pub fn open_into(
        &self,
        encrypted: &EncryptedData,
        associated_data: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        if encrypted.is_legacy() {
            return Err(Error::Input(
                "this is the older format, which its password opens: use open_legacy".into(),
            ));
        }
        let key = self.encryption_key(encrypted.key_version())?;
        aead::open_into(
            key.key(),
            encrypted.nonce(),
            associated_data,
            &encrypted.sealed_bytes(),
            plaintext,
        )?;
        Ok(())
    }

    /// Write a password derived from the key at *path* into *password*, of 1 to 255 bytes.
    ///
    /// # Errors
    /// Another length; the path has a step that is not hardened; the vault is locked.
    pub fn password_into(&self, path: &DerivationPath, password: &mut [u8]) -> Result<(), Error> {
        if !(1..=255).contains(&password.len()) {
            return Err(Error::Input(format!(
                "a password is 1 to 255 bytes long; {} were asked for",
                password.len()
            )));
        }
        let node = self.slip10(path)?;
        let mut pseudorandom = Zeroizing::new([0u8; 64]);
        HmacSha512::new(&[0; 64]).tag_into(&[node.key()], &mut pseudorandom);
        let expand = HmacSha512::new(&pseudorandom[..]);
        let mut block = Zeroizing::new([0u8; 64]);
        for (number, chunk) in password.chunks_mut(64).enumerate() {
            let counter = [u8::try_from(number + 1).expect("255 bytes are 4 blocks")];
            let previous = if number == 0 { 0 } else { 64 };
            let last = Zeroizing::new(*block);
            expand.tag_into(
                &[&last[..previous], b"alknet password v1", &counter],
                &mut block,
            );
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }

    /// Wipe the seed and every key taken from it. Doing so twice is harmless.
    pub fn lock(&self) {
        self.shelter.wipe();
    }

    /// Whether it is locked.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.shelter.is_wiped()
    }
}

//! Ed25519 (RFC 8032), strict.

use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::{BadKey, BadSignature};
use crate::secret::{Locked, Secret, Shelter};

/// Bytes of a private key, and of a public one.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A private key in its shelter, and its public half.
pub struct PrivateKey {
    secret: Secret,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// Shelter *seed*, the 32 bytes that RFC 8032 calls the private key.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn new(shelter: &Arc<Shelter>, seed: &[u8; KEY_BYTES]) -> Result<Self, Locked> {
        let public = public_key(seed);
        let secret = shelter.store(KEY_BYTES, |slot| slot.copy_from_slice(seed))?;
        Ok(Self { secret, public })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    /// Sign *message*, of any length; the same message always gets the same signature.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Locked> {
        self.secret.read(|seed| {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed is 32 bytes");
            let mut signature = [0; SIGNATURE_BYTES];
            signature.copy_from_slice(pair.sign(message).as_ref());
            signature
        })
    }

    /// Lend the private key to *use_it*.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn reveal<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> Result<R, Locked> {
        self.secret.read(use_it)
    }
}

/// The public key of *seed*.
#[must_use]
pub fn public_key(seed: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed is 32 bytes");
    pair.public_key()
        .as_ref()
        .try_into()
        .expect("a public key is 32 bytes")
}

/// Check that *signature* is by *public* over *message*.
///
/// # Errors
/// It is not, or one of the two is not what RFC 8032 allows.
pub fn verify(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), super::super::vault::Error> {
    if public.len() != KEY_BYTES {
        return Err(BadKey(format!(
            "an Ed25519 public key is {KEY_BYTES} bytes; this one is {}",
            public.len()
        ))
        .into());
    }
    UnparsedPublicKey::new(&ED25519, public)
        .verify(message, signature)
        .map_err(|_| BadSignature.into())
}

//! secp256k1: ECDSA as Bitcoin and Ethereum use it, and BIP-340.

use std::sync::{Arc, LazyLock};

use alknet_guard::Cell;
use secp256k1::ecdsa::{RecoverableSignature, Signature};
use secp256k1::{All, Keypair, Message, PublicKey, Secp256k1, SecretKey, XOnlyPublicKey, schnorr};

use super::{BadKey, BadSignature};
use crate::random;
use crate::secret::{Locked, Secret, Shelter, scrub_stack};
use crate::vault::Error;

/// Bytes of a private key, and of an x-only public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a compressed public key.
pub const PUBLIC_KEY_BYTES: usize = 33;

static ENGINE: LazyLock<Secp256k1<All>> = LazyLock::new(|| {
    let mut engine = Secp256k1::new();
    // Blinds the private key against power and timing analysis. It is a second fence, not the
    // first: an engine that could not be blinded computes the same in the same constant time.
    let mut blind = Cell::new();
    if let Some(blind) = blind.first_chunk_mut()
        && random::fill(blind).is_ok()
    {
        engine.seeded_randomize(blind);
    }
    engine
});

/// The one context of libsecp256k1, blinded once.
pub(crate) fn engine() -> &'static Secp256k1<All> {
    &ENGINE
}

/// A private key in its shelter, and its public half.
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

impl PrivateKey {
    /// Shelter *bytes*, a number from 1 to the order of the curve less one, big-endian.
    ///
    /// # Errors
    /// The number is out of that range, or the shelter was wiped.
    pub fn new(shelter: &Arc<Shelter>, bytes: &[u8; KEY_BYTES]) -> Result<Self, Error> {
        let mut key = SecretKey::from_byte_array(*bytes).map_err(|_| {
            BadKey("the secp256k1 private key is zero, or not below the curve's order".into())
        })?;
        let public = key.public_key(engine());
        key.non_secure_erase();
        scrub_stack();
        Ok(Self {
            secret: shelter.keep(Cell::holding(bytes))?,
            public,
        })
    }

    /// A key out of the operating system's randomness, which belongs to no vault.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut cell = Cell::new();
        let bytes = cell
            .first_chunk_mut()
            .ok_or(Error::Internal("a cell is 64 bytes"))?;
        // One draw in 2^128 is out of range; it is drawn again.
        loop {
            random::fill(bytes)?;
            match Self::new(Shelter::of_the_process(), bytes) {
                Err(Error::Key(_)) => {}
                done => return done,
            }
        }
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn with_key<R>(&self, use_it: impl FnOnce(&SecretKey) -> R) -> Result<R, Error> {
        let cell = self.secret.copy()?;
        let bytes = cell
            .first_chunk()
            .ok_or(Error::Internal("a cell is 64 bytes"))?;
        let mut key = SecretKey::from_byte_array(*bytes)
            .map_err(|_| Error::Internal("a key that was checked is none"))?;
        let result = use_it(&key);
        key.non_secure_erase();
        scrub_stack();
        Ok(result)
    }

    /// Sign *digest* by ECDSA with the nonce of RFC 6979 and a low s: r, s, and the recovery id
    /// (0 to 3) as the last byte.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn sign_digest(&self, digest: [u8; 32]) -> Result<[u8; 65], Error> {
        self.with_key(|key| {
            let message = Message::from_digest(digest);
            let (id, compact) = engine()
                .sign_ecdsa_recoverable(message, key)
                .serialize_compact();
            let mut signature = [0; 65];
            signature[..64].copy_from_slice(&compact);
            signature[64] = u8::try_from(i32::from(id)).unwrap_or_default();
            signature
        })
    }

    /// Sign *message* by BIP-340, with `aux_rand` mixed into the nonce.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn sign_schnorr(&self, message: &[u8], aux_rand: &[u8; 32]) -> Result<[u8; 64], Error> {
        self.with_key(|key| {
            let mut pair = Keypair::from_secret_key(engine(), key);
            let signature = engine().sign_schnorr_with_aux_rand(message, &pair, aux_rand);
            pair.non_secure_erase();
            signature.to_byte_array()
        })
    }

    /// As [`Self::sign_schnorr`], with randomness of the system as `aux_rand`.
    ///
    /// # Errors
    /// The vault it came from was locked; the system has no randomness.
    pub fn sign_schnorr_fresh(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let mut aux_rand = [0; 32];
        random::fill(&mut aux_rand)?;
        self.sign_schnorr(message, &aux_rand)
    }

    /// A copy of the private key, in its first 32 bytes.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn reveal(&self) -> Result<Cell, Locked> {
        self.secret.copy()
    }
}

/// Read a public key, compressed (33 bytes) or not (65).
///
/// # Errors
/// It is not on the curve, or not encoded so.
pub fn public_key(bytes: &[u8]) -> Result<PublicKey, BadKey> {
    PublicKey::from_slice(bytes).map_err(|_| {
        BadKey(format!(
            "a secp256k1 public key is a point of the curve, 33 bytes or 65; these {} bytes are none",
            bytes.len()
        ))
    })
}

/// Check that *signature*, 64 bytes or 65 with a recovery id, is by *public* over *digest*.
///
/// # Errors
/// It is not; its s is not low (BIP-62, EIP-2), or its recovery id leads to another key.
pub fn verify_digest(
    public: &PublicKey,
    digest: [u8; 32],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let compact: &[u8; 64] = match signature {
        [compact @ .., _] if signature.len() == 65 && recover(digest, signature)? == *public => {
            compact
        }
        compact => compact,
    }
    .try_into()
    .map_err(|_| BadSignature)?;
    let signature = Signature::from_compact(compact).map_err(|_| BadSignature)?;
    // The library takes only a low s for true.
    engine()
        .verify_ecdsa(Message::from_digest(digest), &signature, public)
        .map_err(|_| BadSignature)
}

/// The public key that made the 65-byte *signature* of *digest*.
///
/// # Errors
/// No key did.
pub fn recover(digest: [u8; 32], signature: &[u8]) -> Result<PublicKey, BadSignature> {
    let signature: &[u8; 65] = signature.try_into().map_err(|_| BadSignature)?;
    let (id, compact) = signature.split_last().ok_or(BadSignature)?;
    let id = i32::from(*id).try_into().map_err(|_| BadSignature)?;
    let signature = RecoverableSignature::from_compact(compact, id).map_err(|_| BadSignature)?;
    engine()
        .recover_ecdsa(Message::from_digest(digest), &signature)
        .map_err(|_| BadSignature)
}

/// Check that *signature* is by the x-only key *public* over *message* (BIP-340).
///
/// # Errors
/// It is not; or *public* is not the x of a point.
pub fn verify_schnorr(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let public = BadKey::length("an x-only public key (BIP-340)", public)?;
    let public = XOnlyPublicKey::from_byte_array(*public)
        .map_err(|_| BadKey("the x-only public key is not the x of a point of secp256k1".into()))?;
    let signature = signature.try_into().map_err(|_| BadSignature)?;
    engine()
        .verify_schnorr(
            &schnorr::Signature::from_byte_array(signature),
            message,
            &public,
        )
        .map_err(|_| BadSignature.into())
}

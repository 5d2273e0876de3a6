//! Ed25519 (RFC 8032), strict.

use std::sync::Arc;

use alknet_guard::{Cell, ed25519};

use super::{BadKey, BadSignature};
use crate::random;
use crate::secret::{Locked, Secret, Shelter, scrub_stack};
use crate::vault::Error;

/// Bytes of a private key, and of a public one.
pub const KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A private key in its shelter, and its public half.
pub struct PrivateKey {
    /// The seed, then the public key, as the crypto library wants them for signing. They never
    /// part: a signature with the public key of another seed gives the seed away.
    pair: Secret,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// Shelter *seed*, the 32 bytes that RFC 8032 calls the private key.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn new(shelter: &Arc<Shelter>, seed: &[u8; KEY_BYTES]) -> Result<Self, Locked> {
        let mut cell = Cell::new();
        ed25519::expand(seed, &mut cell);
        let mut public = [0; KEY_BYTES];
        public.copy_from_slice(&cell[KEY_BYTES..]);
        scrub_stack();
        Ok(Self {
            pair: shelter.keep(cell)?,
            public,
        })
    }

    /// A key out of the operating system's randomness, which belongs to no vault.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Cell::new();
        let seed = seed
            .first_chunk_mut()
            .ok_or(Error::Internal("a cell is 64 bytes"))?;
        random::fill(seed)?;
        Ok(Self::new(Shelter::of_the_process(), seed)?)
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
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Error> {
        // Signed from a copy: a lock must not have to wait for a long message.
        let signature = ed25519::sign(&*self.pair.copy()?, message);
        scrub_stack();
        signature.ok_or(Error::Internal("the crypto library cannot hash"))
    }

    /// A copy of the private key, in its first 32 bytes.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn reveal(&self) -> Result<Cell, Locked> {
        self.pair.read(|pair| Cell::holding(&pair[..KEY_BYTES]))
    }
}

/// 2^255 - 19, little-endian.
const PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The y coordinates, little-endian, of the eight points whose order divides the cofactor: 0 for
/// order 4, 1 and -1 for orders 1 and 2, and two more for order 8.
const SMALL_ORDER: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = PRIME;
    minus_one[0] -= 1;
    let order_8 = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    let minus_order_8 = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    [[0; 32], one, minus_one, order_8, minus_order_8]
};

/// Whether *point* is encoded the one right way (RFC 8032, section 5.1.3) and generates more than
/// the eight points of small order, for which one signature fits many messages.
fn is_sound(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    y.iter().rev().lt(PRIME.iter().rev()) && !SMALL_ORDER.contains(&y)
}

/// Check that *signature* is by *public* over *message*.
///
/// Strict: beyond RFC 8032's s below the group order, both points must be encoded the one right way
/// and be of large order. So there is one signature to a key and a message that any two strict
/// verifiers agree on, and no key that "signs" everything.
///
/// # Errors
/// It is not, or a point is not sound; or *public* is not 32 bytes.
pub fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let public = BadKey::length("an Ed25519 public key", public)?;
    let signature: &[u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| BadSignature)?;
    let commitment = signature.first_chunk().ok_or(BadSignature)?;
    if is_sound(public) && is_sound(commitment) && ed25519::verify(public, message, signature) {
        Ok(())
    } else {
        Err(BadSignature.into())
    }
}

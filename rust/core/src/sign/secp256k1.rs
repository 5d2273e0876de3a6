//! secp256k1: ECDSA as Bitcoin and Ethereum use it, and BIP-340.

use std::sync::{Arc, LazyLock};

use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{All, Keypair, Message, PublicKey, Secp256k1, SecretKey};
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

use super::BadKey;
use crate::secret::{Locked, Secret, Shelter};
use crate::vault::Error;

/// Bytes of a private key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a compressed public key.
pub const PUBLIC_KEY_BYTES: usize = 33;

static ENGINE: LazyLock<Secp256k1<All>> = LazyLock::new(|| {
    // Blinded once with the system's randomness, against power and timing analysis.
    let mut engine = Secp256k1::new();
    let mut blind = Zeroizing::new([0u8; 32]);
    getrandom::fill(&mut blind[..]).expect("the operating system gives randomness");
    engine.seeded_randomize(&blind);
    engine
});

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
        let mut key = SecretKey::from_byte_array(*bytes)
            .map_err(|_| BadKey("the private key is zero or not below the curve's order".into()))?;
        let public = key.public_key(engine());
        key.non_secure_erase();
        let secret = shelter.store(KEY_BYTES, |slot| slot.copy_from_slice(bytes))?;
        Ok(Self { secret, public })
    }

    /// The compressed public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.public.serialize()
    }

    /// The Ethereum address, with the capitals of EIP-55.
    #[must_use]
    pub fn ethereum_address(&self) -> String {
        ethereum_address(&self.public)
    }

    fn with_key<R>(&self, use_it: impl FnOnce(&SecretKey) -> R) -> Result<R, Locked> {
        self.secret.read(|bytes| {
            let bytes = bytes.try_into().expect("a key is 32 bytes");
            let mut key = SecretKey::from_byte_array(bytes).expect("checked when it was made");
            let result = use_it(&key);
            key.non_secure_erase();
            result
        })
    }

    /// Sign *digest* by ECDSA with the nonce of RFC 6979 and a low s: r, s, and the recovery id
    /// (0 to 3) as the last byte.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn sign_digest(&self, digest: [u8; 32]) -> Result<[u8; 65], Locked> {
        self.with_key(|key| {
            let message = Message::from_digest(digest);
            let (id, compact) = engine()
                .sign_ecdsa_recoverable(message, key)
                .serialize_compact();
            let mut signature = [0; 65];
            signature[..64].copy_from_slice(&compact);
            signature[64] = u8::try_from(i32::from(id)).expect("0 to 3");
            signature
        })
    }

    /// Sign *message* by BIP-340, with *aux_rand* mixed into the nonce.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn sign_schnorr(&self, message: &[u8], aux_rand: &[u8; 32]) -> Result<[u8; 64], Locked> {
        self.with_key(|key| {
            let mut pair = Keypair::from_secret_key(engine(), key);
            let signature = engine().sign_schnorr_with_aux_rand(message, &pair, aux_rand);
            pair.non_secure_erase();
            signature.to_byte_array()
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

/// The EIP-55 address of *public*.
#[must_use]
pub fn ethereum_address(public: &PublicKey) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let hash = Keccak256::digest(&public.serialize_uncompressed()[1..]);
    let mut address = [0u8; 42];
    address[..2].copy_from_slice(b"0x");
    for (pair, byte) in address[2..].chunks_exact_mut(2).zip(&hash[12..]) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    let check = Keccak256::digest(&address[2..]);
    for (at, digit) in address[2..].iter_mut().enumerate() {
        let nibble = check[at / 2] >> (4 * (1 - at % 2)) & 15;
        if nibble >= 8 {
            digit.make_ascii_uppercase();
        }
    }
    address.iter().map(|byte| char::from(*byte)).collect()
}

/// The public key that made the 65-byte *signature* of *digest*.
///
/// # Errors
/// The signature is none.
pub fn recover(digest: [u8; 32], signature: &[u8; 65]) -> Result<PublicKey, super::BadSignature> {
    let id = i32::from(signature[64])
        .try_into()
        .map_err(|_| super::BadSignature)?;
    let signature = RecoverableSignature::from_compact(&signature[..64], id)
        .map_err(|_| super::BadSignature)?;
    engine()
        .recover_ecdsa(Message::from_digest(digest), &signature)
        .map_err(|_| super::BadSignature)
}

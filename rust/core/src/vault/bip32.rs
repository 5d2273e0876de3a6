//! BIP-32 for secp256k1.

use secp256k1::{Scalar, SecretKey};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::path::HARDENED;
use crate::hmac::{HmacSha512, TAG_BYTES};
use crate::sign::secp256k1::engine;

/// A private key and its chain code, 32 bytes each, in one piece; wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Node(pub(crate) [u8; TAG_BYTES]);

/// The one index in 2^127 that has no key; BIP-32 says to go on with the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl core::fmt::Display for NoKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("there is no secp256k1 key at this index; BIP-32 says to take the next")
    }
}

impl Node {
    /// The root of *seed*.
    ///
    /// # Errors
    /// The seed gives no key, which happens to one in 2^127.
    pub fn master(seed: &[u8]) -> Result<Self, NoKey> {
        let mut node = Self([0; TAG_BYTES]);
        HmacSha512::new(b"Bitcoin seed").tag_into(&[seed], &mut node.0);
        SecretKey::from_byte_array(*node.key())
            .map_err(|_| NoKey)?
            .non_secure_erase();
        Ok(node)
    }

    /// A node read back from where it is kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Step down to the child *index*, hardened or not.
    ///
    /// # Errors
    /// There is no key at this index, which happens to one in 2^127.
    pub fn step(&mut self, index: u32) -> Result<(), NoKey> {
        let mut secret = SecretKey::from_byte_array(*self.key()).map_err(|_| NoKey)?;
        let parent = HmacSha512::new(self.chain_code());
        let mut tag = Zeroizing::new([0; TAG_BYTES]);
        if index & HARDENED == 0 {
            let public = secret.public_key(engine()).serialize();
            parent.tag_into(&[&public, &index.to_be_bytes()], &mut tag);
        } else {
            parent.tag_into(&[&[0], self.key(), &index.to_be_bytes()], &mut tag);
        }
        let (left, chain) = tag.split_at(32);
        let tweak = Scalar::from_be_bytes(left.try_into().expect("32 bytes")).map_err(|_| NoKey)?;
        let child = secret.add_tweak(&tweak).map_err(|_| NoKey);
        secret.non_secure_erase();
        let mut child = child?;
        self.0[..32].copy_from_slice(&child[..]);
        self.0[32..].copy_from_slice(chain);
        child.non_secure_erase();
        Ok(())
    }

    /// The private key.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        self.0.first_chunk().expect("64 bytes begin with 32")
    }

    /// The chain code.
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        self.0.last_chunk().expect("64 bytes end with 32")
    }
}

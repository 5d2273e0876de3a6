//! SLIP-0010 for Ed25519: hardened steps only, so a public key never helps to find its siblings.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::path::HARDENED;
use crate::hmac::{HmacSha512, TAG_BYTES};

/// A private key and its chain code, 32 bytes each, in one piece; wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Node(pub(crate) [u8; TAG_BYTES]);

impl Node {
    /// The root of *seed*, of any length.
    #[must_use]
    pub fn master(seed: &[u8]) -> Self {
        let mut node = Self([0; TAG_BYTES]);
        HmacSha512::new(b"ed25519 seed").tag_into(&[seed], &mut node.0);
        node
    }

    /// A node read back from where it is kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Step down to the hardened child *index*.
    ///
    /// # Panics
    /// The index is not hardened, and Ed25519 has no other: callers check the path first.
    pub fn step(&mut self, index: u32) {
        assert!(index & HARDENED != 0, "an Ed25519 step is hardened");
        let (key, chain) = self.0.split_at(32);
        let parent = HmacSha512::new(chain);
        let mut child = zeroize::Zeroizing::new([0; TAG_BYTES]);
        parent.tag_into(&[&[0], key, &index.to_be_bytes()], &mut child);
        self.0.copy_from_slice(&child[..]);
    }

    /// The private key: a seed in the sense of RFC 8032.
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

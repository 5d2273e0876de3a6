//! SLIP-0010 for Ed25519: hardened steps only, so a public key never helps to find its siblings.

use alknet_guard::Cell;

use super::node::Node;
use crate::hmac::HmacSha512;

/// The root of *seed*, of any length.
#[must_use]
pub fn master(seed: &[u8]) -> Node {
    let mut cell = Cell::new();
    HmacSha512::new(b"ed25519 seed").tag_into(&[seed], &mut cell);
    Node(cell)
}

/// Step down to the child *index*, which is hardened: Ed25519 has no other, so the caller asked the
/// path first.
pub fn step(node: &mut Node, index: u32) {
    *node = Siblings::of(node).child(index);
}

/// A parent that is asked for many children: its chain code is prepared once.
pub struct Siblings {
    parent: HmacSha512,
    key: Cell,
}

impl Siblings {
    /// The children of *node*.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        Self {
            parent: HmacSha512::new(node.chain_code()),
            key: Cell::holding(node.key()),
        }
    }

    /// The child *index*, which is hardened as for [`step`].
    #[must_use]
    pub fn child(&self, index: u32) -> Node {
        let mut child = Cell::new();
        self.parent
            .tag_into(&[&[0], &self.key[..32], &index.to_be_bytes()], &mut child);
        Node(child)
    }
}

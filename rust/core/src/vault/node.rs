//! A private key and its chain code: what a path leads to.

use alknet_guard::Cell;

/// 32 bytes of private key and 32 of chain code, in guarded memory.
pub struct Node(pub(super) Cell);

impl Node {
    /// The private key.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "64 bytes begin with 32")]
    pub fn key(&self) -> &[u8; 32] {
        self.0.first_chunk().expect("64 bytes")
    }

    /// The chain code.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "64 bytes end with 32")]
    pub fn chain_code(&self) -> &[u8; 32] {
        self.0.last_chunk().expect("64 bytes")
    }
}

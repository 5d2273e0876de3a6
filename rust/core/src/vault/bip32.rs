//! BIP-32 for secp256k1: private steps, hardened or not, and public ones.

use alknet_guard::Cell;
use secp256k1::{PublicKey, Scalar, SecretKey};
use zeroize::Zeroizing;

use super::node::Node;
use super::path::HARDENED;
use crate::hmac::{HmacSha512, TAG_BYTES};
use crate::sign::secp256k1::engine;

/// There is no key at this index, which happens to one in 2^127; BIP-32 says to take the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl core::fmt::Display for NoKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("there is no secp256k1 key at this index; BIP-32 says to take the next")
    }
}

impl std::error::Error for NoKey {}

/// The root of *seed*.
///
/// # Errors
/// The seed has no key.
pub fn master(seed: &[u8]) -> Result<Node, NoKey> {
    let mut cell = Cell::new();
    HmacSha512::new(b"Bitcoin seed").tag_into(&[seed], &mut cell);
    let node = Node(cell);
    with_key(&node, |_| ())?;
    Ok(node)
}

/// The public key of *node*.
///
/// # Errors
/// Its private key is none, which happens to no node that was derived.
pub fn public_key(node: &Node) -> Result<PublicKey, NoKey> {
    with_key(node, |key| key.public_key(engine()))
}

/// Step down to the child *index*.
///
/// # Errors
/// There is no key at this index; the node is as it was.
pub fn step(node: &mut Node, index: u32) -> Result<(), NoKey> {
    let mut child = Cell::new();
    if index < HARDENED {
        let public = public_key(node)?;
        hash_public(&public, node.chain_code(), index, &mut child);
    } else {
        let parent = HmacSha512::new(node.chain_code());
        parent.tag_into(&[&[0], node.key(), &index.to_be_bytes()], &mut child);
    }
    let tweak = tweak(&child)?;
    let mut key = with_key(node, |key| key.add_tweak(&tweak))?.map_err(|_| NoKey)?;
    child[..32].copy_from_slice(&key[..]);
    key.non_secure_erase();
    node.0 = child;
    Ok(())
}

/// The child *index*, not hardened, of a public key, and its chain code.
///
/// # Errors
/// There is no key at this index.
pub fn step_public(
    public: &PublicKey,
    chain_code: &[u8; 32],
    index: u32,
) -> Result<(PublicKey, [u8; 32]), NoKey> {
    let mut hash = Zeroizing::new([0; TAG_BYTES]);
    hash_public(public, chain_code, index, &mut hash);
    let child = public
        .add_exp_tweak(engine(), &tweak(&hash)?)
        .map_err(|_| NoKey)?;
    let chain_code = hash.last_chunk().copied().ok_or(NoKey)?;
    Ok((child, chain_code))
}

fn hash_public(public: &PublicKey, chain_code: &[u8], index: u32, hash: &mut [u8; TAG_BYTES]) {
    HmacSha512::new(chain_code).tag_into(&[&public.serialize(), &index.to_be_bytes()], hash);
}

fn tweak(hash: &[u8; TAG_BYTES]) -> Result<Scalar, NoKey> {
    Scalar::from_be_bytes(hash.first_chunk().copied().ok_or(NoKey)?).map_err(|_| NoKey)
}

/// Lend the private key to `use_it`, and wipe the library's copy.
fn with_key<R>(node: &Node, use_it: impl FnOnce(&SecretKey) -> R) -> Result<R, NoKey> {
    let mut key = SecretKey::from_byte_array(*node.key()).map_err(|_| NoKey)?;
    let result = use_it(&key);
    key.non_secure_erase();
    Ok(result)
}

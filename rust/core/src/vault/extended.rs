//! Extended keys: what BIP-32 writes as `xprv…` and `xpub…`.

use core::fmt;
use std::sync::Arc;

use alknet_guard::Cell;
use ripemd::Ripemd160;
use secp256k1::PublicKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::bip32;
use super::error::Error;
use super::keyring::Keyring;
use super::node::Node;
use super::path::{BadPath, DerivationPath, HARDENED, MAX_DEPTH};
use crate::secret::{Locked, Secret, Shelter, scrub_stack};
use crate::sign::{BadKey, secp256k1 as ecdsa};

/// Bytes before the checksum.
const BODY_BYTES: usize = 78;
const CHECKSUM_BYTES: usize = 4;
/// No body of 78 bytes and its checksum is longer in base58.
const MAX_TEXT: usize = 113;

/// Which network an extended key is written for; it changes the four first letters only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Network {
    /// `xprv`, `xpub`.
    #[default]
    Main,
    /// `tprv`, `tpub`.
    Test,
}

const VERSIONS: [(u32, Network, bool); 4] = [
    (0x0488_ade4, Network::Main, true),
    (0x0488_b21e, Network::Main, false),
    (0x0435_8394, Network::Test, true),
    (0x0435_87cf, Network::Test, false),
];

/// Where in the tree an extended key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The network it is written for.
    pub network: Network,
    /// Steps below the root.
    pub depth: u8,
    /// The first four bytes of the HASH160 of the parent's public key; zeros at the root.
    pub parent_fingerprint: [u8; 4],
    /// The index of the last step, with [`HARDENED`] added if it is; 0 at the root.
    pub child_number: u32,
}

/// A private key that can be derived from, in its shelter.
pub struct ExtendedPrivateKey {
    place: Place,
    shelter: Arc<Shelter>,
    node: Secret,
    public: PublicKey,
    chain_code: [u8; 32],
}

/// A public key whose children, those that are not hardened, can be found without the private one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtendedPublicKey {
    place: Place,
    public: PublicKey,
    chain_code: [u8; 32],
}

impl Keyring {
    /// The extended private key at *path* (BIP-32), which dies with the keyring.
    ///
    /// # Errors
    /// There is no key there, which happens to one path in 2^127; the vault is locked.
    pub fn extended(
        &self,
        path: &DerivationPath,
        network: Network,
    ) -> Result<ExtendedPrivateKey, Error> {
        let place = match path.indices().split_last() {
            None => Place {
                network,
                depth: 0,
                parent_fingerprint: [0; 4],
                child_number: 0,
            },
            Some((last, above)) => {
                let parent = self.secp256k1_node(&path.parent())?;
                Place {
                    network,
                    depth: depth(above.len() + 1)?,
                    parent_fingerprint: fingerprint(&bip32::public_key(&parent)?),
                    child_number: *last,
                }
            }
        };
        ExtendedPrivateKey::new(place, &self.shelter, self.secp256k1_node(path)?)
    }
}

fn depth(steps: usize) -> Result<u8, BadPath> {
    u8::try_from(steps).map_err(|_| BadPath {
        position: 0,
        reason: format!("{steps} steps, and an extended key counts no more than {MAX_DEPTH}"),
    })
}

impl ExtendedPrivateKey {
    fn new(place: Place, shelter: &Arc<Shelter>, node: Node) -> Result<Self, Error> {
        let public = bip32::public_key(&node)?;
        let chain_code = *node.chain_code();
        let node = shelter.keep(node.0)?;
        scrub_stack();
        Ok(Self {
            place,
            shelter: Arc::clone(shelter),
            node,
            public,
            chain_code,
        })
    }

    /// Read `xprv…` or `tprv…`. The key belongs to no vault.
    ///
    /// # Errors
    /// It is none; every invalid key that BIP-32 lists is refused.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let body = read_body(text)?;
        let (place, is_private, chain_code, key) = read_fields(&body)?;
        if !is_private {
            return Err(BadKey(
                "this is an extended public key, and the private one was asked for".into(),
            )
            .into());
        }
        let (zero, key) = key.split_at(1);
        if zero != [0] {
            return Err(damaged("a private key begins with a zero byte here").into());
        }
        let mut cell = Cell::holding(key);
        cell[32..].copy_from_slice(chain_code);
        let refused = |_| damaged("the private key is zero, or not below the curve's order").into();
        let node = Node(cell);
        bip32::public_key(&node).map_err(|error: bip32::NoKey| -> Error { refused(error) })?;
        Self::new(place, Shelter::of_the_process(), node)
    }

    /// The text, `xprv…` or `tprv…`: with it goes everything below.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn reveal(&self) -> Result<Zeroizing<String>, Locked> {
        let node = self.node.copy()?;
        let mut key = Zeroizing::new([0; 33]);
        key[1..].copy_from_slice(&node[..32]);
        Ok(write(self.place, true, &self.chain_code, &key))
    }

    /// The key that *path* leads to from here, where `m` is this key itself.
    ///
    /// # Errors
    /// There is no key there; the tree ends there; the vault it came from was locked.
    pub fn derive(&self, path: &DerivationPath) -> Result<Self, Error> {
        let mut node = Node(self.node.copy()?);
        let mut place = self.place;
        for index in path.indices() {
            place.parent_fingerprint = fingerprint(&bip32::public_key(&node)?);
            place.depth = depth(usize::from(place.depth) + 1)?;
            place.child_number = *index;
            bip32::step(&mut node, *index)?;
        }
        Self::new(place, &self.shelter, node)
    }

    /// The public half, which finds the same children as long as they are not hardened.
    #[must_use]
    pub fn public(&self) -> ExtendedPublicKey {
        ExtendedPublicKey {
            place: self.place,
            public: self.public,
            chain_code: self.chain_code,
        }
    }

    /// The key itself, to sign with.
    ///
    /// # Errors
    /// The vault it came from was locked.
    pub fn key(&self) -> Result<ecdsa::PrivateKey, Error> {
        ecdsa::PrivateKey::new(&self.shelter, Node(self.node.copy()?).key())
    }
}

impl ExtendedPublicKey {
    /// Read `xpub…` or `tpub…`.
    ///
    /// # Errors
    /// It is none; every invalid key that BIP-32 lists is refused.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let body = read_body(text.as_bytes())?;
        let (place, is_private, chain_code, key) = read_fields(&body)?;
        if is_private {
            return Err(BadKey(
                "this is an extended private key, and the public one was asked for: keep it secret"
                    .into(),
            )
            .into());
        }
        let public = PublicKey::from_slice(key)
            .map_err(|_| damaged("the public key is not a point of the curve"))?;
        Ok(Self {
            place,
            public,
            chain_code: *chain_code,
        })
    }

    /// The key that *path* leads to from here, where `m` is this key itself.
    ///
    /// # Errors
    /// A step is hardened, and only the private key can go there; there is no key there.
    pub fn derive(&self, path: &DerivationPath) -> Result<Self, Error> {
        path.refuse(
            |index| index >= HARDENED,
            "has a hardened step, which needs the private key",
        )?;
        let mut child = self.clone();
        for index in path.indices() {
            child.place.parent_fingerprint = fingerprint(&child.public);
            child.place.depth = depth(usize::from(child.place.depth) + 1)?;
            child.place.child_number = *index;
            (child.public, child.chain_code) =
                bip32::step_public(&child.public, &child.chain_code, *index)?;
        }
        Ok(child)
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The chain code.
    #[must_use]
    pub fn chain_code(&self) -> &[u8; 32] {
        &self.chain_code
    }

    /// The first four bytes of the HASH160 of the public key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 4] {
        fingerprint(&self.public)
    }
}

impl fmt::Display for ExtendedPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(
            self.place,
            false,
            &self.chain_code,
            &self.public.serialize(),
        ))
    }
}

fn fingerprint(public: &PublicKey) -> [u8; 4] {
    let hash = Ripemd160::digest(Sha256::digest(public.serialize()));
    let mut fingerprint = [0; 4];
    fingerprint.copy_from_slice(&hash[..4]);
    fingerprint
}

fn damaged(reason: &str) -> BadKey {
    BadKey(format!("this is no extended key (BIP-32): {reason}"))
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&Sha256::digest(Sha256::digest(body))[..CHECKSUM_BYTES]);
    checksum
}

fn read_body(text: &[u8]) -> Result<Zeroizing<[u8; BODY_BYTES]>, BadKey> {
    let text = text.trim_ascii();
    if text.len() > MAX_TEXT {
        return Err(damaged("it is too long"));
    }
    let mut bytes = Zeroizing::new([0; MAX_TEXT]);
    let length = bs58::decode(text)
        .onto(&mut bytes[..])
        .map_err(|_| damaged("it is not base58"))?;
    if length != BODY_BYTES + CHECKSUM_BYTES {
        return Err(damaged("it has another length"));
    }
    let mut body = Zeroizing::new([0; BODY_BYTES]);
    body.copy_from_slice(&bytes[..BODY_BYTES]);
    if bytes[BODY_BYTES..length] != checksum(&body[..]) {
        return Err(damaged("the checksum is wrong, so a letter was changed"));
    }
    Ok(body)
}

type Fields<'a> = (Place, bool, &'a [u8; 32], &'a [u8; 33]);

fn read_fields(body: &[u8; BODY_BYTES]) -> Result<Fields<'_>, BadKey> {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte))
    };
    let short = || damaged("it has another length");
    let version = number(&body[..4]);
    let (_, network, is_private) = VERSIONS
        .into_iter()
        .find(|(known, _, _)| *known == version)
        .ok_or_else(|| damaged("the version is none of xprv, xpub, tprv and tpub"))?;
    let mut parent_fingerprint = [0; 4];
    parent_fingerprint.copy_from_slice(&body[5..9]);
    let place = Place {
        network,
        depth: body[4],
        parent_fingerprint,
        child_number: number(&body[9..13]),
    };
    if place.depth == 0 && place.parent_fingerprint != [0; 4] {
        return Err(damaged("it is a root and names a parent"));
    }
    if place.depth == 0 && place.child_number != 0 {
        return Err(damaged("it is a root and has an index"));
    }
    let (chain_code, key) = body[13..].split_first_chunk::<32>().ok_or_else(short)?;
    Ok((
        place,
        is_private,
        chain_code,
        key.first_chunk().ok_or_else(short)?,
    ))
}

fn write(place: Place, private: bool, chain_code: &[u8; 32], key: &[u8; 33]) -> Zeroizing<String> {
    let version = VERSIONS
        .into_iter()
        .find(|(_, network, is_private)| (*network, *is_private) == (place.network, private))
        .map_or(0, |(version, _, _)| version);
    let mut bytes = Zeroizing::new([0; BODY_BYTES + CHECKSUM_BYTES]);
    let (body, check) = bytes.split_at_mut(BODY_BYTES);
    body[..4].copy_from_slice(&version.to_be_bytes());
    body[4] = place.depth;
    body[5..9].copy_from_slice(&place.parent_fingerprint);
    body[9..13].copy_from_slice(&place.child_number.to_be_bytes());
    body[13..45].copy_from_slice(chain_code);
    body[45..].copy_from_slice(key);
    check.copy_from_slice(&checksum(body));
    Zeroizing::new(bs58::encode(&bytes[..]).into_string())
}

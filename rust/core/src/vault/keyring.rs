//! The keyring: one seed in its shelter, and the keys that are derived from it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alknet_guard::Cell;

use super::cache::{Asked, Cache, Kept, Limits};
use super::error::Error;
use super::mnemonic::Mnemonic;
use super::node::Node;
use super::path::{DerivationPath, HARDENED};
use super::seal_counts::SealCounts;
use super::{bip32, slip10};
use crate::secret::{Locked, Secret, Shelter, scrub_stack};
use crate::sign::{ed25519, secp256k1};

/// The first step of every path of ours. It stands at the purpose level (BIP-43), where 74
/// collides with nothing; as a SLIP-0044 coin type it would be ICON's.
pub const PURPOSE: u32 = HARDENED + 74;

/// Bytes of the shortest seed, and of the longest (BIP-32).
pub const SEED_BYTES: core::ops::RangeInclusive<usize> = 16..=64;

/// The most keys of one batch: more would keep a caller from seeing any of them for seconds.
pub const MAX_BATCH: u32 = 65_536;

/// A seed, and everything derived from it, until it is locked.
pub struct Keyring {
    pub(super) shelter: Arc<Shelter>,
    seed: Secret,
    seed_bytes: usize,
    cache: Mutex<Cache>,
    pub(super) seals: SealCounts,
}

impl Keyring {
    /// Stretch *mnemonic* and *passphrase* into a seed (BIP-39) and shelter it.
    ///
    /// # Errors
    /// *passphrase* is not UTF-8.
    pub fn from_mnemonic(
        mnemonic: &Mnemonic,
        passphrase: &[u8],
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut seed = Cell::new();
        mnemonic.seed_into(passphrase, &mut seed)?;
        scrub_stack();
        let length = seed.len();
        Ok(Self::of(seed, length, limits)?)
    }

    /// Shelter *seed*, of 16 to 64 bytes (BIP-32).
    ///
    /// # Errors
    /// Another length.
    pub fn from_seed(seed: &[u8], limits: Limits) -> Result<Self, Error> {
        if !SEED_BYTES.contains(&seed.len()) {
            return Err(Error::Input(format!(
                "a seed is 16 to 64 bytes; this one is {}",
                seed.len()
            )));
        }
        Ok(Self::of(Cell::holding(seed), seed.len(), limits)?)
    }

    fn of(seed: Cell, seed_bytes: usize, limits: Limits) -> Result<Self, Locked> {
        let shelter = Shelter::new();
        let seed = shelter.keep(seed)?;
        let (cache, seals) = (Mutex::new(Cache::new(limits)), SealCounts::default());
        Ok(Self {
            shelter,
            seed,
            seed_bytes,
            cache,
            seals,
        })
    }

    /// Wipe the seed and every key taken from it. Doing so twice is harmless.
    pub fn lock(&self) {
        self.shelter.wipe();
        self.cache().clear();
        scrub_stack();
    }

    /// Whether it is locked.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.seed.read(|_| ()).is_err()
    }

    /// The Ed25519 key at *path* (SLIP-0010).
    ///
    /// # Errors
    /// The path has a step that is not hardened; the vault is locked.
    pub fn ed25519(&self, path: &DerivationPath) -> Result<Arc<ed25519::PrivateKey>, Error> {
        let asked = Asked::Ed25519Key(path.clone());
        if let Some(Kept::Ed25519(key)) = self.kept(&asked)? {
            return Ok(key);
        }
        let node = self.ed25519_node(path)?;
        let key = Arc::new(ed25519::PrivateKey::new(&self.shelter, node.key())?);
        self.keep(asked, Kept::Ed25519(Arc::clone(&key)));
        Ok(key)
    }

    /// The keys at `parent/start'`, `parent/(start + 1)'`, … , *count* of them. They are not cached.
    ///
    /// # Errors
    /// As [`Self::ed25519`]; the last index is above 2^31 - 1; *count* is above [`MAX_BATCH`].
    pub fn ed25519_batch(
        &self,
        parent: &DerivationPath,
        start: u32,
        count: u32,
    ) -> Result<Vec<ed25519::PrivateKey>, Error> {
        let indices = batch(parent, start, count)?;
        let siblings = slip10::Siblings::of(&self.ed25519_node(parent)?);
        let key =
            |index| ed25519::PrivateKey::new(&self.shelter, siblings.child(index | HARDENED).key());
        Ok(indices.map(key).collect::<Result<_, _>>()?)
    }

    /// The secp256k1 key at *path* (BIP-32).
    ///
    /// # Errors
    /// There is no key there, which happens to one path in 2^127; the vault is locked.
    pub fn secp256k1(&self, path: &DerivationPath) -> Result<Arc<secp256k1::PrivateKey>, Error> {
        let asked = Asked::Secp256k1Key(path.clone());
        if let Some(Kept::Secp256k1(key)) = self.kept(&asked)? {
            return Ok(key);
        }
        let node = self.secp256k1_node(path)?;
        let key = Arc::new(secp256k1::PrivateKey::new(&self.shelter, node.key())?);
        self.keep(asked, Kept::Secp256k1(Arc::clone(&key)));
        Ok(key)
    }

    /// The node at *path* for Ed25519, by way of its parent if that is still known.
    pub(super) fn ed25519_node(&self, path: &DerivationPath) -> Result<Node, Error> {
        path.refuse(
            |index| index < HARDENED,
            "has a step that is not hardened, and Ed25519 (SLIP-0010) has no other",
        )?;
        let step = |node: &mut Node, index| {
            slip10::step(node, index);
            Ok::<(), Error>(())
        };
        self.node(
            path,
            Asked::Ed25519Node,
            |seed| Ok(slip10::master(seed)),
            step,
        )
    }

    /// The node at *path* for secp256k1, by way of its parent if that is still known.
    pub(super) fn secp256k1_node(&self, path: &DerivationPath) -> Result<Node, Error> {
        self.node(path, Asked::Secp256k1Node, bip32::master, bip32::step)
    }

    fn node<E: Into<Error>>(
        &self,
        path: &DerivationPath,
        asked: fn(DerivationPath) -> Asked,
        master: impl FnOnce(&[u8]) -> Result<Node, E>,
        step: impl Fn(&mut Node, u32) -> Result<(), E>,
    ) -> Result<Node, Error> {
        let from_seed = || {
            let seed = self.seed.copy()?;
            master(&seed[..self.seed_bytes]).map_err(Into::into)
        };
        let Some((last, above)) = path.indices().split_last() else {
            return from_seed();
        };
        // Siblings are asked for one after another, so it is the parent that is worth keeping.
        let asked = asked(path.parent());
        let mut node = if let Some(Kept::Secret(parent)) = self.kept(&asked)? {
            Node(parent.copy()?)
        } else {
            let mut node = from_seed()?;
            above
                .iter()
                .try_for_each(|index| step(&mut node, *index))
                .map_err(Into::into)?;
            let parent = self.shelter.keep(Cell::holding(&node.0[..]))?;
            self.keep(asked, Kept::Secret(Arc::new(parent)));
            node
        };
        step(&mut node, *last).map_err(Into::into)?;
        scrub_stack();
        Ok(node)
    }

    /// How often each key version has sealed.
    #[must_use]
    pub fn seal_counts(&self) -> &SealCounts {
        &self.seals
    }

    /// What the cache has, unless the vault is locked.
    pub(super) fn kept(&self, asked: &Asked) -> Result<Option<Kept>, Locked> {
        self.seed.read(|_| ())?;
        Ok(self.cached(asked))
    }

    /// What the cache has; its secrets are dead if the vault is locked.
    pub(super) fn cached(&self, asked: &Asked) -> Option<Kept> {
        self.cache().get(asked, Instant::now())
    }

    pub(super) fn keep(&self, asked: Asked, kept: Kept) {
        self.cache().put(asked, kept, Instant::now());
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn batch(parent: &DerivationPath, start: u32, count: u32) -> Result<core::ops::Range<u32>, Error> {
    if count > MAX_BATCH {
        return Err(Error::Input(format!(
            "a batch has {MAX_BATCH} keys at most; {count} were asked for"
        )));
    }
    if count > 0 {
        parent.child(HARDENED)?;
    }
    match start.checked_add(count) {
        Some(end) if end <= HARDENED => Ok(start..end),
        _ => Err(Error::Input(format!(
            "{count} keys from index {start} on would pass the last index, {}",
            HARDENED - 1
        ))),
    }
}

//! Where secrets live: one shelter a vault, which wipes everything in it at once.
//!
//! A key handle does not hold its key: it holds a place in the shelter, and asks for the bytes each
//! time. So locking is one write, and no handle that was given out before can go on signing.

use core::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::{Zeroize, Zeroizing};

/// The most bytes of one secret: a key and its chain code, a seed, or an Ed25519 pair.
pub const SLOT_BYTES: usize = 64;

/// The shelter was wiped: the vault is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the vault is locked, and every key taken from it is dead: unlock it and derive again",
        )
    }
}

impl std::error::Error for Locked {}

/// A store of secrets that share one fate.
pub struct Shelter {
    slots: RwLock<Option<Slots>>,
}

#[derive(Default)]
struct Slots {
    taken: Vec<Option<Box<Zeroizing<[u8; SLOT_BYTES]>>>>,
    free: Vec<usize>,
}

impl Shelter {
    /// An empty, open shelter.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            slots: RwLock::new(Some(Slots::default())),
        })
    }

    /// Have *fill* write a secret of *length* bytes straight into a new slot.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn store(
        self: &Arc<Self>,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Secret, Locked> {
        let mut bytes = Box::new(Zeroizing::new([0u8; SLOT_BYTES]));
        fill(&mut bytes[..length]);
        let mut guard = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slots = guard.as_mut().ok_or(Locked)?;
        let place = slots.free.pop().unwrap_or_else(|| {
            slots.taken.push(None);
            slots.taken.len() - 1
        });
        slots.taken[place] = Some(bytes);
        Ok(Secret {
            shelter: Arc::clone(self),
            place,
            length,
        })
    }

    /// Wipe every secret, for good.
    pub fn wipe(&self) {
        *self.slots.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it was wiped.
    pub fn is_wiped(&self) -> bool {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }
}

/// A place in a shelter; the bytes are wiped when it is dropped.
pub struct Secret {
    shelter: Arc<Shelter>,
    place: usize,
    length: usize,
}

impl Secret {
    /// Lend the bytes to *use_it*, and return what it returns.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn read<R>(&self, use_it: impl FnOnce(&[u8]) -> R) -> Result<R, Locked> {
        let guard = self
            .shelter
            .slots
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let slot = guard
            .as_ref()
            .and_then(|slots| slots.taken[self.place].as_ref());
        slot.map(|bytes| use_it(&bytes[..self.length]))
            .ok_or(Locked)
    }

    /// The shelter that holds it.
    #[must_use]
    pub fn shelter(&self) -> &Arc<Shelter> {
        &self.shelter
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut guard = self
            .shelter
            .slots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slots) = guard.as_mut() {
            if let Some(mut bytes) = slots.taken[self.place].take() {
                bytes.zeroize();
            }
            slots.free.push(self.place);
        }
    }
}

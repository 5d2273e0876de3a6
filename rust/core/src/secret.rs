//! Where secrets live: one shelter a vault, which wipes everything in it at once.
//!
//! A key handle does not hold its key: it holds a place in the shelter, and asks for the bytes each
//! time. So locking is one write, and no handle that was given out before can go on signing. What
//! is under way when the vault is locked ends with its own copy, which is wiped then.
//!
//! A child that was forked finds its secrets gone (see `alknet_guard`), and is told that it is
//! locked.

use core::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use alknet_guard::Cell;

/// The most bytes of one secret: a key and its chain code, a seed, or an Ed25519 pair.
pub use alknet_guard::SECRET_BYTES;

/// The shelter was wiped: the vault is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the vault is locked, and every key taken from it is dead: unlock it and derive again \
             (a forked process inherits no keys and must unlock for itself)",
        )
    }
}

impl std::error::Error for Locked {}

/// A store of secrets that share one fate.
pub struct Shelter {
    places: RwLock<Option<Places>>,
}

#[derive(Default)]
struct Places {
    taken: Vec<Option<Cell>>,
    free: Vec<usize>,
}

impl Shelter {
    /// An empty, open shelter.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            places: RwLock::new(Some(Places::default())),
        })
    }

    /// The shelter of keys that belong to no vault; nothing wipes it as a whole.
    #[must_use]
    pub fn of_the_process() -> &'static Arc<Self> {
        static SHELTER: LazyLock<Arc<Shelter>> = LazyLock::new(Shelter::new);
        &SHELTER
    }

    /// Take *cell* in.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn keep(self: &Arc<Self>, cell: Cell) -> Result<Secret, Locked> {
        let mut guard = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let places = guard.as_mut().ok_or(Locked)?;
        let place = if let Some(place) = places.free.pop() {
            places.taken[place] = Some(cell);
            place
        } else {
            places.taken.push(Some(cell));
            places.taken.len() - 1
        };
        Ok(Secret {
            shelter: Arc::clone(self),
            place,
        })
    }

    /// Wipe every secret, for good.
    pub fn wipe(&self) {
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A place in a shelter; the bytes are wiped when it is dropped.
pub struct Secret {
    shelter: Arc<Shelter>,
    place: usize,
}

impl Secret {
    /// Lend the bytes to `use_them`, which must be quick and must not come back to this shelter,
    /// and return what it returns.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn read<R>(&self, use_them: impl FnOnce(&[u8; SECRET_BYTES]) -> R) -> Result<R, Locked> {
        let guard = self
            .shelter
            .places
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let cell = guard
            .as_ref()
            .and_then(|places| places.taken[self.place].as_ref());
        let cell = cell.filter(|cell| cell.is_intact()).ok_or(Locked)?;
        Ok(use_them(cell))
    }

    /// A copy of the bytes, for work that takes its time.
    ///
    /// # Errors
    /// The shelter was wiped.
    pub fn copy(&self) -> Result<Cell, Locked> {
        self.read(|bytes| Cell::holding(bytes))
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut guard = self
            .shelter
            .places
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = guard.as_mut() {
            places.taken[self.place] = None;
            places.free.push(self.place);
        }
    }
}

/// Overwrite the stack below the caller, where a hash or a curve has left words of a secret.
///
/// The libraries wipe what they own, but not what the compiler spilled in between.
#[inline(never)]
pub(crate) fn scrub_stack() {
    core::hint::black_box([0u8; 8192]);
}

/// A buffer of some length that is wiped on drop. It must not grow, or it leaves a copy behind.
///
/// `Zeroizing` writes byte by byte, which takes longer for a long message than sealing it; this
/// fills, and keeps the compiler from thinking that nobody looks.
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// *length* zeros.
    #[must_use]
    pub fn zeros(length: usize) -> Self {
        Self(vec![0; length])
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        core::hint::black_box(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_until_its_shelter_is_wiped() {
        let shelter = Shelter::new();
        let secret = shelter.keep(Cell::holding(b"abc")).expect("open");
        assert_eq!(secret.read(|bytes| bytes[..4] == *b"abc\0"), Ok(true));
        shelter.wipe();
        assert_eq!(secret.read(|_| ()), Err(Locked));
        assert!(secret.copy().is_err());
        assert!(shelter.keep(Cell::new()).is_err());
    }

    #[test]
    fn a_place_is_used_again_and_never_twice() {
        let shelter = Shelter::new();
        let keep = |byte| shelter.keep(Cell::holding(&[byte])).expect("open");
        let (one, two) = (keep(1), keep(2));
        drop(one);
        let three = keep(3);
        assert_eq!(two.read(|bytes| bytes[0]), Ok(2));
        assert_eq!(three.read(|bytes| bytes[0]), Ok(3));
        let guard = shelter.places.read().expect("not poisoned");
        assert_eq!(guard.as_ref().map(|places| places.taken.len()), Some(2));
    }
}

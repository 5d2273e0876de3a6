//! Cells for secrets, dealt out of locked pages.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroize;

use crate::pages::{BYTES, Pages};

/// Bytes of a cell: a key and its chain code, a 64-byte seed, or an Ed25519 pair.
pub const SECRET_BYTES: usize = 64;

/// Cell 0 of each shelf holds the mark; the rest are for secrets. A place fits one byte.
const CELLS: usize = BYTES / SECRET_BYTES;
const _: () = assert!(CELLS == 256);

/// Stands at the front of every shelf. A forked child finds zeros in its place, because the kernel
/// wiped the pages, and so learns that the secrets are gone.
const MARK: u64 = 0x616c_6b6e_6574_0001;

/// 64 bytes for one secret: zeros when new, zeros again when dropped.
pub struct Cell {
    bytes: NonNull<[u8; SECRET_BYTES]>,
    mark: NonNull<u64>,
    place: u8,
}

// SAFETY: a cell is alone in pointing to its bytes, which belong to the process; reading the bytes
// needs `&self` and writing them `&mut self`, as with a Box. The mark is only ever read while any
// cell of its shelf lives.
unsafe impl Send for Cell {}
// SAFETY: as above: `&Cell` only reads.
unsafe impl Sync for Cell {}

/// One set of pages, and which of its places are free.
struct Shelf {
    pages: Pages,
    free: Vec<u8>,
}

static SHELVES: Mutex<Vec<Shelf>> = Mutex::new(Vec::new());

fn shelves() -> MutexGuard<'static, Vec<Shelf>> {
    // Nothing in here panics half way through a change, so a poisoned lock is still in order.
    SHELVES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_intact(mark: NonNull<u64>) -> bool {
    // SAFETY: a mark is aligned, and mapped as long as its shelf or a cell of it lives. It changes
    // only by a fork, in whose child no other thread runs yet; volatile, because the compiler
    // cannot see that.
    unsafe { mark.read_volatile() == MARK }
}

impl Shelf {
    fn new() -> Self {
        let pages = Pages::new();
        // SAFETY: the pages are mapped, writable, aligned far beyond 8 bytes, and not yet shared.
        unsafe { pages.base().cast::<u64>().write(MARK) };
        Self {
            pages,
            free: (1..=u8::MAX).rev().collect(),
        }
    }

    fn mark(&self) -> NonNull<u64> {
        self.pages.base().cast()
    }

    fn deal(&mut self) -> Option<Cell> {
        // In pages that a fork wiped, nothing would ever read as intact again.
        let place = if is_intact(self.mark()) {
            self.free.pop()?
        } else {
            return None;
        };
        // SAFETY: every place is below CELLS, so the cell lies within the pages; nobody else was
        // dealt it, and steps of 64 bytes from a page boundary are aligned.
        let bytes = unsafe {
            self.pages
                .base()
                .add(usize::from(place) * SECRET_BYTES)
                .cast()
        };
        Some(Cell {
            bytes,
            mark: self.mark(),
            place,
        })
    }

    fn is_unused(&self) -> bool {
        self.free.len() == CELLS - 1
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::new()
    }
}

impl Cell {
    /// A cell of zeros.
    #[must_use]
    pub fn new() -> Self {
        let mut shelves = shelves();
        loop {
            // The newest shelf first: the older ones are the fuller ones.
            if let Some(cell) = shelves.iter_mut().rev().find_map(Shelf::deal) {
                return cell;
            }
            shelves.push(Shelf::new());
        }
    }

    /// A cell that begins with *secret*, cut to what fits.
    #[must_use]
    pub fn holding(secret: &[u8]) -> Self {
        let mut cell = Self::new();
        cell.iter_mut()
            .zip(secret)
            .for_each(|(to, from)| *to = *from);
        cell
    }

    /// Whether the bytes are what was written, and not what a fork left of them.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        is_intact(self.mark)
    }
}

impl Deref for Cell {
    type Target = [u8; SECRET_BYTES];

    fn deref(&self) -> &Self::Target {
        // SAFETY: the cell was dealt to this value alone and stays mapped until it is dropped.
        unsafe { self.bytes.as_ref() }
    }
}

impl DerefMut for Cell {
    fn deref_mut(&mut self) -> &mut Self::Target {
        // SAFETY: as in `deref`, and `&mut self` is the only way here.
        unsafe { self.bytes.as_mut() }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.zeroize();
        let mut shelves = shelves();
        let Some(at) = shelves.iter().rposition(|shelf| shelf.mark() == self.mark) else {
            return; // A shelf goes only when it is unused, so this does not happen.
        };
        shelves[at].free.push(self.place);
        // The last shelf stays, so that one key made and dropped in a loop maps nothing.
        if shelves.len() > 1 && shelves[at].is_unused() {
            shelves.swap_remove(at);
        }
    }
}

/// How well the secrets of this process are kept, at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Bytes of memory that cells are dealt from.
    pub bytes: usize,
    /// How many of them are locked, so that they are never written to swap.
    pub locked_bytes: usize,
    /// Why some are not locked, in the system's words.
    pub reason: Option<String>,
}

/// See [`MemoryStatus`]. Maps the first pages if there are none yet, to try whether they lock.
#[must_use]
pub fn memory_status() -> MemoryStatus {
    let mut shelves = shelves();
    if shelves.is_empty() {
        shelves.push(Shelf::new());
    }
    let failures: Vec<_> = shelves
        .iter()
        .filter_map(|shelf| shelf.pages.unlocked.as_ref())
        .collect();
    MemoryStatus {
        bytes: shelves.len() * BYTES,
        locked_bytes: (shelves.len() - failures.len()) * BYTES,
        reason: failures.first().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_zeros_when_new_though_it_was_used_before() {
        for _ in 0..3 {
            let mut cell = Cell::new();
            assert_eq!(*cell, [0; SECRET_BYTES]);
            cell.fill(0xaa);
            assert!(cell.is_intact());
        }
    }

    #[test]
    fn no_two_cells_share_a_byte() {
        let mut cells: Vec<Cell> = (0..1000).map(|_| Cell::new()).collect();
        for (number, cell) in cells.iter_mut().enumerate() {
            cell[..8].copy_from_slice(&number.to_le_bytes());
            cell[56..].copy_from_slice(&number.to_le_bytes());
        }
        for (number, cell) in cells.iter().enumerate() {
            assert_eq!(cell[..8], number.to_le_bytes());
            assert_eq!(cell[56..], number.to_le_bytes());
        }
    }

    #[test]
    fn the_status_adds_up() {
        let _cells: Vec<Cell> = (0..CELLS).map(|_| Cell::new()).collect();
        let status = memory_status();
        assert!(status.bytes >= 2 * BYTES);
        assert_eq!(status.locked_bytes < status.bytes, status.reason.is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_forked_child_finds_its_secrets_gone_and_can_keep_new_ones() {
        let mut cell = Cell::new();
        cell.fill(7);
        // Holding the lock over the fork, as no other thread can then hold it in the child.
        let held = shelves();
        // SAFETY: the child allocates at most (glibc allows that) and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        drop(held);
        if child == 0 {
            let gone = !cell.is_intact() && *cell == [0; SECRET_BYTES];
            let fresh = Cell::new().is_intact();
            // SAFETY: `_exit` ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!(gone && fresh))) }
        }
        let mut status = -1;
        // SAFETY: waits for our own child and writes into a live integer.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
        assert_eq!(*cell, [7; SECRET_BYTES]);
    }
}

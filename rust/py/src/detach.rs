//! Letting other Python threads run while Rust works.

use pyo3::marker::Ungil;
use pyo3::prelude::*;

/// Bytes of sealing or opening from which it pays: about 100 us of work. Below it, waiting for the
/// interpreter again may take longer than the work did.
pub(crate) const BYTES: usize = 512 * 1024;

/// Bytes of hashing, for a signature, from which it pays.
pub(crate) const HASHED_BYTES: usize = 64 * 1024;

/// What one item of a batch counts for beside its bytes: it takes as long as sealing these.
pub(crate) const ITEM_BYTES: usize = 2 * 1024;

/// Keys of a batch from which it pays.
pub(crate) const KEYS: u32 = 16;

/// Do *work*, detached from the interpreter if it is *long*.
pub(crate) fn if_long<T, F>(py: Python<'_>, long: bool, work: F) -> T
where
    F: Ungil + FnOnce() -> T,
    T: Ungil,
{
    if long { py.detach(work) } else { work() }
}

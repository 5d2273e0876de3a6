//! Names that come again and again, such as operations, as one Python string each.

use pyo3::prelude::*;
use pyo3::types::PyString;

/// Longer names are made anew each time.
const LONGEST: usize = 64;
/// A power of two. A peer that sends ever new names only replaces what is here.
const SLOTS: usize = 128;

/// A direct-mapped cache: bounded, and never wrong, because the text is compared.
pub(super) struct Names(Vec<Option<(Box<str>, Py<PyString>)>>);

impl Names {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(super) fn string(&mut self, py: Python<'_>, text: &str) -> Py<PyString> {
        if text.len() > LONGEST {
            return PyString::new(py, text).unbind();
        }
        if self.0.is_empty() {
            self.0.resize_with(SLOTS, || None);
        }
        let slot = &mut self.0[slot_of(text.as_bytes())];
        match slot {
            Some((known, string)) if **known == *text => string.clone_ref(py),
            _ => {
                let string = PyString::new(py, text).unbind();
                *slot = Some((text.into(), string.clone_ref(py)));
                string
            }
        }
    }
}

/// The ends of a name tell operations apart: the beginning is the node, which is often the same.
#[inline]
fn slot_of(text: &[u8]) -> usize {
    let tail = text
        .last_chunk::<8>()
        .map_or(0, |tail| u64::from_le_bytes(*tail));
    let mixed = (tail ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - SLOTS.trailing_zeros())) as usize
}

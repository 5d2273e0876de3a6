//! Names that come again and again, such as operations, as one Python string each.

use alknet_core::envelope::Text;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::record::Slot;

/// Longer names are made anew each time.
const LONGEST: usize = 64;
/// A power of two. A peer that sends ever new names only replaces what is here.
const SLOTS: usize = 128;

/// A direct-mapped cache: bounded, and never wrong, because the text is compared.
pub(super) struct Names(Vec<Option<Name>>);

/// The text, in UTF-8, and the string made of it.
struct Name {
    utf8: Box<[u8]>,
    string: Py<PyString>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    #[inline]
    pub(super) fn string<'py>(&mut self, py: Python<'py>, name: Text<'_>) -> PyResult<Slot<'py>> {
        let resolved;
        let name = if let Some(plain) = name.plain() {
            plain
        } else {
            resolved = name.bytes();
            &resolved
        };
        if name.len() > LONGEST {
            return PyString::from_bytes(py, name).map(Slot::owned);
        }
        if self.0.is_empty() {
            self.0.resize_with(SLOTS, || None);
        }
        let slot = &mut self.0[slot_of(name)];
        match slot {
            Some(known) if *known.utf8 == *name => Ok(Slot::owned(known.string.bind(py).clone())),
            _ => {
                let string = PyString::from_bytes(py, name)?;
                *slot = Some(Name {
                    utf8: name.into(),
                    string: string.clone().unbind(),
                });
                Ok(Slot::owned(string))
            }
        }
    }
}

/// The ends of a name tell operations apart: the beginning is the node, which is often the same.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let tail = name
        .last_chunk::<8>()
        .map_or(0, |tail| u64::from_le_bytes(*tail));
    let mixed = (tail ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The upper bits are the best mixed.
    usize::try_from(mixed >> (u64::BITS - SLOTS.trailing_zeros())).unwrap_or(0)
}

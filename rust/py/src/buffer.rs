//! The one borrow of Python's bytes.

use std::ops::Deref;

use alknet_core::secret::Wiped;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The content of `bytes`, or of anything else that lends its bytes (`bytearray`, `memoryview`, …).
///
/// `bytes` never change and are read where they lie. Anything else may be written by another
/// thread while Rust reads, so it is copied once, and the copy is wiped.
pub(crate) enum Bytes<'py> {
    /// What a parameter is that was not given.
    Empty,
    Lent(Bound<'py, PyBytes>),
    Copied(Wiped),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Lent(bytes) => bytes.as_bytes(),
            Self::Copied(bytes) => bytes,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Bytes<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Lent(bytes.to_owned()));
        }
        let Ok(buffer) = PyBuffer::<u8>::get(&object) else {
            return Err(wrong_type("a bytes-like object", object));
        };
        let mut copy = Wiped::zeros(buffer.item_count());
        buffer.copy_to_slice(object.py(), &mut copy)?;
        Ok(Self::Copied(copy))
    }
}

/// Text, or the same in UTF-8 as bytes-like, so that a caller may wipe what it passed.
pub(crate) enum Text<'py> {
    /// What a parameter is that was not given.
    Empty,
    Str(Bound<'py, PyString>),
    Bytes(Bytes<'py>),
}

impl Text<'_> {
    /// The UTF-8 bytes; those of a bytes-like argument are as they came.
    pub(crate) fn as_utf8(&self) -> PyResult<&[u8]> {
        match self {
            Self::Empty => Ok(&[]),
            Self::Str(text) => Ok(text.to_str()?.as_bytes()),
            Self::Bytes(bytes) => Ok(bytes),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Text<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Str(text.to_owned()));
        }
        Bytes::extract(object)
            .map(Self::Bytes)
            .map_err(|_| wrong_type("str or bytes-like", object))
    }
}

/// A `TypeError` that names what was expected and what came.
#[cold]
pub(crate) fn wrong_type(expected: &str, found: Borrowed<'_, '_, PyAny>) -> PyErr {
    let found = found
        .get_type()
        .name()
        .map_or_else(|_| "that".into(), |name| name.to_string());
    PyTypeError::new_err(format!("expected {expected}, not {found}"))
}

//! `alknet._core.sign`: keys that sign, and the checks of what they signed.

pub(crate) mod ed25519;
pub(crate) mod secp256k1;
mod ssh;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::register;

/// What `pickle` and `copy` hear from a handle to a secret.
#[cold]
pub(crate) fn not_pickled() -> PyErr {
    PyTypeError::new_err(
        "a secret is not pickled or copied: send the path, and derive the key where it is needed",
    )
}

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "sign")?;
    ed25519::add_to(&module)?;
    secp256k1::add_to(&module)?;
    ssh::add_to(&module)?;
    register::submodule(parent, &module)
}

//! `alknet._core`: a list of submodules, each of which registers itself.

mod aead;
mod buffer;
mod envelope;
mod errors;
mod register;
mod sign;
mod vault;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    aead::init(module)?;
    envelope::init(module)?;
    sign::init(module)?;
    vault::init(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

//! `alknet._core.vault`: phrases, shares, paths, the keyring and extended keys.

mod extended;
mod keyring;
mod memory;
mod mnemonic;
mod path;
mod shares;

use pyo3::prelude::*;

use crate::register;

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "vault")?;
    path::add_to(&module)?;
    mnemonic::add_to(&module)?;
    keyring::add_to(&module)?;
    shares::add_to(&module)?;
    extended::add_to(&module)?;
    memory::add_to(&module)?;
    register::submodule(parent, &module)
}

//! `alknet._core`: a list of submodules, each of which registers itself.
#![allow(
    clippy::needless_pass_by_value,
    reason = "PyO3 hands arguments over by value"
)]
#![allow(
    clippy::doc_markdown,
    reason = "the doc comments are Python docstrings"
)]

mod aead;
mod buffer;
mod detach;
mod encrypted;
mod envelope;
mod errors;
mod honker;
mod quic;
mod register;
mod sign;
mod tls;
mod vault;
mod websocket;

use pyo3::prelude::*;

// No free-threaded interpreter need fear this: every class is frozen, and what changes is behind a
// lock of the core.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    aead::init(module)?;
    envelope::init(module)?;
    quic::init(module)?;
    sign::init(module)?;
    tls::init(module)?;
    vault::init(module)?;
    websocket::init(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}

//! Ed25519 public keys as OpenSSH writes them.

use alknet_core::sign::{BadKey, ssh};
use alknet_core::vault::Error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Bytes;
use crate::errors;

/// `SHA256:` and the unpadded base64 of the hash of an Ed25519 *public_key*, as OpenSSH prints it.
///
/// Raises:
///     BadKey: *public_key* is not 32 bytes.
#[pyfunction]
fn ssh_fingerprint(public_key: Bytes<'_>) -> PyResult<String> {
    errors::run(|| BadKey::length("an Ed25519 public key", &public_key).map(ssh::fingerprint))
}

/// The line `ssh-ed25519 AAAA… comment` for an Ed25519 *public_key*, without an end of line.
///
/// Raises:
///     BadKey: *public_key* is not 32 bytes.
///     InvalidInput: *comment* has a control character in it, such as an end of line.
#[pyfunction]
#[pyo3(signature = (public_key, comment = ""))]
fn ssh_public_line(public_key: Bytes<'_>, comment: &str) -> PyResult<String> {
    errors::run(|| {
        let public = BadKey::length("an Ed25519 public key", &public_key)?;
        ssh::public_line(public, comment)
    })
}

/// The key, 32 bytes, and the comment of a line `ssh-ed25519 AAAA… comment`.
///
/// Raises:
///     BadKey: it is another kind of key, has options in front, or was damaged.
#[pyfunction]
fn parse_ssh_public_line<'py>(
    py: Python<'py>,
    line: &str,
) -> PyResult<(Bound<'py, PyBytes>, String)> {
    let (public, comment) = errors::run(|| ssh::parse_public_line(line).map_err(Error::from))?;
    Ok((PyBytes::new(py, &public), comment))
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(parse_ssh_public_line, module)?)?;
    module.add_function(wrap_pyfunction!(ssh_fingerprint, module)?)?;
    module.add_function(wrap_pyfunction!(ssh_public_line, module)?)
}

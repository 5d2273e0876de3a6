//! `alknet._core.sign`: keys that sign, and the check of what they signed.

use alknet_core::sign::{ed25519, secp256k1};
use alknet_core::vault::Error;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Bytes;
use crate::{errors, register};

/// An Ed25519 private key that stays in Rust; this is a handle to it.
#[pyclass(frozen, module = "alknet.keys")]
pub(crate) struct Ed25519Key(pub(crate) ed25519::PrivateKey);

#[pymethods]
impl Ed25519Key {
    /// The public key, 32 bytes.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.public_key())
    }

    /// Sign *message*: 64 bytes, always the same for the same message (RFC 8032).
    fn sign<'py>(&self, py: Python<'py>, message: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let signature = self.0.sign(&message).map_err(errors::vault)?;
        Ok(PyBytes::new(py, &signature))
    }

    /// The 32 bytes of the private key. Python cannot wipe them: ask only where you must.
    fn reveal_private_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.0
            .reveal(|key| PyBytes::new(py, key))
            .map_err(errors::vault)
    }

    fn __repr__(&self) -> String {
        "Ed25519Key(<private>)".into()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a private key is not pickled: derive it where it is needed",
        ))
    }
}

/// A secp256k1 private key that stays in Rust; this is a handle to it.
#[pyclass(frozen, module = "alknet.keys")]
pub(crate) struct Secp256k1Key(pub(crate) secp256k1::PrivateKey);

#[pymethods]
impl Secp256k1Key {
    /// The compressed public key, 33 bytes.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key())
    }

    /// The Ethereum address, `0x` and 40 digits with the capitals of EIP-55.
    #[getter]
    fn ethereum_address(&self) -> String {
        self.0.ethereum_address()
    }

    /// Sign a 32-byte *digest* by ECDSA (RFC 6979, low s): r, s and the recovery id, 65 bytes.
    fn sign_digest<'py>(
        &self,
        py: Python<'py>,
        digest: Bytes<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let found = digest.len();
        let digest = (*digest).try_into().map_err(|_| {
            errors::vault(Error::Input(format!(
                "a digest is 32 bytes; this one is {found}"
            )))
        })?;
        let signature = self.0.sign_digest(digest).map_err(errors::vault)?;
        Ok(PyBytes::new(py, &signature))
    }

    /// The 32 bytes of the private key. Python cannot wipe them: ask only where you must.
    fn reveal_private_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.0
            .reveal(|key| PyBytes::new(py, key))
            .map_err(errors::vault)
    }

    fn __repr__(&self) -> String {
        "Secp256k1Key(<private>)".into()
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a private key is not pickled: derive it where it is needed",
        ))
    }
}

/// Check that *signature* is by *public_key* over *message* (RFC 8032).
///
/// Raises:
///     BadSignature: it is not.
///     BadKey: *public_key* is not 32 bytes.
#[pyfunction]
#[allow(
    clippy::needless_pass_by_value,
    reason = "that is how PyO3 hands arguments over"
)]
fn verify_ed25519(public_key: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    ed25519::verify(&public_key, &message, &signature).map_err(errors::vault)
}

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "sign")?;
    module.add_class::<Ed25519Key>()?;
    module.add_class::<Secp256k1Key>()?;
    module.add_function(wrap_pyfunction!(verify_ed25519, &module)?)?;
    register::submodule(parent, &module)
}

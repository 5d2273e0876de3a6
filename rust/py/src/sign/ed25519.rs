//! Ed25519 keys.

use std::sync::Arc;

use alknet_core::secret::Shelter;
use alknet_core::sign::{BadKey, ed25519, ssh};
use alknet_core::vault::Error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::not_pickled;
use crate::buffer::{Bytes, Text};
use crate::{detach, errors};

/// An Ed25519 private key that stays in Rust; this is a handle to it.
///
/// A key that a `Keyring` gave dies when that is locked, and then raises Locked. It prints as
/// nothing, is equal to nothing but itself, and is neither pickled nor copied.
#[pyclass(frozen, module = "alknet.keys")]
pub(crate) struct Ed25519Key(pub(crate) Arc<ed25519::PrivateKey>);

impl From<ed25519::PrivateKey> for Ed25519Key {
    fn from(key: ed25519::PrivateKey) -> Self {
        Self(Arc::new(key))
    }
}

#[pymethods]
impl Ed25519Key {
    /// A new key, out of the operating system's randomness.
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        errors::run(ed25519::PrivateKey::generate).map(Self::from)
    }

    /// The key of 32 bytes that RFC 8032 calls the private key.
    ///
    /// Raises:
    ///     BadKey: *private_key* has another length.
    #[staticmethod]
    fn from_private_key(private_key: Bytes<'_>) -> PyResult<Self> {
        errors::run(|| {
            let seed = BadKey::length("an Ed25519 private key", &private_key)?;
            Ok::<_, Error>(ed25519::PrivateKey::new(Shelter::of_the_process(), seed)?.into())
        })
    }

    /// Read an OpenSSH private key file, with its *passphrase* if it has one.
    ///
    /// With a passphrase it takes some 100 ms, in which other threads run.
    ///
    /// Raises:
    ///     BadKey: it is no such file, of another kind than ssh-ed25519, or needs a passphrase.
    ///     DecryptionFailed: the passphrase is another.
    #[staticmethod]
    #[pyo3(signature = (pem, passphrase = None))]
    fn from_openssh(py: Python<'_>, pem: Text<'_>, passphrase: Option<Text<'_>>) -> PyResult<Self> {
        let pem = pem.as_utf8()?;
        let passphrase = passphrase.as_ref().map(Text::as_utf8).transpose()?;
        py.detach(|| errors::run(|| ssh::read_private_key(pem, passphrase)))
            .map(|(key, _)| key.into())
    }

    /// The key as an OpenSSH private key file; encrypted, if a *passphrase* is given.
    ///
    /// Without one, or with an empty one, whoever reads the text has the key. With one it takes some 100 ms, in which
    /// other threads run.
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    #[pyo3(signature = (comment = "", passphrase = None))]
    fn to_openssh(
        &self,
        py: Python<'_>,
        comment: &str,
        passphrase: Option<Text<'_>>,
    ) -> PyResult<String> {
        let passphrase = passphrase.as_ref().map(Text::as_utf8).transpose()?;
        py.detach(|| errors::run(|| ssh::write_private_key(&self.0, comment, passphrase)))
            .map(|text| text.to_string())
    }

    /// The public key, 32 bytes.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.public_key())
    }

    /// `SHA256:` and unpadded base64, as OpenSSH prints it.
    #[getter]
    fn fingerprint(&self) -> String {
        ssh::fingerprint(self.0.public_key())
    }

    /// Sign *message*: 64 bytes, always the same for the same message (RFC 8032).
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    fn sign<'py>(&self, py: Python<'py>, message: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let message = &*message;
        let signature = detach::if_long(py, message.len() >= detach::HASHED_BYTES, || {
            errors::run(|| self.0.sign(message))
        })?;
        Ok(PyBytes::new(py, &signature))
    }

    /// The 32 bytes of the private key. Python cannot wipe them: ask only where you must.
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    fn reveal_private_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let cell = errors::run(|| self.0.reveal())?;
        Ok(PyBytes::new(py, &cell[..ed25519::KEY_BYTES]))
    }

    fn __repr__(&self) -> String {
        format!("Ed25519Key(<private>, {})", self.fingerprint())
    }

    fn __reduce__(_this: &Bound<'_, Self>) -> PyResult<()> {
        Err(not_pickled())
    }
}

/// Check that *signature* is by *public_key* over *message* (RFC 8032), strictly.
///
/// Refused as well: an s that is not below the group order, a point that is not encoded the one
/// right way, and a public key or an R of small order, for which one signature fits many messages.
///
/// Raises:
///     BadSignature: it is not, or is one of these.
///     BadKey: *public_key* is not 32 bytes.
#[pyfunction]
fn verify_ed25519(
    py: Python<'_>,
    public_key: Bytes<'_>,
    message: Bytes<'_>,
    signature: Bytes<'_>,
) -> PyResult<()> {
    let (public_key, message, signature) = (&*public_key, &*message, &*signature);
    detach::if_long(py, message.len() >= detach::HASHED_BYTES, || {
        errors::run(|| ed25519::verify(public_key, message, signature))
    })
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ed25519Key>()?;
    module.add_function(wrap_pyfunction!(verify_ed25519, module)?)
}

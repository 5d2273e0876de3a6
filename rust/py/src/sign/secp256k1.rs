//! secp256k1 keys.

use std::sync::Arc;

use alknet_core::secret::Shelter;
use alknet_core::sign::{BadKey, ethereum, secp256k1};
use alknet_core::vault::Error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::not_pickled;
use crate::buffer::Bytes;
use crate::errors;

/// A secp256k1 private key that stays in Rust; this is a handle to it.
///
/// A key that a `Keyring` gave dies when that is locked, and then raises Locked. It prints as
/// nothing, is equal to nothing but itself, and is neither pickled nor copied.
#[pyclass(frozen, module = "alknet.keys")]
pub(crate) struct Secp256k1Key(pub(crate) Arc<secp256k1::PrivateKey>);

impl From<secp256k1::PrivateKey> for Secp256k1Key {
    fn from(key: secp256k1::PrivateKey) -> Self {
        Self(Arc::new(key))
    }
}

#[pymethods]
impl Secp256k1Key {
    /// A new key, out of the operating system's randomness.
    #[staticmethod]
    fn generate() -> PyResult<Self> {
        errors::run(secp256k1::PrivateKey::generate).map(Self::from)
    }

    /// The key of 32 bytes, a big-endian number from 1 to the order of the curve less one.
    ///
    /// Raises:
    ///     BadKey: *private_key* has another length, or the number is out of that range.
    #[staticmethod]
    fn from_private_key(private_key: Bytes<'_>) -> PyResult<Self> {
        errors::run(|| {
            let bytes = BadKey::length("a secp256k1 private key", &private_key)?;
            secp256k1::PrivateKey::new(Shelter::of_the_process(), bytes).map(Self::from)
        })
    }

    /// The compressed public key, 33 bytes.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key().serialize())
    }

    /// The x of the public key, 32 bytes, which is all that BIP-340 and Taproot use.
    #[getter]
    fn x_only_public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key().x_only_public_key().0.serialize())
    }

    /// The Ethereum address, `0x` and 40 digits with the capitals of EIP-55.
    #[getter]
    fn ethereum_address(&self) -> String {
        ethereum::address(self.0.public_key())
    }

    /// Sign a 32-byte *digest* by ECDSA, with the nonce of RFC 6979 and a low s.
    ///
    /// 65 bytes: r (32), s (32), and the recovery id, 0 or 1 (2 or 3 once in 2^127), from which
    /// `recover_public_key` finds the signer; Ethereum adds 27 to it or builds it into v. Without
    /// *recoverable*, the 64 bytes of r and s.
    ///
    /// Raises:
    ///     InvalidInput: *digest* has another length.
    ///     Locked: the keyring it came from was locked.
    #[pyo3(signature = (digest, *, recoverable = true))]
    fn sign_digest<'py>(
        &self,
        py: Python<'py>,
        digest: Bytes<'py>,
        recoverable: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let signature = errors::run(|| self.0.sign_digest(read_digest(&digest)?))?;
        Ok(PyBytes::new(
            py,
            if recoverable {
                &signature
            } else {
                &signature[..64]
            },
        ))
    }

    /// Sign *message*, commonly a 32-byte hash, by BIP-340 (Schnorr): 64 bytes.
    ///
    /// *aux_rand* is 32 bytes that make the nonce harder to attack, never less safe; without, the
    /// system's randomness is taken.
    ///
    /// Raises:
    ///     InvalidInput: *aux_rand* has another length.
    ///     Locked: the keyring it came from was locked.
    #[pyo3(signature = (message, *, aux_rand = None))]
    fn sign_schnorr<'py>(
        &self,
        py: Python<'py>,
        message: Bytes<'py>,
        aux_rand: Option<Bytes<'py>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let signature = errors::run(|| match &aux_rand {
            None => self.0.sign_schnorr_fresh(&message),
            Some(aux_rand) => {
                let aux_rand = (**aux_rand).try_into().map_err(|_| {
                    let found = aux_rand.len();
                    Error::Input(format!("aux_rand is 32 bytes; this one is {found}"))
                })?;
                self.0.sign_schnorr(&message, aux_rand)
            }
        })?;
        Ok(PyBytes::new(py, &signature))
    }

    /// The 32 bytes of the private key. Python cannot wipe them: ask only where you must.
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    fn reveal_private_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let cell = errors::run(|| self.0.reveal())?;
        Ok(PyBytes::new(py, &cell[..secp256k1::KEY_BYTES]))
    }

    fn __repr__(&self) -> String {
        format!("Secp256k1Key(<private>, {})", self.ethereum_address())
    }

    fn __reduce__(_this: &Bound<'_, Self>) -> PyResult<()> {
        Err(not_pickled())
    }
}

fn read_digest(digest: &[u8]) -> Result<[u8; 32], Error> {
    digest.try_into().map_err(|_| {
        Error::Input(format!(
            "a digest is 32 bytes; this one is {}: hash the message first",
            digest.len()
        ))
    })
}

/// Check that *signature*, 64 bytes or 65 with a recovery id, is by *public_key* over *digest*.
///
/// *public_key* is compressed (33 bytes) or not (65).
///
/// Raises:
///     BadSignature: it is not; its s is not low; or its recovery id leads to another key.
///     BadKey: *public_key* is no point of the curve.
///     InvalidInput: *digest* is not 32 bytes.
#[pyfunction]
fn verify_digest(public_key: Bytes<'_>, digest: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    errors::run(|| {
        let (public, digest) = (secp256k1::public_key(&public_key)?, read_digest(&digest)?);
        Ok::<_, Error>(secp256k1::verify_digest(&public, digest, &signature)?)
    })
}

/// Check that *signature* is by *public_key* over *message* (BIP-340).
///
/// *public_key* is the 32 bytes of its x.
///
/// Raises:
///     BadSignature: it is not.
///     BadKey: *public_key* is not the x of a point of the curve.
#[pyfunction]
fn verify_schnorr(public_key: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    errors::run(|| secp256k1::verify_schnorr(&public_key, &message, &signature))
}

/// The compressed public key that made the 65-byte *signature* of *digest*.
///
/// Raises:
///     BadSignature: no key did.
///     InvalidInput: *digest* is not 32 bytes.
#[pyfunction]
fn recover_public_key<'py>(
    py: Python<'py>,
    digest: Bytes<'py>,
    signature: Bytes<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let public =
        errors::run(|| Ok::<_, Error>(secp256k1::recover(read_digest(&digest)?, &signature)?))?;
    Ok(PyBytes::new(py, &public.serialize()))
}

/// The Ethereum address of a secp256k1 *public_key*, 33 bytes or 65.
///
/// Raises:
///     BadKey: it is no point of the curve.
#[pyfunction]
fn ethereum_address(public_key: Bytes<'_>) -> PyResult<String> {
    errors::run(|| secp256k1::public_key(&public_key).map(|public| ethereum::address(&public)))
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Secp256k1Key>()?;
    module.add_function(wrap_pyfunction!(ethereum_address, module)?)?;
    module.add_function(wrap_pyfunction!(recover_public_key, module)?)?;
    module.add_function(wrap_pyfunction!(verify_digest, module)?)?;
    module.add_function(wrap_pyfunction!(verify_schnorr, module)?)
}

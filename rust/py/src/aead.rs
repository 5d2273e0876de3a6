//! `alknet._core.aead`: AES-256-GCM on bytes, and `EncryptedData`, the stored form.

use alknet_core::aead::{self, KEY_BYTES, NONCE_BYTES, TAG_BYTES};
use alknet_core::encrypted;
use alknet_core::vault::Error;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Bytes;
use crate::{errors, register};

fn exactly<'a, const N: usize>(bytes: &'a [u8], name: &str) -> PyResult<&'a [u8; N]> {
    bytes.try_into().map_err(|_| {
        errors::vault(Error::Input(format!(
            "the {name} is {N} bytes; this one is {}",
            bytes.len()
        )))
    })
}

/// Encrypt *plaintext* with AES-256-GCM: the ciphertext, and the 16-byte tag at its end.
///
/// *key* is 32 bytes, *nonce* 12. A nonce used twice under one key gives both messages away:
/// `Keyring.seal` draws its own and is the safer thing to call.
#[pyfunction]
#[pyo3(signature = (key, nonce, plaintext, associated_data = None))]
fn aes_gcm_seal<'py>(
    py: Python<'py>,
    key: Bytes<'py>,
    nonce: Bytes<'py>,
    plaintext: Bytes<'py>,
    associated_data: Option<Bytes<'py>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let key = exactly::<KEY_BYTES>(&key, "key")?;
    let nonce = exactly::<NONCE_BYTES>(&nonce, "nonce")?;
    let aad = associated_data.as_deref().unwrap_or_default();
    PyBytes::new_with(py, plaintext.len() + TAG_BYTES, |buffer| {
        buffer[..plaintext.len()].copy_from_slice(&plaintext);
        aead::seal_in_place(key, *nonce, aad, buffer);
        Ok(())
    })
}

/// Decrypt *sealed*, with its tag at the end.
///
/// Raises:
///     DecryptionFailed: the key, the nonce, the associated data or a byte of *sealed* is wrong.
#[pyfunction]
#[pyo3(signature = (key, nonce, sealed, associated_data = None))]
fn aes_gcm_open<'py>(
    py: Python<'py>,
    key: Bytes<'py>,
    nonce: Bytes<'py>,
    sealed: Bytes<'py>,
    associated_data: Option<Bytes<'py>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let key = exactly::<KEY_BYTES>(&key, "key")?;
    let nonce = exactly::<NONCE_BYTES>(&nonce, "nonce")?;
    let aad = associated_data.as_deref().unwrap_or_default();
    PyBytes::new_with(py, sealed.len().saturating_sub(TAG_BYTES), |buffer| {
        aead::open_into(key, *nonce, aad, &sealed, buffer).map_err(errors::vault)
    })
}

/// A sealed value as it is stored: `{key_version, salt, iv, data}`, the last three in base64.
#[pyclass(frozen, eq, hash, module = "alknet.keys")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct EncryptedData(pub(crate) encrypted::EncryptedData);

#[pymethods]
impl EncryptedData {
    #[new]
    #[pyo3(signature = (*, key_version, salt, iv, data))]
    fn new(key_version: u32, salt: String, iv: String, data: String) -> PyResult<Self> {
        encrypted::EncryptedData::new(key_version, salt, iv, data)
            .map(Self)
            .map_err(errors::vault)
    }

    /// Which key sealed it.
    #[getter]
    fn key_version(&self) -> u32 {
        self.0.key_version()
    }

    /// The salt, in base64.
    #[getter]
    fn salt(&self) -> &str {
        self.0.salt()
    }

    /// The nonce, in base64.
    #[getter]
    fn iv(&self) -> &str {
        self.0.iv()
    }

    /// The ciphertext and its 16-byte tag, in base64.
    #[getter]
    fn data(&self) -> &str {
        self.0.data()
    }

    /// The four fields, as JSON wants them.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        fields.set_item("key_version", self.0.key_version())?;
        fields.set_item("salt", self.0.salt())?;
        fields.set_item("iv", self.0.iv())?;
        fields.set_item("data", self.0.data())?;
        Ok(fields)
    }

    /// Read what `to_dict` wrote; `keyVersion` is accepted for `key_version`.
    #[staticmethod]
    fn from_dict(fields: &Bound<'_, PyDict>) -> PyResult<Self> {
        let field = |name: &str| {
            fields.get_item(name)?.ok_or_else(|| {
                errors::raise(
                    "BadCiphertext",
                    &format!("{name} of the encrypted data is missing"),
                    None,
                )
            })
        };
        let version = match fields.get_item("keyVersion")? {
            Some(version) => version,
            None => field("key_version")?,
        };
        Self::new(
            version.extract()?,
            field("salt")?.extract()?,
            field("iv")?.extract()?,
            field("data")?.extract()?,
        )
    }

    fn __repr__(&self) -> String {
        format!(
            "EncryptedData(key_version={}, {} bytes)",
            self.0.key_version(),
            self.0.plaintext_bytes()
        )
    }
}

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "aead")?;
    module.add_class::<EncryptedData>()?;
    module.add_function(wrap_pyfunction!(aes_gcm_seal, &module)?)?;
    module.add_function(wrap_pyfunction!(aes_gcm_open, &module)?)?;
    register::submodule(parent, &module)
}

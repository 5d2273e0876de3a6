//! `alknet._core.aead`: AES-256-GCM on bytes, and `EncryptedData`, the stored form.

use alknet_core::aead::{Cipher, TAG_BYTES};
use alknet_core::sign::BadKey;
use alknet_core::vault::Error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Bytes;
use crate::encrypted::EncryptedData;
use crate::{detach, errors, register};

/// Encrypt *plaintext* with AES-256-GCM: the ciphertext, and the 16-byte tag at its end.
///
/// *key* is 32 bytes, *nonce* 12. A nonce used twice under one key gives both messages away:
/// `Keyring.seal` draws its own and is the safer thing to call. From 512 KiB on, other threads run
/// meanwhile.
///
/// Raises:
///     InvalidInput: *key* or *nonce* has another length.
#[pyfunction]
#[pyo3(
    signature = (key, nonce, plaintext, associated_data = Bytes::Empty),
    text_signature = "(key, nonce, plaintext, associated_data=b'')"
)]
fn aes_gcm_seal<'py>(
    py: Python<'py>,
    key: Bytes<'py>,
    nonce: Bytes<'py>,
    plaintext: Bytes<'py>,
    associated_data: Bytes<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (plaintext, aad) = (&*plaintext, &*associated_data);
    let (cipher, nonce) = ready(&key, &nonce)?;
    PyBytes::new_with(py, plaintext.len() + TAG_BYTES, |buffer| {
        detach::if_long(py, plaintext.len() >= detach::BYTES, || {
            errors::run(|| {
                let (body, tag) = buffer.split_at_mut(plaintext.len());
                body.copy_from_slice(plaintext);
                cipher
                    .seal(nonce, aad, body)
                    .map(|made| tag.copy_from_slice(&made))
            })
        })
    })
}

/// Decrypt *sealed*, with its tag at the end. From 512 KiB on, other threads run meanwhile.
///
/// Raises:
///     DecryptionFailed: the key, the nonce, the associated data or a byte of *sealed* is wrong.
///     InvalidInput: *key* or *nonce* has another length than 32 and 12 bytes.
#[pyfunction]
#[pyo3(
    signature = (key, nonce, sealed, associated_data = Bytes::Empty),
    text_signature = "(key, nonce, sealed, associated_data=b'')"
)]
fn aes_gcm_open<'py>(
    py: Python<'py>,
    key: Bytes<'py>,
    nonce: Bytes<'py>,
    sealed: Bytes<'py>,
    associated_data: Bytes<'py>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (sealed, aad) = (&*sealed, &*associated_data);
    let (cipher, nonce) = ready(&key, &nonce)?;
    PyBytes::new_with(py, sealed.len().saturating_sub(TAG_BYTES), |plaintext| {
        detach::if_long(py, sealed.len() >= detach::BYTES, || {
            errors::run(|| cipher.open(nonce, aad, sealed, plaintext))
        })
    })
}

fn ready(key: &[u8], nonce: &[u8]) -> PyResult<(Cipher, [u8; 12])> {
    errors::run(|| {
        let cipher = Cipher::new(BadKey::length("an AES-256 key", key)?);
        let nonce = nonce.try_into().map_err(|_| {
            Error::Input(format!(
                "a nonce of AES-GCM is 12 bytes; this one is {}",
                nonce.len()
            ))
        })?;
        Ok::<_, Error>((cipher, nonce))
    })
}

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "aead")?;
    module.add_class::<EncryptedData>()?;
    module.add_function(wrap_pyfunction!(aes_gcm_open, &module)?)?;
    module.add_function(wrap_pyfunction!(aes_gcm_seal, &module)?)?;
    register::submodule(parent, &module)
}

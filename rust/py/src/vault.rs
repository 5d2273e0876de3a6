//! `alknet._core.vault`: phrases, paths and the keyring.

use alknet_core::vault::{self, Mnemonic};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::aead::EncryptedData;
use crate::buffer::{Bytes, Text};
use crate::sign::{Ed25519Key, Secp256k1Key};
use crate::{errors, register};

/// A derivation path that has been read and is good, such as `m/74'/0'/0'/0'` (BIP-32).
#[pyclass(frozen, eq, hash, str, module = "alknet.keys")]
#[derive(PartialEq, Eq, Hash)]
struct DerivationPath(vault::DerivationPath);

impl core::fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[pymethods]
impl DerivationPath {
    /// Read *text*: `m`, then steps up to 2147483647; `'`, `h` or `H` marks a hardened one.
    ///
    /// Raises:
    ///     BadPath: with the place, also in `details["position"]`.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        text.parse()
            .map(Self)
            .map_err(|bad: vault::path::BadPath| errors::vault(bad))
    }

    /// The steps as numbers, hardened ones with 2**31 added.
    #[getter]
    fn indices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.indices())
    }

    /// Whether every step is hardened; true of `m`, which has none.
    #[getter]
    fn is_hardened(&self) -> bool {
        self.0.is_hardened()
    }

    fn __len__(&self) -> usize {
        self.0.indices().len()
    }

    fn __repr__(&self) -> String {
        format!("DerivationPath.parse({:?})", self.0.to_string())
    }
}

/// Wherever a path is wanted, its text will do.
struct PathArgument(vault::DerivationPath);

impl<'py> FromPyObject<'_, 'py> for PathArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(path) = object.cast::<DerivationPath>() {
            return Ok(Self(path.get().0.clone()));
        }
        Ok(Self(DerivationPath::parse(&object.extract::<String>()?)?.0))
    }
}

/// A new recovery phrase of 12, 15, 18, 21 or 24 *words*, from the system's randomness.
#[pyfunction]
#[pyo3(signature = (words = 24))]
fn generate_mnemonic(words: usize) -> PyResult<String> {
    Ok(Mnemonic::generate(words)
        .map_err(errors::vault)?
        .phrase()
        .to_owned())
}

/// Check that *phrase* is a BIP-39 phrase of English words.
///
/// White space and capitals do not matter; the words and the checksum do.
///
/// Raises:
///     BadMnemonic: with which word, also in `details["word"]`, but never the word itself.
#[pyfunction]
#[allow(
    clippy::needless_pass_by_value,
    reason = "that is how PyO3 hands arguments over"
)]
fn check_mnemonic(phrase: Text<'_>) -> PyResult<()> {
    Mnemonic::parse(phrase.as_utf8()?)
        .map(drop)
        .map_err(errors::vault)
}

/// One seed, and every key that grows out of it, until it is locked.
#[pyclass(frozen, module = "alknet.keys")]
struct Keyring(vault::Keyring);

#[pymethods]
impl Keyring {
    /// Stretch *phrase* and *passphrase* into a seed (BIP-39) and hold it.
    #[staticmethod]
    #[pyo3(signature = (phrase, passphrase = None))]
    fn from_mnemonic(
        py: Python<'_>,
        phrase: Text<'_>,
        passphrase: Option<Text<'_>>,
    ) -> PyResult<Self> {
        let phrase = Mnemonic::parse(phrase.as_utf8()?).map_err(errors::vault)?;
        let passphrase = passphrase.as_ref().map_or(Ok(&b""[..]), Text::as_utf8)?;
        py.detach(|| vault::Keyring::from_mnemonic(&phrase, passphrase))
            .map(Self)
            .map_err(errors::vault)
    }

    /// Hold *seed*, 16 to 64 bytes.
    #[staticmethod]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn from_seed(seed: Bytes<'_>) -> PyResult<Self> {
        vault::Keyring::from_seed(&seed)
            .map(Self)
            .map_err(errors::vault)
    }

    /// The Ed25519 key at *path* (SLIP-0010), every step of which is hardened.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn ed25519(&self, path: PathArgument) -> PyResult<Ed25519Key> {
        self.0
            .ed25519(&path.0)
            .map(Ed25519Key)
            .map_err(errors::vault)
    }

    /// The secp256k1 key at *path* (BIP-32).
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn secp256k1(&self, path: PathArgument) -> PyResult<Secp256k1Key> {
        self.0
            .secp256k1(&path.0)
            .map(Secp256k1Key)
            .map_err(errors::vault)
    }

    /// Seal *plaintext* under the key of *key_version*, bound to *associated_data*.
    #[pyo3(signature = (plaintext, *, key_version = 2, associated_data = None))]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn seal(
        &self,
        plaintext: Text<'_>,
        key_version: u32,
        associated_data: Option<Bytes<'_>>,
    ) -> PyResult<EncryptedData> {
        let associated_data = associated_data.as_deref().unwrap_or_default();
        self.0
            .seal(plaintext.as_utf8()?, key_version, associated_data)
            .map(EncryptedData)
            .map_err(errors::vault)
    }

    /// Open what `seal` made, with the same *associated_data*.
    #[pyo3(signature = (encrypted, *, associated_data = None))]
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn open<'py>(
        &self,
        encrypted: &Bound<'py, EncryptedData>,
        associated_data: Option<Bytes<'py>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let associated_data = associated_data.as_deref().unwrap_or_default();
        let sealed = &encrypted.get().0;
        PyBytes::new_with(encrypted.py(), sealed.plaintext_bytes(), |plaintext| {
            self.0
                .open_into(sealed, associated_data, plaintext)
                .map_err(errors::vault)
        })
    }

    /// A password of *length* bytes, 1 to 255, derived from the key at *path*.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "that is how PyO3 hands arguments over"
    )]
    fn password<'py>(
        &self,
        py: Python<'py>,
        path: PathArgument,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, length, |password| {
            self.0
                .password_into(&path.0, password)
                .map_err(errors::vault)
        })
    }

    /// Wipe the seed and every key taken from it; they then raise Locked. Twice is harmless.
    fn lock(&self, py: Python<'_>) {
        py.detach(|| self.0.lock());
    }

    /// Whether it is locked.
    #[getter]
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn __repr__(&self) -> String {
        format!(
            "Keyring(<{}>)",
            if self.0.is_locked() {
                "locked"
            } else {
                "unlocked"
            }
        )
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a keyring is not pickled: unlock it where it is needed",
        ))
    }
}

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "vault")?;
    module.add_class::<DerivationPath>()?;
    module.add_class::<Keyring>()?;
    module.add_function(wrap_pyfunction!(generate_mnemonic, &module)?)?;
    module.add_function(wrap_pyfunction!(check_mnemonic, &module)?)?;
    register::submodule(parent, &module)
}

//! The keyring. A long file of short methods: PyO3 takes those of one class in one block.

use std::collections::BTreeMap;
use std::time::Duration;

use alknet_core::encrypted;
use alknet_core::vault::cache::Limits;
use alknet_core::vault::extended::Network;
use alknet_core::vault::password::DEFAULT_ALPHABET;
use alknet_core::vault::{self, Mnemonic, legacy};
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use super::extended::ExtendedPrivateKey;
use super::path::PathArgument;
use crate::buffer::{Bytes, Text};
use crate::encrypted::EncryptedData;
use crate::sign::ed25519::Ed25519Key;
use crate::sign::not_pickled;
use crate::sign::secp256k1::Secp256k1Key;
use crate::{detach, errors};

/// One seed, and every key that grows out of it, until it is locked.
///
/// The seed and the keys stay in Rust, in memory that is wiped (see `memory_status`). Derived keys
/// are kept for *cache_seconds*, at most *cache_entries* of them, the least recently used going
/// first; 0 entries keeps none. A keyring may be used from several threads at once.
///
/// Sealing wears a key out: after 2**31 values under one key version `seal` warns once
/// (RuntimeWarning), and after 2**32 it refuses. The counts start anew with each keyring, unless
/// *seal_counts* says how far an earlier one came.
#[pyclass(frozen, module = "alknet.keys")]
pub(super) struct Keyring(pub(super) vault::Keyring);

#[pymethods]
impl Keyring {
    /// Stretch *phrase* and *passphrase* into a seed (BIP-39) and hold it.
    ///
    /// Both are `str` or UTF-8 bytes-like, which the caller may wipe afterwards, and are normalised
    /// to NFKD; the phrase is read as `check_mnemonic` says. It takes about 1 ms, in which other
    /// threads run.
    ///
    /// Raises:
    ///     BadMnemonic: see `check_mnemonic`.
    #[staticmethod]
    #[pyo3(
        signature = (phrase, passphrase = Text::Empty, *, cache_seconds = 3600.0,
                     cache_entries = 64, seal_counts = None),
        text_signature = "(phrase, passphrase='', *, cache_seconds=3600.0, cache_entries=64, \
                          seal_counts=None)"
    )]
    fn from_mnemonic(
        py: Python<'_>,
        phrase: Text<'_>,
        passphrase: Text<'_>,
        cache_seconds: f64,
        cache_entries: usize,
        seal_counts: Option<BTreeMap<u32, u64>>,
    ) -> PyResult<Self> {
        let (phrase, passphrase) = (phrase.as_utf8()?, passphrase.as_utf8()?);
        let limits = limits(cache_seconds, cache_entries)?;
        let keyring = py.detach(|| {
            errors::run(|| {
                vault::Keyring::from_mnemonic(&Mnemonic::parse(phrase)?, passphrase, limits)
            })
        })?;
        keyring
            .seal_counts()
            .resume(seal_counts.into_iter().flatten());
        Ok(Self(keyring))
    }

    /// Hold *seed*, 16 to 64 bytes.
    ///
    /// Raises:
    ///     InvalidInput: *seed* has another length.
    #[staticmethod]
    #[pyo3(signature = (seed, *, cache_seconds = 3600.0, cache_entries = 64, seal_counts = None))]
    fn from_seed(
        seed: Bytes<'_>,
        cache_seconds: f64,
        cache_entries: usize,
        seal_counts: Option<BTreeMap<u32, u64>>,
    ) -> PyResult<Self> {
        let limits = limits(cache_seconds, cache_entries)?;
        let keyring = errors::run(|| vault::Keyring::from_seed(&seed, limits))?;
        keyring
            .seal_counts()
            .resume(seal_counts.into_iter().flatten());
        Ok(Self(keyring))
    }

    /// The Ed25519 key at *path* (SLIP-0010), every step of which is hardened.
    ///
    /// Raises:
    ///     BadPath: the path is none, or has a step that is not hardened.
    ///     Locked: the keyring is locked.
    fn ed25519(&self, path: PathArgument) -> PyResult<Ed25519Key> {
        errors::run(|| self.0.ed25519(&path.0)).map(Ed25519Key)
    }

    /// The Ed25519 keys at `parent/start'` and the following, *count* of them, 65536 at most.
    ///
    /// They are not cached. From 16 keys on, other threads run meanwhile.
    ///
    /// Raises:
    ///     BadPath: *parent* is no path, or has a step that is not hardened.
    ///     InvalidInput: *count* is too large, or the last index would be.
    ///     Locked: the keyring is locked.
    fn ed25519_batch(
        &self,
        py: Python<'_>,
        parent: PathArgument,
        start: u32,
        count: u32,
    ) -> PyResult<Vec<Ed25519Key>> {
        let keys = detach::if_long(py, count >= detach::KEYS, || {
            errors::run(|| self.0.ed25519_batch(&parent.0, start, count))
        })?;
        Ok(keys.into_iter().map(Ed25519Key::from).collect())
    }

    /// The secp256k1 key at *path* (BIP-32).
    ///
    /// Raises:
    ///     BadPath: the path is none.
    ///     InvalidInput: there is no key there, which happens to one path in 2**127.
    ///     Locked: the keyring is locked.
    fn secp256k1(&self, path: PathArgument) -> PyResult<Secp256k1Key> {
        errors::run(|| self.0.secp256k1(&path.0)).map(Secp256k1Key)
    }

    /// The extended secp256k1 key at *path* (BIP-32), written for the test network if *testnet*.
    ///
    /// Raises:
    ///     BadPath: the path is none.
    ///     Locked: the keyring is locked.
    #[pyo3(signature = (path, *, testnet = false))]
    fn extended(&self, path: PathArgument, testnet: bool) -> PyResult<ExtendedPrivateKey> {
        let network = if testnet {
            Network::Test
        } else {
            Network::Main
        };
        errors::run(|| self.0.extended(&path.0, network)).map(ExtendedPrivateKey)
    }

    /// Seal *plaintext* (AES-256-GCM) under the key of *key_version*, bound to *associated_data*.
    ///
    /// Text is sealed as UTF-8. The nonce is asked from the system's randomness at each call. From
    /// 512 KiB on, other threads run meanwhile.
    ///
    /// Raises:
    ///     InvalidInput: *key_version* is below 2, or its key is worn out.
    ///     Locked: the keyring is locked.
    #[pyo3(
        signature = (plaintext, *, key_version = 2, associated_data = Bytes::Empty),
        text_signature = "($self, plaintext, *, key_version=2, associated_data=b'')"
    )]
    fn seal(
        &self,
        py: Python<'_>,
        plaintext: Text<'_>,
        key_version: u32,
        associated_data: Bytes<'_>,
    ) -> PyResult<EncryptedData> {
        let (plaintext, associated_data) = (plaintext.as_utf8()?, &*associated_data);
        let sealed = detach::if_long(py, plaintext.len() >= detach::BYTES, || {
            errors::run(|| self.0.seal(plaintext, key_version, associated_data))
        })?;
        self.warn_if_worn(py)?;
        Ok(EncryptedData(sealed))
    }

    /// Seal each of *plaintexts*, as `seal` does; other threads run meanwhile if they are long.
    #[pyo3(
        signature = (plaintexts, *, key_version = 2, associated_data = Bytes::Empty),
        text_signature = "($self, plaintexts, *, key_version=2, associated_data=b'')"
    )]
    fn seal_many(
        &self,
        py: Python<'_>,
        plaintexts: Vec<Text<'_>>,
        key_version: u32,
        associated_data: Bytes<'_>,
    ) -> PyResult<Vec<EncryptedData>> {
        let associated_data = &*associated_data;
        let plaintexts: Vec<&[u8]> = plaintexts
            .iter()
            .map(Text::as_utf8)
            .collect::<Result<_, _>>()?;
        let bytes = plaintexts
            .iter()
            .map(|plaintext| plaintext.len() + detach::ITEM_BYTES)
            .sum();
        let sealed = detach::if_long(py, detach::BYTES <= bytes, || {
            errors::run(|| {
                self.0
                    .seal_many(plaintexts.iter().copied(), key_version, associated_data)
            })
        })?;
        self.warn_if_worn(py)?;
        Ok(sealed.into_iter().map(EncryptedData).collect())
    }

    /// Open what `seal` made, with the same *associated_data*.
    ///
    /// From 512 KiB on, other threads run meanwhile.
    ///
    /// Raises:
    ///     DecryptionFailed: another seed or other associated data, or an altered byte.
    ///     InvalidInput: it is of the older format; see `open_legacy`.
    ///     Locked: the keyring is locked.
    #[pyo3(
        signature = (encrypted, *, associated_data = Bytes::Empty),
        text_signature = "($self, encrypted, *, associated_data=b'')"
    )]
    fn open<'py>(
        &self,
        encrypted: &Bound<'py, EncryptedData>,
        associated_data: Bytes<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (py, associated_data) = (encrypted.py(), &*associated_data);
        opened(py, &encrypted.get().0, |sealed, plaintext| {
            self.0.open_into(sealed, associated_data, plaintext)
        })
    }

    /// Open each of *encrypted*, as `open` does.
    ///
    /// Raises:
    ///     DecryptionFailed: one does not open; the first of them, from 0, is `details["index"]`.
    #[pyo3(
        signature = (encrypted, *, associated_data = Bytes::Empty),
        text_signature = "($self, encrypted, *, associated_data=b'')"
    )]
    fn open_many<'py>(
        &self,
        py: Python<'py>,
        encrypted: Vec<Bound<'py, EncryptedData>>,
        associated_data: Bytes<'py>,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let associated_data = &*associated_data;
        encrypted
            .iter()
            .enumerate()
            .map(|(index, encrypted)| {
                opened(py, &encrypted.get().0, |sealed, plaintext| {
                    self.0.open_into(sealed, associated_data, plaintext)
                })
                .map_err(|error| errors::at_index(py, error, index))
            })
            .collect()
    }

    /// Seal what is in *encrypted* anew, under the key of *to_version*; Python never sees it.
    ///
    /// Raises: as `open` and `seal`.
    #[pyo3(
        signature = (encrypted, to_version, *, associated_data = Bytes::Empty),
        text_signature = "($self, encrypted, to_version, *, associated_data=b'')"
    )]
    fn rotate(
        &self,
        py: Python<'_>,
        encrypted: &Bound<'_, EncryptedData>,
        to_version: u32,
        associated_data: Bytes<'_>,
    ) -> PyResult<EncryptedData> {
        let (encrypted, associated_data) = (&encrypted.get().0, &*associated_data);
        let long = encrypted.plaintext_bytes() >= detach::BYTES;
        let sealed = detach::if_long(py, long, || {
            errors::run(|| self.0.rotate(encrypted, to_version, associated_data))
        })?;
        self.warn_if_worn(py)?;
        Ok(EncryptedData(sealed))
    }

    /// Open a value of the older format with its *password*, `str` or bytes-like.
    ///
    /// The key is PBKDF2-HMAC-SHA256 of the password: 100 000 rounds for version 1, 200 000 for a
    /// version 2 with a 16-byte salt. It takes some 13 or 26 ms, in which other threads run. No
    /// keyring is needed for it.
    ///
    /// Raises:
    ///     DecryptionFailed: another password, or an altered byte.
    ///     InvalidInput: the value is not of the older format; see `open`.
    #[staticmethod]
    fn open_legacy<'py>(
        encrypted: &Bound<'py, EncryptedData>,
        password: Text<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (py, password) = (encrypted.py(), password.as_utf8()?);
        let sealed = &encrypted.get().0;
        PyBytes::new_with(py, sealed.plaintext_bytes(), |plaintext| {
            py.detach(|| errors::run(|| legacy::open_into(sealed, password, plaintext)))
        })
    }

    /// A password of *length* bytes, 1 to 255, that is the same for *path* every time.
    ///
    /// It is HKDF-SHA512 (RFC 5869) of the Ed25519 private key at *path*, without salt, with the
    /// info `alknet password bytes v1`. A shorter one is the beginning of a longer one.
    ///
    /// Raises:
    ///     BadPath: the path is none, or has a step that is not hardened.
    ///     InvalidInput: another length.
    ///     Locked: the keyring is locked.
    fn password<'py>(
        &self,
        py: Python<'py>,
        path: PathArgument,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        // Through a buffer of our own: nothing is allocated for a length that is refused.
        let mut password = Zeroizing::new([0; 256]);
        let password = &mut password[..length.min(256)];
        errors::run(|| self.0.password_into(&path.0, password))?;
        Ok(PyBytes::new(py, password))
    }

    /// A password of *length* characters, 1 to 255, out of 2 to 256 different ones in *alphabet*.
    ///
    /// Every character is as likely as any other. The bytes are HKDF-SHA512 as in `password`, with
    /// the info `alknet password text v1`; those at or above the largest multiple of the alphabet's
    /// length are passed over, and of the others the remainder counts into *alphabet*, which by
    /// default is A-Z, a-z, 0-9, `-` and `_`.
    ///
    /// Raises:
    ///     BadPath: the path is none, or has a step that is not hardened.
    ///     InvalidInput: another length, or another alphabet.
    ///     Locked: the keyring is locked.
    #[pyo3(signature = (path, length, alphabet = DEFAULT_ALPHABET), text_signature =
        "($self, path, length, \
         alphabet='ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')")]
    fn password_text(&self, path: PathArgument, length: usize, alphabet: &str) -> PyResult<String> {
        errors::run(|| self.0.password_text(&path.0, length, alphabet)).map(|text| text.to_string())
    }

    /// How often this keyring has sealed under each key version.
    #[getter]
    fn seal_counts(&self) -> BTreeMap<u32, u64> {
        self.0.seal_counts().get().into_iter().collect()
    }

    /// Wipe the seed, the cache and every key taken from here; they then raise Locked.
    ///
    /// What another thread is in the middle of ends as if it had been a moment sooner. Locking
    /// twice is harmless; there is no unlocking: make a new keyring.
    fn lock(&self) -> PyResult<()> {
        errors::run(|| {
            self.0.lock();
            Ok::<_, vault::Error>(())
        })
    }

    /// Whether it is locked; also true in a forked child, which inherits no secrets.
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

    fn __reduce__(_this: &Bound<'_, Self>) -> PyResult<()> {
        Err(not_pickled())
    }
}

impl Keyring {
    fn warn_if_worn(&self, py: Python<'_>) -> PyResult<()> {
        let Some(version) = self.0.seal_counts().take_worn() else {
            return Ok(());
        };
        let text = format!(
            "key_version {version} has sealed 2^31 values, and 2^32 is the most: seal under \
             key_version {} from now on, and rotate what there is",
            version.saturating_add(1)
        );
        let text = std::ffi::CString::new(text)?;
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
    }
}

fn limits(cache_seconds: f64, entries: usize) -> PyResult<Limits> {
    errors::run(|| {
        let lifetime = Duration::try_from_secs_f64(cache_seconds).map_err(|_| {
            vault::Error::Input(format!(
                "cache_seconds is a duration in seconds, 0 or more; {cache_seconds} is none"
            ))
        })?;
        Ok::<_, vault::Error>(Limits { entries, lifetime })
    })
}

/// New `bytes` that *open* has decrypted *sealed* into.
fn opened<'py>(
    py: Python<'py>,
    sealed: &encrypted::EncryptedData,
    open: impl FnOnce(&encrypted::EncryptedData, &mut [u8]) -> Result<(), vault::Error> + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, sealed.plaintext_bytes(), |plaintext| {
        detach::if_long(py, plaintext.len() >= detach::BYTES, || {
            errors::run(|| open(sealed, plaintext))
        })
    })
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DEFAULT_ALPHABET", DEFAULT_ALPHABET)?;
    module.add_class::<Keyring>()
}

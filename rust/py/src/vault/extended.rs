//! Extended keys.

use alknet_core::sign::ethereum;
use alknet_core::vault::extended;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::path::PathArgument;
use crate::buffer::Text;
use crate::errors;
use crate::sign::not_pickled;
use crate::sign::secp256k1::Secp256k1Key;

/// A secp256k1 private key that can be derived from (BIP-32); it stays in Rust.
///
/// One that a `Keyring` gave dies when that is locked, and then raises Locked.
#[pyclass(frozen, module = "alknet.keys")]
pub(super) struct ExtendedPrivateKey(pub(super) extended::ExtendedPrivateKey);

#[pymethods]
impl ExtendedPrivateKey {
    /// Read `xprv…` or `tprv…`, `str` or bytes-like.
    ///
    /// Raises:
    ///     BadKey: it is none.
    #[staticmethod]
    fn parse(text: Text<'_>) -> PyResult<Self> {
        let text = text.as_utf8()?;
        errors::run(|| extended::ExtendedPrivateKey::parse(text).map(Self))
    }

    /// The key that *path* leads to from here, where `m` is this key itself.
    ///
    /// Raises:
    ///     BadPath: the path is none, or the tree is 255 steps deep.
    ///     Locked: the keyring it came from was locked.
    fn derive(&self, path: PathArgument) -> PyResult<Self> {
        errors::run(|| self.0.derive(&path.0).map(Self))
    }

    /// The key itself, to sign with.
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    fn key(&self) -> PyResult<Secp256k1Key> {
        errors::run(|| self.0.key()).map(Secp256k1Key::from)
    }

    /// The public half, which finds the same children as long as they are not hardened.
    #[getter]
    fn public(&self) -> ExtendedPublicKey {
        ExtendedPublicKey(self.0.public())
    }

    /// The text, `xprv…` or `tprv…`. With it goes everything below, and Python cannot wipe it.
    ///
    /// Raises:
    ///     Locked: the keyring it came from was locked.
    fn reveal(&self) -> PyResult<String> {
        errors::run(|| self.0.reveal()).map(|text| text.to_string())
    }

    fn __repr__(&self) -> String {
        format!(
            "ExtendedPrivateKey(<private>, depth={})",
            self.0.public().place().depth
        )
    }

    fn __reduce__(_this: &Bound<'_, Self>) -> PyResult<()> {
        Err(not_pickled())
    }
}

/// A secp256k1 public key that finds its children, those that are not hardened (BIP-32).
///
/// `str()` gives `xpub…` or `tpub…`. It signs nothing, but whoever has it sees every address
/// below; and together with one private key below, it gives away the private key above.
#[pyclass(frozen, eq, hash, str, module = "alknet.keys")]
#[derive(PartialEq, Eq, Hash)]
pub(super) struct ExtendedPublicKey(extended::ExtendedPublicKey);

impl core::fmt::Display for ExtendedPublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[pymethods]
impl ExtendedPublicKey {
    /// Read `xpub…` or `tpub…`.
    ///
    /// Raises:
    ///     BadKey: it is none.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        errors::run(|| extended::ExtendedPublicKey::parse(text).map(Self))
    }

    /// The key that *path* leads to from here, where `m` is this key itself.
    ///
    /// Raises:
    ///     BadPath: a step is hardened, which needs the private key; the path is none.
    fn derive(&self, path: PathArgument) -> PyResult<Self> {
        errors::run(|| self.0.derive(&path.0).map(Self))
    }

    /// The compressed public key, 33 bytes.
    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.public_key().serialize())
    }

    /// The chain code, 32 bytes.
    #[getter]
    fn chain_code<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.chain_code())
    }

    /// Steps below the root, 0 to 255.
    #[getter]
    fn depth(&self) -> u8 {
        self.0.place().depth
    }

    /// The index of the last step, with 2**31 added if it is hardened; 0 at the root.
    #[getter]
    fn child_number(&self) -> u32 {
        self.0.place().child_number
    }

    /// The first 4 bytes of the HASH160 of the public key.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.fingerprint())
    }

    /// The fingerprint of the key above; 4 zeros at the root.
    #[getter]
    fn parent_fingerprint<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.place().parent_fingerprint)
    }

    /// The Ethereum address of this very key, with the capitals of EIP-55.
    #[getter]
    fn ethereum_address(&self) -> String {
        ethereum::address(self.0.public_key())
    }

    fn __repr__(&self) -> String {
        format!("ExtendedPublicKey.parse({:?})", self.0.to_string())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((
            py.get_type::<Self>().getattr("parse")?,
            (self.0.to_string(),),
        ))
    }
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ExtendedPrivateKey>()?;
    module.add_class::<ExtendedPublicKey>()
}

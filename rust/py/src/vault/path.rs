//! Derivation paths.

use alknet_core::vault::path::BadPath;
use alknet_core::vault::{self, site};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::buffer::wrong_type;
use crate::errors;

/// A derivation path that has been read and is good, such as `m/74'/0'/0'/0'` (BIP-32).
#[pyclass(frozen, eq, hash, str, module = "alknet.keys")]
#[derive(PartialEq, Eq, Hash)]
pub(super) struct DerivationPath(pub(super) vault::DerivationPath);

impl core::fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

#[pymethods]
impl DerivationPath {
    /// Read *text*: `m`, then up to 255 steps from 0 to 2147483647; `'`, `h` or `H` behind one
    /// makes it hardened, and is printed as `'`.
    ///
    /// Raises:
    ///     BadPath: with the place, also in `details["position"]`, counted in characters from 0.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        errors::run(|| text.parse().map(Self).map_err(|bad: BadPath| bad))
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

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((
            py.get_type::<Self>().getattr("parse")?,
            (self.0.to_string(),),
        ))
    }
}

/// Wherever a path is wanted, its text will do.
pub(super) struct PathArgument(pub(super) vault::DerivationPath);

impl<'py> FromPyObject<'_, 'py> for PathArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(path) = object.cast::<DerivationPath>() {
            return Ok(Self(path.get().0.clone()));
        }
        match object.cast::<PyString>() {
            Ok(text) => Ok(Self(DerivationPath::parse(text.to_str()?)?.0)),
            Err(_) => Err(wrong_type("str or DerivationPath", object)),
        }
    }
}

/// The path of a site's password: `m/74'/1'/0'/{hash}'`, the hash being the first 31 bits of
/// SHA-256 of the site's name in UTF-8.
///
/// The name is what a person means by it, so that the password is found again: white space around
/// it, capitals and a dot at its end do not count, a URL stands for its host (and port, if it names
/// one), and compatible letters are one (NFKC).
///
/// Raises:
///     InvalidInput: nothing is left of the name.
#[pyfunction]
fn site_path(site: &str) -> PyResult<DerivationPath> {
    errors::run(|| site::site_path(site).map(DerivationPath))
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<DerivationPath>()?;
    module.add_function(wrap_pyfunction!(site_path, module)?)
}

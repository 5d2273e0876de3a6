//! `EncryptedData` as Python sees it.

use alknet_core::encrypted;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyMapping, PyString, PyTuple};

use crate::buffer::{Text, wrong_type};
use crate::errors;

/// A sealed value as it is stored: `{key_version, salt, iv, data}`, the last three in base64.
///
/// It holds no secret, never changes, and may be compared, hashed and pickled. Anyone who has the
/// key opens it with any AES-256-GCM: `iv` is the nonce, `data` the ciphertext with its 16-byte tag
/// at the end, and the associated data is what the caller gave. The salt enters no computation.
///
/// Raises:
///     BadCiphertext: a field is not base64 (standard alphabet, padded) or has a wrong length.
#[pyclass(frozen, eq, hash, module = "alknet.keys")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct EncryptedData(pub(crate) encrypted::EncryptedData);

#[pymethods]
impl EncryptedData {
    #[new]
    #[pyo3(signature = (*, key_version, salt, iv, data))]
    fn new(key_version: u32, salt: &str, iv: &str, data: String) -> PyResult<Self> {
        errors::run(|| encrypted::EncryptedData::new(key_version, salt, iv, data).map(Self))
    }

    /// Which key sealed it: 2 is the first of the vault.
    #[getter]
    fn key_version(&self) -> u32 {
        self.0.key_version()
    }

    /// 32 random bytes in base64; 16 in the older format, which that tells from this one.
    #[getter]
    fn salt(&self) -> String {
        self.0.salt()
    }

    /// The 12 bytes of the nonce, in base64.
    #[getter]
    fn iv(&self) -> String {
        self.0.iv()
    }

    /// The ciphertext and its 16-byte tag, in base64.
    #[getter]
    fn data(&self) -> &str {
        self.0.data()
    }

    /// Whether a password opens it (`Keyring.open_legacy`), and not the vault.
    #[getter]
    fn is_legacy(&self) -> bool {
        self.0.is_legacy()
    }

    /// The four fields, ready for JSON.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        fields.set_item("key_version", self.0.key_version())?;
        fields.set_item("salt", self.0.salt())?;
        fields.set_item("iv", self.0.iv())?;
        fields.set_item("data", self.0.data())?;
        Ok(fields)
    }

    /// Read what `to_dict` gives; `keyVersion` will do for `key_version`, and other fields are
    /// passed over.
    ///
    /// Raises:
    ///     BadCiphertext: a field is missing, is not text, is not base64 or has a wrong length.
    #[staticmethod]
    fn from_dict(fields: &Bound<'_, PyMapping>) -> PyResult<Self> {
        let version = match (find(fields, "key_version")?, find(fields, "keyVersion")?) {
            (Some(one), Some(other)) if !one.eq(&other)? => {
                return Err(bad("key_version and keyVersion differ"));
            }
            (Some(version), _) | (None, Some(version)) => version,
            (None, None) => return Err(bad("key_version is missing")),
        };
        let version = match version.extract() {
            Ok(number) if !version.is_instance_of::<PyBool>() => number,
            _ => return Err(bad("key_version is a whole number from 1 to 4294967295")),
        };
        let (salt, iv, data) = (
            text(fields, "salt")?,
            text(fields, "iv")?,
            text(fields, "data")?,
        );
        Self::new(
            version,
            salt.to_str()?,
            iv.to_str()?,
            data.to_str()?.to_owned(),
        )
    }

    /// The four fields as a JSON object, on one line.
    fn to_json(&self) -> String {
        // None of the fields has a character that JSON would escape.
        format!(
            r#"{{"key_version":{},"salt":"{}","iv":"{}","data":"{}"}}"#,
            self.0.key_version(),
            self.0.salt(),
            self.0.iv(),
            self.0.data()
        )
    }

    /// Read what `to_json` gives, as `str` or UTF-8 bytes-like; see `from_dict`.
    ///
    /// Raises:
    ///     BadCiphertext: it is not a JSON object, or not such a one.
    #[staticmethod]
    #[pyo3(signature = (text, /))]
    fn from_json(py: Python<'_>, text: Text<'_>) -> PyResult<Self> {
        let value = py.import("json")?.call_method1("loads", (text.as_utf8()?,));
        match value
            .ok()
            .as_ref()
            .and_then(|value| value.cast::<PyDict>().ok())
        {
            Some(fields) => Self::from_dict(fields.as_mapping()),
            None => Err(bad("it is not a JSON object")),
        }
    }

    fn __repr__(&self) -> String {
        let (version, bytes) = (self.0.key_version(), self.0.plaintext_bytes());
        format!("EncryptedData(key_version={version}, <{bytes} bytes sealed>)")
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let read = py.get_type::<Self>().getattr("from_dict")?;
        Ok((read, PyTuple::new(py, [self.to_dict(py)?])?))
    }
}

fn find<'py>(fields: &Bound<'py, PyMapping>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    if fields.contains(name)? {
        fields.get_item(name).map(Some)
    } else {
        Ok(None)
    }
}

fn text<'py>(fields: &Bound<'py, PyMapping>, name: &str) -> PyResult<Bound<'py, PyString>> {
    let Some(value) = find(fields, name)? else {
        return Err(bad(&format!("{name} is missing")));
    };
    value.cast_into::<PyString>().map_err(|error| {
        let found = wrong_type("text", error.into_inner().as_borrowed());
        bad(&format!("{name}: {}", found.value(fields.py())))
    })
}

#[cold]
fn bad(reason: &str) -> PyErr {
    errors::raise(
        "BadCiphertext",
        &format!("this is not encrypted data: {reason}"),
        None,
    )
}

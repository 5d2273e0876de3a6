//! The two formats, which Python knows as the strings `"json"` and `"msgpack"`.

use alknet_core::envelope::Format;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("JSON", name(py, Format::Json))?;
    module.add("MSGPACK", name(py, Format::Msgpack))
}

/// The interned string, so that `is` and a quick `==` work.
pub(super) fn name(py: Python<'_>, format: Format) -> &Bound<'_, PyString> {
    match format {
        Format::Json => intern!(py, "json"),
        Format::Msgpack => intern!(py, "msgpack"),
    }
}

/// A format as an argument.
#[derive(Clone, Copy)]
pub(super) struct FormatName(pub(super) Format);

impl<'py> FromPyObject<'_, 'py> for FormatName {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        parse(given.extract()?).map(Self)
    }
}

pub(super) fn parse(name: &str) -> PyResult<Format> {
    match name {
        "json" => Ok(Format::Json),
        "msgpack" => Ok(Format::Msgpack),
        other => Err(PyValueError::new_err(format!(
            "the format is \"json\" or \"msgpack\", not {other:?}"
        ))),
    }
}

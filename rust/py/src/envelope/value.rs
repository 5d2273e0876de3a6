//! One raw value by itself.

use alknet_core::envelope::{self, Limits};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::format::FormatName;
use crate::errors;

pub(super) fn limits(depth: usize, string_bytes: usize) -> PyResult<Limits> {
    if depth > Limits::MAX_DEPTH {
        return Err(PyValueError::new_err(format!(
            "depth is at most {}, not {depth}",
            Limits::MAX_DEPTH
        )));
    }
    Ok(Limits {
        depth,
        string_bytes,
        ..Limits::DEFAULT
    })
}

/// Raise MalformedEnvelope unless *raw* is exactly one well-formed value.
///
/// The error's offset counts from the start of *raw*.
#[pyfunction]
#[pyo3(signature = (
    raw, format, *, depth = 64, string_bytes = 16_777_216
))]
pub(super) fn check(
    py: Python<'_>,
    raw: &[u8],
    format: FormatName,
    depth: usize,
    string_bytes: usize,
) -> PyResult<()> {
    let limits = limits(depth, string_bytes)?;
    envelope::check(raw, format.0, &limits).map_err(|fault| errors::malformed(py, &fault))
}

/// Return one value in another format; the same format returns it as it is, checked.
///
/// From msgpack to JSON, binary becomes base64 text, a whole-number key its decimal digits and a
/// timestamp RFC 3339 text; NaN, infinities, other extensions and other keys raise
/// MalformedEnvelope, as does a *raw* that is not one value.
#[pyfunction]
#[pyo3(signature = (
    raw, source, target, *, depth = 64,
    string_bytes = 16_777_216
))]
pub(super) fn transcode<'py>(
    py: Python<'py>,
    raw: &[u8],
    source: FormatName,
    target: FormatName,
    depth: usize,
    string_bytes: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let limits = limits(depth, string_bytes)?;
    envelope::transcode(raw, source.0, target.0, &limits)
        .map(|value| PyBytes::new(py, &value))
        .map_err(|fault| errors::malformed(py, &fault))
}

//! How well the secrets of this process are kept.

use alknet_guard::{cell, process};
use pyo3::prelude::*;

/// How well the secrets of this process are kept.
///
/// They lie in pages of their own between two fences, wiped when they are let go, left out of core
/// dumps, and empty in a forked child, which finds its keyrings locked. Where the system allows it,
/// they are locked into memory, so that they never reach a swap device.
#[pyclass(frozen, get_all, module = "alknet.keys")]
struct MemoryStatus {
    /// Bytes of memory that secrets are kept in.
    total_bytes: usize,
    /// How many of them are locked, and never written to swap.
    locked_bytes: usize,
    /// Why some are not locked, in the system's words; None if all are.
    reason: Option<String>,
    /// Whether a crash may write this process, though not its secrets, to a core dump.
    dumpable: bool,
}

#[pymethods]
impl MemoryStatus {
    /// Whether every secret is in locked memory.
    #[getter]
    fn locked(&self) -> bool {
        self.locked_bytes == self.total_bytes
    }

    fn __repr__(&self) -> String {
        format!(
            "MemoryStatus(total_bytes={}, locked_bytes={}, reason={}, dumpable={})",
            self.total_bytes,
            self.locked_bytes,
            self.reason
                .as_ref()
                .map_or_else(|| "None".into(), |reason| format!("{reason:?}")),
            if self.dumpable { "True" } else { "False" },
        )
    }
}

/// How well the secrets of this process are kept, at this moment.
#[pyfunction]
fn memory_status() -> MemoryStatus {
    let status = cell::memory_status();
    MemoryStatus {
        total_bytes: status.bytes,
        locked_bytes: status.locked_bytes,
        reason: status.reason,
        dumpable: process::is_dumpable(),
    }
}

/// Keep this process out of core dumps, and out of reach of other processes of the same user.
///
/// What Python holds (a phrase that was typed, a message that was opened) is protected by this
/// alone. `/proc/self` then belongs to root. Programs that this one starts are not affected.
///
/// Raises:
///     OSError: the system has no such switch, or refuses it.
#[pyfunction]
fn disable_core_dumps() -> PyResult<()> {
    Ok(process::disable_core_dumps()?)
}

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<MemoryStatus>()?;
    module.add_function(wrap_pyfunction!(disable_core_dumps, module)?)?;
    module.add_function(wrap_pyfunction!(memory_status, module)?)
}

//! How a submodule joins `alknet._core`.

use pyo3::prelude::*;

/// Hang *module* into *parent*, and into `sys.modules` so that `import alknet._core.<name>` works.
pub(crate) fn submodule(
    parent: &Bound<'_, PyModule>,
    module: &Bound<'_, PyModule>,
) -> PyResult<()> {
    parent.add_submodule(module)?;
    let full_name = format!("alknet._core.{}", module.name()?);
    module.setattr("__name__", &full_name)?;
    let modules = parent.py().import("sys")?.getattr("modules")?;
    modules.set_item(full_name, module)
}

//! `alknet._core.envelope`: the codec of the wire.

mod decoder;
mod encoder;
mod events;
mod format;
mod names;
mod record;
mod value;

use pyo3::prelude::*;

use crate::register;

pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = parent.py();
    let module = PyModule::new(py, "envelope")?;
    module.setattr(
        "__doc__",
        "Envelopes: bytes into events, and events into bytes.",
    )?;
    format::add(&module)?;
    events::add(&module)?;
    module.add_class::<decoder::Decoder>()?;
    module.add_class::<encoder::Encoder>()?;
    module.add_function(wrap_pyfunction!(value::check, &module)?)?;
    module.add_function(wrap_pyfunction!(value::transcode, &module)?)?;
    register::submodule(parent, &module)
}

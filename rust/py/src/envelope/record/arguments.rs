//! A record made by a Python program: every argument is checked, for a slot trusts what it holds.

use std::ptr;

use alknet_core::envelope::Format;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyString, PyTuple};

use super::{Field, Kind, Record, Slot, short_name, slots, text};
use crate::envelope::format;

/// `tp_new`.
pub(super) unsafe extern "C" fn new<R: Record>(
    _class: *mut ffi::PyTypeObject,
    args: *mut ffi::PyObject,
    kwargs: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: Python calls `tp_new` with a tuple, and a dict or null; a class made without
        // Py_TPFLAGS_BASETYPE has no subclasses, so the class is R's own.
        let (args, kwargs) = unsafe {
            (
                Borrowed::from_ptr(py, args).to_owned(),
                Borrowed::from_ptr_or_opt(py, kwargs).map(Borrowed::to_owned),
            )
        };
        let made = from_arguments::<R>(&args, kwargs.as_ref());
        made.unwrap_or_else(|error| {
            error.restore(py);
            ptr::null_mut()
        })
    })
}

fn from_arguments<R: Record>(
    args: &Bound<'_, PyAny>,
    kwargs: Option<&Bound<'_, PyAny>>,
) -> PyResult<*mut ffi::PyObject> {
    let py = args.py();
    let args = args.cast::<PyTuple>()?;
    let kwargs = kwargs.map(|kwargs| kwargs.cast::<PyDict>()).transpose()?;
    let name = short_name::<R>();
    if args.len() > R::FIELDS.len() {
        return Err(PyTypeError::new_err(format!(
            "{name}() takes {} arguments, not {}",
            R::FIELDS.len(),
            args.len()
        )));
    }
    let mut values = Vec::with_capacity(R::FIELDS.len());
    let mut named = 0;
    for (index, field) in R::FIELDS.iter().enumerate() {
        let given = match kwargs {
            Some(kwargs) => kwargs.get_item(text(field.name))?,
            None => None,
        };
        named += usize::from(given.is_some());
        let given = match (args.get_item(index), given) {
            (Ok(_), Some(_)) => {
                return Err(PyTypeError::new_err(format!(
                    "{name}() got {:?} twice",
                    text(field.name)
                )));
            }
            (Ok(given), None) => Some(given),
            (Err(_), given) => given,
        };
        values.push(accept(py, name, field, given)?);
    }
    if kwargs.is_some_and(|kwargs| kwargs.len() > named) {
        return Err(PyTypeError::new_err(format!(
            "{name}() got an argument that it does not have"
        )));
    }
    let Some(class) = R::class().get(py) else {
        return Err(PyTypeError::new_err("the module is not initialised"));
    };
    // SAFETY: as in `make`: as many values as the class has fields, all written.
    unsafe {
        let object = ffi::PyObject_New::<ffi::PyObject>(class.as_ptr().cast());
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        let slots = slots(object);
        for (index, value) in values.into_iter().enumerate() {
            slots.add(index).write(value.into_ptr());
        }
        Ok(object)
    }
}

/// The value of a field that was given, or its default; of the right type either way.
fn accept<'py>(
    py: Python<'py>,
    class: &str,
    field: &Field,
    given: Option<Bound<'py, PyAny>>,
) -> PyResult<Slot<'py>> {
    let name = text(field.name);
    let Some(given) = given else {
        return match field.kind {
            Kind::Text | Kind::Raw | Kind::Number => Err(PyTypeError::new_err(format!(
                "{class}() needs an argument {name:?}"
            ))),
            Kind::Claim => Ok(Slot::claim(py, false)),
            Kind::Format => Ok(Slot::format(py, Format::Json)),
            Kind::MaybeText | Kind::MaybeRaw | Kind::MaybeNumber => Ok(Slot::none(py)),
        };
    };
    let (fits, wanted) = match field.kind {
        Kind::Claim => match given.cast::<PyBool>() {
            Ok(claim) => return Ok(Slot::claim(py, claim.is_true())),
            Err(_) => (false, "bool"),
        },
        Kind::Format => return Ok(Slot::format(py, format::parse(given.extract()?)?)),
        Kind::Text => (given.is_exact_instance_of::<PyString>(), "str"),
        Kind::Raw => (given.is_exact_instance_of::<PyBytes>(), "bytes"),
        Kind::Number => (given.is_exact_instance_of::<PyInt>(), "int"),
        Kind::MaybeText | Kind::MaybeRaw | Kind::MaybeNumber if given.is_none() => {
            return Ok(Slot::none(py));
        }
        Kind::MaybeText => (given.is_exact_instance_of::<PyString>(), "str or None"),
        Kind::MaybeRaw => (given.is_exact_instance_of::<PyBytes>(), "bytes or None"),
        Kind::MaybeNumber => (given.is_exact_instance_of::<PyInt>(), "int or None"),
    };
    if fits {
        return Ok(Slot::Owned(given));
    }
    Err(PyTypeError::new_err(format!(
        "{class}() wants {wanted} as {name:?}, not {}",
        given.get_type().name()?
    )))
}

//! Frozen Python classes whose attributes are plain slots.
//!
//! An event is made for every message, so this is the one place of the binding that goes below
//! PyO3: a `#[pyclass]` is tracked by the garbage collector, asks for its type's allocator each
//! time and checks, for each field that it drops, whether the thread is attached. Without that, an
//! event costs a third less. A record holds `str`, `bytes`, `int`, `bool` and None and nothing
//! else, which cannot form a cycle: so the collector need not know of it.
//!
//! A slot owns a reference to its value, with one exception: None, False, True and the names of the
//! formats live as long as the interpreter (`Slot::Eternal`), and most slots hold one of them.
//!
//! `class` makes the type and what Python calls on its instances, `arguments` makes an instance of
//! what a Python program gives.

mod arguments;
mod class;

use std::ffi::CStr;
use std::mem::size_of;

use alknet_core::envelope::Format;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyNone, PyTuple, PyType};

use super::format;

/// What a field holds, and what it is if nobody gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Raw,
    Number,
    /// A boolean; false by default.
    Claim,
    /// "json", by default, or "msgpack".
    Format,
    /// These three may be None, and are by default.
    MaybeText,
    MaybeRaw,
    MaybeNumber,
}

pub(super) struct Field {
    pub(super) name: &'static CStr,
    pub(super) kind: Kind,
    /// It tells one event from another, and a log may have it.
    pub(super) shown: bool,
}

/// A class of records. `event!` in `events` implements it.
pub(super) trait Record: Sized + 'static {
    /// Its name, with the module in front.
    const NAME: &'static CStr;
    const DOC: &'static str;
    const FIELDS: &'static [Field];

    fn class() -> &'static PyOnceLock<Py<PyType>>;
}

/// The value of one slot.
pub(super) enum Slot<'py> {
    Owned(Bound<'py, PyAny>),
    /// None, a boolean or the name of a format, in a field of a suitable kind.
    Eternal(*mut ffi::PyObject),
}

impl<'py> Slot<'py> {
    #[inline]
    pub(super) fn owned<T>(value: Bound<'py, T>) -> Self {
        Self::Owned(value.into_any())
    }

    #[inline]
    pub(super) fn none(py: Python<'py>) -> Self {
        Self::Eternal(PyNone::get(py).as_ptr())
    }

    #[inline]
    pub(super) fn format(py: Python<'py>, format: Format) -> Self {
        Self::Eternal(format::name(py, format).as_ptr())
    }

    #[inline]
    pub(super) fn claim(py: Python<'py>, claim: bool) -> Self {
        Self::Eternal(PyBool::new(py, claim).as_ptr())
    }

    /// The pointer to keep; `dealloc` knows by its kind whether it comes with a reference.
    #[inline]
    fn into_ptr(self) -> *mut ffi::PyObject {
        match self {
            Self::Owned(value) => value.into_ptr(),
            Self::Eternal(value) => value,
        }
    }
}

/// Make the class, once.
pub(super) fn add<R: Record>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let class = R::class().get_or_try_init(py, || class::make::<R>(py))?;
    let name = short_name::<R>();
    let names = R::FIELDS.iter().map(|field| text(field.name));
    class.setattr(py, "__match_args__", PyTuple::new(py, names)?)?;
    module.add(name, class)
}

/// Make a record of the values of all its fields, in order and of the right types.
#[inline]
pub(super) fn make<'py, R: Record, const N: usize>(
    py: Python<'py>,
    values: [Slot<'py>; N],
) -> PyResult<Bound<'py, PyAny>> {
    const { assert!(N == R::FIELDS.len(), "a value for each field") };
    let class = match R::class().get(py) {
        Some(class) => class.as_ptr().cast::<ffi::PyTypeObject>(),
        None => return Err(PyTypeError::new_err("the module is not initialised")),
    };
    // SAFETY: `class` was made by `class::make::<R>`, so its instances are a header and N pointers,
    // and all of them are written before anybody else sees the object.
    unsafe {
        let object = ffi::PyObject_New::<ffi::PyObject>(class);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        slots(object)
            .cast::<[*mut ffi::PyObject; N]>()
            .write(values.map(Slot::into_ptr));
        Ok(Bound::from_owned_ptr(py, object))
    }
}

/// Where the fields of a record begin.
///
/// # Safety
/// *object* is an instance of a class that `class::make` made.
unsafe fn slots(object: *mut ffi::PyObject) -> *mut *mut ffi::PyObject {
    // SAFETY: such an instance is a header with the slots behind it.
    unsafe { object.add(1).cast() }
}

fn offset(index: usize) -> usize {
    size_of::<ffi::PyObject>() + index * size_of::<*mut ffi::PyObject>()
}

fn text(name: &'static CStr) -> &'static str {
    name.to_str().unwrap_or_default()
}

fn short_name<R: Record>() -> &'static str {
    let name = text(R::NAME);
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

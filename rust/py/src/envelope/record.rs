//! Frozen Python classes whose attributes are plain slots.
//!
//! An event is made for every message, so this is the one place of the binding that goes below
//! PyO3: a `#[pyclass]` is tracked by the garbage collector, asks for its type's allocator each
//! time and checks, for each field that it drops, whether the thread is attached. Without that, an
//! event costs a third less. A record holds `str`, `bytes`, `int`, `bool` and None and nothing
//! else, which cannot form a cycle: so the collector need not know of it.

use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::raw::{c_int, c_void};
use std::ptr;

use alknet_core::envelope::Format;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyNone, PyString, PyTuple, PyType};

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
    let class = R::class().get_or_try_init(py, || make_class::<R>(py))?;
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
    // SAFETY: `class` was made by `make_class::<R>`, so its instances are a header and N pointers,
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
/// *object* is an instance of a class that `make_class` made.
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

fn make_class<R: Record>(py: Python<'_>) -> PyResult<Py<PyType>> {
    let mut members: Vec<ffi::PyMemberDef> = Vec::with_capacity(R::FIELDS.len() + 1);
    for (index, field) in R::FIELDS.iter().enumerate() {
        members.push(ffi::PyMemberDef {
            name: field.name.as_ptr(),
            type_code: ffi::Py_T_OBJECT_EX,
            offset: offset(index).cast_signed(),
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        });
    }
    members.push(ffi::PyMemberDef::default());
    let doc = CString::new(doc::<R>())?;
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot {
        slot,
        pfunc: function,
    };
    let mut slots = [
        slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_new, new::<R> as ffi::newfunc as *mut c_void),
        slot(
            ffi::Py_tp_dealloc,
            dealloc::<R> as ffi::destructor as *mut c_void,
        ),
        slot(ffi::Py_tp_repr, repr::<R> as ffi::reprfunc as *mut c_void),
        slot(
            ffi::Py_tp_richcompare,
            compare::<R> as ffi::richcmpfunc as *mut c_void,
        ),
        slot(
            ffi::Py_tp_hash,
            ffi::PyObject_HashNotImplemented as ffi::hashfunc as *mut c_void,
        ),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: R::NAME.as_ptr(),
        basicsize: c_int::try_from(offset(R::FIELDS.len()))?,
        itemsize: 0,
        flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT)?,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec and all it points to live until the call returns, which copies the doc and
    // the members; the names are static; the slots hold functions of the types that they demand.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    Ok(class.cast_into::<PyType>()?.unbind())
}

/// The signature, where `inspect` looks for it, and the text.
fn doc<R: Record>() -> String {
    let arguments: Vec<String> = R::FIELDS
        .iter()
        .map(|field| {
            let name = text(field.name);
            match field.kind {
                Kind::Text | Kind::Raw | Kind::Number => name.into(),
                Kind::Claim => format!("{name}=False"),
                Kind::Format => format!("{name}='json'"),
                Kind::MaybeText | Kind::MaybeRaw | Kind::MaybeNumber => format!("{name}=None"),
            }
        })
        .collect();
    let lines: Vec<&str> = R::DOC.lines().map(str::trim).collect();
    let name = short_name::<R>();
    format!(
        "{name}({})\n--\n\n{}",
        arguments.join(", "),
        lines.join("\n")
    )
}

unsafe extern "C" fn new<R: Record>(
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

unsafe extern "C" fn dealloc<R: Record>(object: *mut ffi::PyObject) {
    // SAFETY: Python calls this once, with an instance of R's class that nobody holds any more. An
    // instance owns a reference to each of its values that is not eternal (`accept` and `Slot` see to
    // it that a kind holds no eternal value besides its own) and, as that of every heap type, to its
    // class.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let slots = slots(object);
        let none = ffi::Py_None();
        for (index, field) in R::FIELDS.iter().enumerate() {
            let value = slots.add(index).read();
            let is_eternal = match field.kind {
                Kind::Format | Kind::Claim => true,
                Kind::MaybeText | Kind::MaybeRaw | Kind::MaybeNumber => value == none,
                Kind::Text | Kind::Raw | Kind::Number => false,
            };
            if !is_eternal {
                ffi::Py_DECREF(value);
            }
        }
        ffi::PyObject_Free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

/// The fields of a record, in order.
fn fields<'py, R: Record>(record: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    R::FIELDS
        .iter()
        .map(|field| record.getattr(text(field.name)))
        .collect()
}

unsafe extern "C" fn repr<R: Record>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: Python calls `tp_repr` with a live object.
        let record = unsafe { Borrowed::from_ptr(py, object).to_owned() };
        let shown = || {
            let mut parts = Vec::new();
            for (field, value) in R::FIELDS.iter().zip(fields::<R>(&record)?) {
                if field.shown {
                    parts.push(format!("{}={}", text(field.name), value.repr()?));
                }
            }
            let shown = format!("{}({})", short_name::<R>(), parts.join(", "));
            Ok(PyString::new(py, &shown).into_ptr())
        };
        shown().unwrap_or_else(|error: PyErr| {
            error.restore(py);
            ptr::null_mut()
        })
    })
}

unsafe extern "C" fn compare<R: Record>(
    one: *mut ffi::PyObject,
    other: *mut ffi::PyObject,
    operation: c_int,
) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: Python calls `tp_richcompare` with two live objects.
        let (one, other) = unsafe {
            (
                Borrowed::from_ptr(py, one).to_owned(),
                Borrowed::from_ptr(py, other).to_owned(),
            )
        };
        let equal = || -> PyResult<bool> {
            for (one, other) in fields::<R>(&one)?.iter().zip(fields::<R>(&other)?) {
                if !one.eq(other)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let wanted = match CompareOp::from_raw(operation) {
            Some(CompareOp::Eq) if one.get_type().is(other.get_type()) => true,
            Some(CompareOp::Ne) if one.get_type().is(other.get_type()) => false,
            _ => return py.NotImplemented().into_ptr(),
        };
        match equal() {
            Ok(equal) => PyBool::new(py, equal == wanted).to_owned().into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    })
}

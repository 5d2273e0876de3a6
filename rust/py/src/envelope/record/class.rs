//! The type of a record, and what Python calls on its instances.

use std::ffi::CString;
use std::os::raw::{c_int, c_void};
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::types::{PyBool, PyString, PyType};

use super::{Kind, Record, arguments, offset, short_name, slots, text};

/// Make the type, whose instances are a header and a slot for each field.
pub(super) fn make<R: Record>(py: Python<'_>) -> PyResult<Py<PyType>> {
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
        slot(
            ffi::Py_tp_new,
            arguments::new::<R> as ffi::newfunc as *mut c_void,
        ),
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

//! The event classes: frozen values whose attributes are plain members, so that reading one costs
//! what reading a slot costs.
//!
//! Every field is made when the event is made. Attributes that make themselves on first access were
//! weighed and dropped: a program reads nearly all of them, and a member is several times cheaper to
//! read than a method is to call.

use alknet_core::envelope::{Body, Event, Format, Raw, Text};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString, PyTuple};

use super::format;
use super::names::Names;

type Str = Py<PyString>;
type Bytes = Py<PyBytes>;
type Int = Py<PyInt>;
/// A value of its type, or None. Kept as any object, because only a plain object can be a member.
type Maybe = Py<PyAny>;

/// Makes the classes: construction by keyword, `__match_args__`, equality and a repr that shows what
/// identifies the event and nothing that a log should not have.
macro_rules! event {
    (
        $(#[$doc:meta])*
        $name:ident($($field:ident: $kind:ident $(= $default:tt)?),*) shows $($shown:ident)*
    ) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "alknet._core.envelope")]
        pub(super) struct $name {
            $(#[pyo3(get)] $field: event!(@member $kind),)*
        }

        #[pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = ($($field $(= $default)?),*))]
            #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // as many as the wire has fields
            fn new(py: Python<'_>, $($field: event!(@argument $kind)),*) -> PyResult<Self> {
                let _ = py;
                Ok(Self { $($field: event!(@keep $kind py $field),)* })
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
                PyTuple::new(py, [$(plain(stringify!($field))),*])
            }

            fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
                let Ok(other) = other.cast::<Self>() else {
                    return Ok(false);
                };
                let other = other.get();
                $(
                    if !self.$field.bind(py).as_any().eq(other.$field.bind(py))? {
                        return Ok(false);
                    }
                )*
                Ok(true)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let shown: &[(&str, &Bound<'_, PyAny>)] = &[
                    $((plain(stringify!($shown)), self.$shown.bind(py).as_any())),*
                ];
                let mut parts = Vec::with_capacity(shown.len());
                for (name, value) in shown {
                    parts.push(format!("{name}={}", value.repr()?));
                }
                Ok(format!("{}({})", stringify!($name), parts.join(", ")))
            }
        }
    };

    (@member text) => { Str };
    (@member raw) => { Bytes };
    (@member format) => { Str };
    (@member number) => { Int };
    (@member claim) => { Py<PyBool> };
    (@member maybe_text) => { Maybe };
    (@member maybe_raw) => { Maybe };
    (@member maybe_number) => { Maybe };

    (@argument text) => { Str };
    (@argument raw) => { Bytes };
    (@argument format) => { &str };
    (@argument number) => { Int };
    (@argument claim) => { bool };
    (@argument maybe_text) => { Option<Str> };
    (@argument maybe_raw) => { Option<Bytes> };
    (@argument maybe_number) => { Option<Int> };

    (@keep format $py:ident $field:ident) => { format::name($py, format::parse($field)?).clone().unbind() };
    (@keep claim $py:ident $field:ident) => { PyBool::new($py, $field).to_owned().unbind() };
    (@keep maybe_text $py:ident $field:ident) => { or_none($py, $field) };
    (@keep maybe_raw $py:ident $field:ident) => { or_none($py, $field) };
    (@keep maybe_number $py:ident $field:ident) => { or_none($py, $field) };
    (@keep $plain:ident $py:ident $field:ident) => { $field };
}

event! {
    /// `call.requested`: please carry out an operation.
    ///
    /// `input`, `forwarded_for` and `metadata` are the exact bytes of one value each, encoded in
    /// `format`. `deadline_ms` is in Unix milliseconds.
    CallRequested(
        id: text,
        operation: text,
        input: raw,
        format: format = "json",
        deadline_ms: maybe_number = None,
        parent_id: maybe_text = None,
        auth_token: maybe_text = None,
        forwarded_for: maybe_raw = None,
        metadata: maybe_raw = None,
        window: maybe_number = None,
        idle_timeout_ms: maybe_number = None,
        traceparent: maybe_text = None,
        hops: maybe_number = None
    ) shows id operation
}
event! {
    /// `call.responded`: the answer, or one item of a subscription.
    CallResponded(id: text, output: raw, format: format = "json") shows id
}
event! {
    /// `call.completed`: no more answers will come.
    CallCompleted(id: text) shows id
}
event! {
    /// `call.aborted`: one side ended the call on purpose.
    CallAborted(id: text) shows id
}
event! {
    /// `call.error`: there is no answer, and this is why.
    CallFailed(
        id: text,
        code: text,
        message: text,
        retryable: claim = false,
        details: maybe_raw = None,
        format: format = "json"
    ) shows id code message retryable
}
event! {
    /// `call.credit`: so many more items may be sent.
    CallCredit(id: text, items: number) shows id items
}
event! {
    /// `call.item`: one item of an upload.
    CallItem(id: text, item: raw, format: format = "json") shows id
}
event! {
    /// `call.finished`: the caller will send no more items.
    CallFinished(id: text) shows id
}
event! {
    /// `link.ping`: are you there?
    LinkPing(id: text) shows id
}
event! {
    /// `link.pong`: I am.
    LinkPong(id: text) shows id
}
event! {
    /// An envelope of a type that this version does not know. Its payload was checked and dropped.
    UnknownEvent(r#type: text, id: text) shows r#type id
}

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CallRequested>()?;
    module.add_class::<CallResponded>()?;
    module.add_class::<CallCompleted>()?;
    module.add_class::<CallAborted>()?;
    module.add_class::<CallFailed>()?;
    module.add_class::<CallCredit>()?;
    module.add_class::<CallItem>()?;
    module.add_class::<CallFinished>()?;
    module.add_class::<LinkPing>()?;
    module.add_class::<LinkPong>()?;
    module.add_class::<UnknownEvent>()?;
    let py = module.py();
    let mut any = py.get_type::<CallRequested>().into_any();
    for class in [
        py.get_type::<CallResponded>(),
        py.get_type::<CallCompleted>(),
        py.get_type::<CallAborted>(),
        py.get_type::<CallFailed>(),
        py.get_type::<CallCredit>(),
        py.get_type::<CallItem>(),
        py.get_type::<CallFinished>(),
        py.get_type::<LinkPing>(),
        py.get_type::<LinkPong>(),
        py.get_type::<UnknownEvent>(),
    ] {
        any = any.bitor(class)?;
    }
    module.add("Event", any)
}

/// Make the Python object of one event.
#[inline]
pub(super) fn object(py: Python<'_>, event: &Event<'_>, names: &mut Names) -> PyResult<Py<PyAny>> {
    let id = text(py, event.id)?;
    Ok(match &event.body {
        Body::Requested(requested) => Py::new(
            py,
            CallRequested {
                id,
                operation: names.string(py, requested.operation)?,
                input: bytes(py, requested.input),
                format: format_of(py, requested.input),
                deadline_ms: maybe_number(py, requested.deadline_ms),
                parent_id: maybe_text(py, requested.parent_id)?,
                auth_token: maybe_text(py, requested.auth_token)?,
                forwarded_for: maybe_raw(py, requested.forwarded_for),
                metadata: maybe_raw(py, requested.metadata),
                window: maybe_number(py, requested.window),
                idle_timeout_ms: maybe_number(py, requested.idle_timeout_ms),
                traceparent: maybe_text(py, requested.traceparent)?,
                hops: maybe_number(py, requested.hops),
            },
        )?
        .into_any(),
        Body::Responded { output } => Py::new(
            py,
            CallResponded {
                id,
                output: bytes(py, *output),
                format: format_of(py, *output),
            },
        )?
        .into_any(),
        Body::Completed => Py::new(py, CallCompleted { id })?.into_any(),
        Body::Aborted => Py::new(py, CallAborted { id })?.into_any(),
        Body::Failed(failed) => Py::new(
            py,
            CallFailed {
                id,
                code: names.string(py, failed.code)?,
                message: text(py, failed.message)?,
                retryable: PyBool::new(py, failed.retryable).to_owned().unbind(),
                format: failed.details.map_or_else(
                    || format::name(py, Format::Json).clone().unbind(),
                    |details| format_of(py, details),
                ),
                details: maybe_raw(py, failed.details),
            },
        )?
        .into_any(),
        Body::Credit { items } => {
            let items = number(py, *items);
            Py::new(py, CallCredit { id, items })?.into_any()
        }
        Body::Item { item } => Py::new(
            py,
            CallItem {
                id,
                item: bytes(py, *item),
                format: format_of(py, *item),
            },
        )?
        .into_any(),
        Body::Finished => Py::new(py, CallFinished { id })?.into_any(),
        Body::Ping => Py::new(py, LinkPing { id })?.into_any(),
        Body::Pong => Py::new(py, LinkPong { id })?.into_any(),
        Body::Unknown { kind } => {
            let r#type = text(py, *kind)?;
            Py::new(py, UnknownEvent { r#type, id })?.into_any()
        }
    })
}

/// `type` is a word of Rust's, and of the wire's.
fn plain(field: &str) -> &str {
    field.trim_start_matches("r#")
}

#[inline]
fn text(py: Python<'_>, text: Text<'_>) -> PyResult<Str> {
    PyString::from_bytes(py, &text.bytes()).map(Bound::unbind)
}

#[inline]
fn bytes(py: Python<'_>, raw: Raw<'_>) -> Bytes {
    PyBytes::new(py, raw.bytes).unbind()
}

#[inline]
fn format_of(py: Python<'_>, raw: Raw<'_>) -> Str {
    format::name(py, raw.format).clone().unbind()
}

#[inline]
fn number(py: Python<'_>, value: u64) -> Int {
    PyInt::new(py, value).unbind()
}

#[inline]
fn maybe_text(py: Python<'_>, given: Option<Text<'_>>) -> PyResult<Maybe> {
    given.map_or_else(|| Ok(py.None()), |given| Ok(text(py, given)?.into_any()))
}

#[inline]
fn maybe_raw(py: Python<'_>, given: Option<Raw<'_>>) -> Maybe {
    or_none(py, given.map(|given| bytes(py, given)))
}

#[inline]
fn maybe_number(py: Python<'_>, given: Option<u64>) -> Maybe {
    or_none(py, given.map(|given| number(py, given)))
}

#[inline]
fn or_none<T>(py: Python<'_>, value: Option<Py<T>>) -> Maybe {
    value.map_or_else(|| py.None(), Py::into_any)
}

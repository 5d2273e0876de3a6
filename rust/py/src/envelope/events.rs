//! The event classes, and how an event of the core becomes an object of one of them.
//!
//! Every field is made when the event is made. Attributes that make themselves on first access were
//! weighed and dropped: a program reads nearly all of them, and a slot is several times cheaper to
//! read than a method is to call.

use alknet_core::envelope::{Body, Event, Format, Raw, Text};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString, PyType};

use super::format;
use super::names::Names;
use super::record::{self, Field, Kind, Record};

/// Declares a class: its doc, and the name and kind of each field; `shown` marks what `repr` shows.
macro_rules! event {
    ($(#[doc = $doc:literal])* $class:ident { $($name:literal $kind:ident $($shown:ident)?),* $(,)? }) => {
        struct $class;

        impl Record for $class {
            const NAME: &'static std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
                concat!("alknet._core.envelope.", stringify!($class), "\0").as_bytes(),
            ) {
                Ok(name) => name,
                Err(_) => panic!("a name has no nul byte"),
            };
            const DOC: &'static str = concat!($($doc, "\n"),*);
            const FIELDS: &'static [Field] = &[$(
                Field { name: $name, kind: Kind::$kind, shown: event!(@shown $($shown)?) }
            ),*];

            fn class() -> &'static PyOnceLock<Py<PyType>> {
                static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
                &CLASS
            }
        }
    };
    (@shown shown) => { true };
    (@shown) => { false };
}

event! {
    /// `call.requested`: please carry out an operation.
    ///
    /// `input`, `forwarded_for` and `metadata` are the exact bytes of one value each, encoded in
    /// `format`. `deadline_ms` is in Unix milliseconds.
    CallRequested {
        c"id" Text shown,
        c"operation" Text shown,
        c"input" Raw,
        c"format" Format,
        c"deadline_ms" MaybeNumber,
        c"parent_id" MaybeText,
        c"auth_token" MaybeText,
        c"forwarded_for" MaybeRaw,
        c"metadata" MaybeRaw,
        c"window" MaybeNumber,
        c"idle_timeout_ms" MaybeNumber,
        c"traceparent" MaybeText,
        c"hops" MaybeNumber,
    }
}
event! {
    /// `call.responded`: the answer, or one item of a subscription.
    CallResponded { c"id" Text shown, c"output" Raw, c"format" Format }
}
event! {
    /// `call.completed`: no more answers will come.
    CallCompleted { c"id" Text shown }
}
event! {
    /// `call.aborted`: one side ended the call on purpose.
    CallAborted { c"id" Text shown }
}
event! {
    /// `call.error`: there is no answer, and this is why.
    CallFailed {
        c"id" Text shown,
        c"code" Text shown,
        c"message" Text shown,
        c"retryable" Claim shown,
        c"details" MaybeRaw,
        c"format" Format,
    }
}
event! {
    /// `call.credit`: so many more items may be sent.
    CallCredit { c"id" Text shown, c"items" Number shown }
}
event! {
    /// `call.item`: one item of an upload.
    CallItem { c"id" Text shown, c"item" Raw, c"format" Format }
}
event! {
    /// `call.finished`: the caller will send no more items.
    CallFinished { c"id" Text shown }
}
event! {
    /// `link.ping`: are you there?
    LinkPing { c"id" Text shown }
}
event! {
    /// `link.pong`: I am.
    LinkPong { c"id" Text shown }
}
event! {
    /// An envelope of a type that this version does not know. Its payload was checked and dropped.
    UnknownEvent { c"type" Text shown, c"id" Text shown }
}

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    record::add::<CallRequested>(module)?;
    record::add::<CallResponded>(module)?;
    record::add::<CallCompleted>(module)?;
    record::add::<CallAborted>(module)?;
    record::add::<CallFailed>(module)?;
    record::add::<CallCredit>(module)?;
    record::add::<CallItem>(module)?;
    record::add::<CallFinished>(module)?;
    record::add::<LinkPing>(module)?;
    record::add::<LinkPong>(module)?;
    record::add::<UnknownEvent>(module)?;
    let mut any = module.getattr("CallRequested")?;
    for class in [
        "CallResponded",
        "CallCompleted",
        "CallAborted",
        "CallFailed",
        "CallCredit",
        "CallItem",
        "CallFinished",
        "LinkPing",
        "LinkPong",
        "UnknownEvent",
    ] {
        any = any.bitor(module.getattr(class)?)?;
    }
    module.add("Event", any)
}

/// Make the Python object of one event.
#[inline]
pub(super) fn object(py: Python<'_>, event: &Event<'_>, names: &mut Names) -> PyResult<Py<PyAny>> {
    let id = text(py, event.id)?;
    match &event.body {
        Body::Requested(requested) => record::make::<CallRequested, _>(
            py,
            [
                id,
                names.string(py, requested.operation)?,
                bytes(py, requested.input),
                format_of(py, requested.input),
                maybe_number(py, requested.deadline_ms),
                maybe_text(py, requested.parent_id)?,
                maybe_text(py, requested.auth_token)?,
                maybe_raw(py, requested.forwarded_for),
                maybe_raw(py, requested.metadata),
                maybe_number(py, requested.window),
                maybe_number(py, requested.idle_timeout_ms),
                maybe_text(py, requested.traceparent)?,
                maybe_number(py, requested.hops),
            ],
        ),
        Body::Responded { output } => {
            let values = [id, bytes(py, *output), format_of(py, *output)];
            record::make::<CallResponded, _>(py, values)
        }
        Body::Completed => record::make::<CallCompleted, _>(py, [id]),
        Body::Aborted => record::make::<CallAborted, _>(py, [id]),
        Body::Failed(failed) => record::make::<CallFailed, _>(
            py,
            [
                id,
                names.string(py, failed.code)?,
                text(py, failed.message)?,
                PyBool::new(py, failed.retryable)
                    .to_owned()
                    .into_any()
                    .unbind(),
                maybe_raw(py, failed.details),
                format_of(py, failed.details.unwrap_or(Format::Json.null())),
            ],
        ),
        Body::Credit { items } => record::make::<CallCredit, _>(py, [id, number(py, *items)]),
        Body::Item { item } => {
            let values = [id, bytes(py, *item), format_of(py, *item)];
            record::make::<CallItem, _>(py, values)
        }
        Body::Finished => record::make::<CallFinished, _>(py, [id]),
        Body::Ping => record::make::<LinkPing, _>(py, [id]),
        Body::Pong => record::make::<LinkPong, _>(py, [id]),
        Body::Unknown { kind } => record::make::<UnknownEvent, _>(py, [text(py, *kind)?, id]),
    }
}

#[inline]
fn text(py: Python<'_>, text: Text<'_>) -> PyResult<Py<PyAny>> {
    let text = match text.plain() {
        Some(bytes) => PyString::from_bytes(py, bytes),
        None => PyString::from_bytes(py, &text.bytes()),
    };
    text.map(|text| text.into_any().unbind())
}

#[inline]
fn bytes(py: Python<'_>, raw: Raw<'_>) -> Py<PyAny> {
    PyBytes::new(py, raw.bytes).into_any().unbind()
}

#[inline]
fn format_of(py: Python<'_>, raw: Raw<'_>) -> Py<PyAny> {
    format::name(py, raw.format).clone().into_any().unbind()
}

#[inline]
fn number(py: Python<'_>, value: u64) -> Py<PyAny> {
    PyInt::new(py, value).into_any().unbind()
}

#[inline]
fn maybe_text(py: Python<'_>, given: Option<Text<'_>>) -> PyResult<Py<PyAny>> {
    given.map_or_else(|| Ok(py.None()), |given| text(py, given))
}

#[inline]
fn maybe_raw(py: Python<'_>, given: Option<Raw<'_>>) -> Py<PyAny> {
    given.map_or_else(|| py.None(), |given| bytes(py, given))
}

#[inline]
fn maybe_number(py: Python<'_>, given: Option<u64>) -> Py<PyAny> {
    given.map_or_else(|| py.None(), |given| number(py, given))
}

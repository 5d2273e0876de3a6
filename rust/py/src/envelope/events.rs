//! The event classes, and how an event of the core becomes an object of one of them.
//!
//! Every field is made when the event is made. Attributes that make themselves on first access were
//! weighed and dropped: a program reads nearly all of them, and a slot is several times cheaper to
//! read than a method is to call.

use alknet_core::envelope::{Body, Event, Format, Raw, Text};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyInt, PyString, PyType};

use super::names::Names;
use super::record::{self, Field, Kind, Record, Slot};

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
pub(super) fn object<'py>(
    py: Python<'py>,
    event: &Event<'_>,
    names: &mut Names,
) -> PyResult<Bound<'py, PyAny>> {
    let id = text(py, event.id)?;
    match &event.body {
        Body::Requested(request) => {
            let values = [
                id,
                names.string(py, request.operation)?,
                raw(py, request.input),
                Slot::format(py, request.input.format),
                maybe_number(py, request.deadline_ms),
                maybe_text(py, request.parent_id)?,
                maybe_text(py, request.auth_token)?,
                maybe_raw(py, request.forwarded_for),
                maybe_raw(py, request.metadata),
                maybe_number(py, request.window),
                maybe_number(py, request.idle_timeout_ms),
                maybe_text(py, request.traceparent)?,
                maybe_number(py, request.hops),
            ];
            record::make::<CallRequested, _>(py, values)
        }
        Body::Responded { output } => {
            let values = [id, raw(py, *output), Slot::format(py, output.format)];
            record::make::<CallResponded, _>(py, values)
        }
        Body::Completed => record::make::<CallCompleted, _>(py, [id]),
        Body::Aborted => record::make::<CallAborted, _>(py, [id]),
        Body::Failed(failed) => {
            let format = failed
                .details
                .map_or(Format::Json, |details| details.format);
            let values = [
                id,
                names.string(py, failed.code)?,
                text(py, failed.message)?,
                Slot::claim(py, failed.retryable),
                maybe_raw(py, failed.details),
                Slot::format(py, format),
            ];
            record::make::<CallFailed, _>(py, values)
        }
        Body::Credit { items } => record::make::<CallCredit, _>(py, [id, number(py, *items)]),
        Body::Item { item } => {
            let values = [id, raw(py, *item), Slot::format(py, item.format)];
            record::make::<CallItem, _>(py, values)
        }
        Body::Finished => record::make::<CallFinished, _>(py, [id]),
        Body::Ping => record::make::<LinkPing, _>(py, [id]),
        Body::Pong => record::make::<LinkPong, _>(py, [id]),
        Body::Unknown { kind } => record::make::<UnknownEvent, _>(py, [text(py, *kind)?, id]),
    }
}

#[inline]
fn text<'py>(py: Python<'py>, text: Text<'_>) -> PyResult<Slot<'py>> {
    let text = match text.plain() {
        Some(bytes) => PyString::from_bytes(py, bytes),
        None => PyString::from_bytes(py, &text.bytes()),
    };
    text.map(Slot::owned)
}

#[inline]
fn raw<'py>(py: Python<'py>, raw: Raw<'_>) -> Slot<'py> {
    Slot::owned(PyBytes::new(py, raw.bytes))
}

#[inline]
fn number(py: Python<'_>, value: u64) -> Slot<'_> {
    Slot::owned(PyInt::new(py, value))
}

#[inline]
fn maybe_text<'py>(py: Python<'py>, given: Option<Text<'_>>) -> PyResult<Slot<'py>> {
    match given {
        Some(given) => text(py, given),
        None => Ok(Slot::none(py)),
    }
}

#[inline]
fn maybe_raw<'py>(py: Python<'py>, given: Option<Raw<'_>>) -> Slot<'py> {
    match given {
        Some(given) => raw(py, given),
        None => Slot::none(py),
    }
}

#[inline]
fn maybe_number(py: Python<'_>, given: Option<u64>) -> Slot<'_> {
    match given {
        Some(given) => number(py, given),
        None => Slot::none(py),
    }
}

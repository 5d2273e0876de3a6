//! `Decoder`: bytes in, events out.

use alknet_core::envelope::{self, Event, Format, Limits, Malformed};
use alknet_core::frame::{BadFrame, Splitter};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::events;
use super::format::{self, FormatName};
use super::names::Names;
use super::value::limits;
use crate::buffer::Bytes;
use crate::detach::if_long;
use crate::errors;

/// What is larger takes so long that other threads are let run meanwhile.
const LARGE_BYTES: usize = 1 << 20;

/// Turns received bytes into events.
///
/// With `framed=False` each `feed` is exactly one envelope (one WebSocket message). With
/// `framed=True` the bytes are a stream of frames, a 4-byte big-endian length and a body each, cut
/// anywhere: whole frames come out, the rest waits for the next `feed`.
///
/// `frame_bytes` limits the body of one envelope, `depth` how deep one raw value may nest (at most
/// 512), `string_bytes` the longest string or binary as it stands on the wire.
#[pyclass(module = "alknet._core.envelope")]
pub(super) struct Decoder {
    format: Format,
    limits: Limits,
    splitter: Option<Splitter>,
    names: Names,
    failure: Option<Failure>,
}

/// Why a stream ended for good.
enum Failure {
    Frame(BadFrame),
    Envelope(Malformed),
    /// Python could not make an event, for want of memory.
    Python(PyErr),
}

impl From<BadFrame> for Failure {
    fn from(fault: BadFrame) -> Self {
        Self::Frame(fault)
    }
}

impl Failure {
    fn error(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Frame(fault) => errors::bad_frame(py, fault),
            Self::Envelope(fault) => errors::malformed(py, fault),
            Self::Python(error) => error.clone_ref(py),
        }
    }
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (
        format,
        *,
        framed,
        frame_bytes = 16_777_216,
        depth = 64,
        string_bytes = 16_777_216
    ))]
    fn new(
        format: FormatName,
        framed: bool,
        frame_bytes: usize,
        depth: usize,
        string_bytes: usize,
    ) -> PyResult<Self> {
        Ok(Self {
            format: format.0,
            limits: Limits {
                frame_bytes,
                ..limits(depth, string_bytes)?
            },
            splitter: framed.then(|| Splitter::new(frame_bytes)),
            names: Names::new(),
            failure: None,
        })
    }

    /// Return the events of all envelopes that *data* completes, in order.
    ///
    /// Raises MalformedEnvelope or FrameTooLarge. The events that came before the fault in the same
    /// *data* are in the error's `events`; the decoder is then dead, and every further call raises
    /// the same error, with no events.
    fn feed<'py>(&mut self, py: Python<'py>, data: Bytes<'py>) -> PyResult<Bound<'py, PyList>> {
        match &self.failure {
            Some(failure) => Err(failure.error(py)),
            None => self.read(py, &data),
        }
    }

    /// Return the event of *data*, which is exactly one envelope.
    ///
    /// As `feed` of a decoder without frames, but without the list. Raises MalformedEnvelope or
    /// FrameTooLarge, and ValueError if the decoder is framed.
    fn decode<'py>(&mut self, py: Python<'py>, data: Bytes<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.splitter.is_some() {
            return Err(PyValueError::new_err(
                "a framed decoder reads a stream, which may hold no envelope or many: use feed()",
            ));
        }
        if let Some(failure) = &self.failure {
            return Err(failure.error(py));
        }
        self.message(py, &data)
            .map_err(|fault| failed(py, self.failure.insert(fault), &PyList::empty(py)))
    }

    /// How many bytes of a frame wait for the rest of it.
    #[getter]
    fn buffered(&self) -> usize {
        self.splitter.as_ref().map_or(0, Splitter::buffered)
    }

    /// Whether the next *size* bytes complete an envelope of more than 1 MiB.
    ///
    /// To look at one takes milliseconds, in which `feed` holds no lock of the interpreter: it is
    /// worth a thread.
    fn completes_large(&self, size: usize) -> bool {
        match &self.splitter {
            None => size > LARGE_BYTES,
            Some(splitter) => {
                splitter.buffered() > LARGE_BYTES && (1..=size).contains(&splitter.missing())
            }
        }
    }

    /// "json" or "msgpack".
    #[getter]
    fn format<'py>(&self, py: Python<'py>) -> Bound<'py, pyo3::types::PyString> {
        format::name(py, self.format).clone()
    }
}

impl Decoder {
    /// One envelope, without a frame.
    #[inline]
    fn message<'py>(&mut self, py: Python<'py>, data: &[u8]) -> Result<Bound<'py, PyAny>, Failure> {
        let (size, limit) = (data.len(), self.limits.frame_bytes);
        if size > limit {
            return Err(BadFrame::TooLarge { size, limit }.into());
        }
        one(py, data, self.format, &self.limits, &mut self.names)
    }

    fn read<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let events;
        let outcome = if let Some(splitter) = &mut self.splitter {
            events = PyList::empty(py);
            splitter.feed(data, |body| {
                let event = one(py, body, self.format, &self.limits, &mut self.names)?;
                events.append(event).map_err(Failure::Python)
            })
        } else {
            match self.message(py, data) {
                Ok(event) => return PyList::new(py, [event]),
                Err(fault) => {
                    events = PyList::empty(py);
                    Err(fault)
                }
            }
        };
        match outcome {
            Ok(()) => Ok(events),
            Err(fault) => Err(failed(py, self.failure.insert(fault), &events)),
        }
    }
}

#[inline]
fn one<'py>(
    py: Python<'py>,
    body: &[u8],
    format: Format,
    limits: &Limits,
    names: &mut Names,
) -> Result<Bound<'py, PyAny>, Failure> {
    let mut event = Event::NONE;
    if_long(py, body.len() > LARGE_BYTES, || {
        envelope::decode(body, format, limits, &mut event)
    })
    .map_err(Failure::Envelope)?;
    events::object(py, &event, names).map_err(Failure::Python)
}

/// The error to raise, with the events that came before the fault.
#[cold]
fn failed(py: Python<'_>, failure: &Failure, events: &Bound<'_, PyList>) -> PyErr {
    let error = failure.error(py);
    match error.value(py).setattr(intern!(py, "events"), events) {
        Ok(()) => error,
        Err(other) => other,
    }
}

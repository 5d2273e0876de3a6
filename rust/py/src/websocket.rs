//! `alknet._core.websocket`: the frames of RFC 6455.

use alknet_core::websocket::{self, Close, Role, Step};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyList};

use crate::buffer::Bytes;
use crate::errors;
use crate::register;

/// Messages up to this size go out in one piece; a larger one is not copied to stand behind its
/// header.
const JOINED_BYTES: usize = 128 << 10;

/// The answer to a ping, or one that nobody has asked for.
#[pyclass(frozen, module = "alknet._core.websocket")]
struct Pong {
    payload: Vec<u8>,
}

#[pymethods]
impl Pong {
    /// What the ping held.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.payload)
    }
}

/// One end of a WebSocket after the upgrade, without the connection: bytes in, messages out.
///
/// No extension is spoken. Messages of more than `message_bytes` end the connection, and so does
/// whatever else RFC 6455 forbids, with the status code that it has for that.
#[pyclass(module = "alknet._core.websocket")]
struct Connection {
    core: websocket::Connection,
    /// What was fed, and how much of it is used up.
    data: Option<(Py<PyBytes>, usize)>,
    #[pyo3(get)]
    /// Whether the last message was text.
    is_text: bool,
}

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (*, is_client, message_bytes))]
    fn new(is_client: bool, message_bytes: usize) -> Self {
        let role = if is_client {
            Role::Client
        } else {
            Role::Server
        };
        Self {
            core: websocket::Connection::new(role, message_bytes),
            data: None,
            is_text: false,
        }
    }

    /// Take *data*, which the peer has sent, to be read by `step`.
    ///
    /// It must not be called before what was fed last is used up.
    fn feed(&mut self, data: Py<PyBytes>) {
        self.data = Some((data, 0));
    }

    /// Whether there is something for `step` to read.
    #[getter]
    fn is_behind(&self) -> bool {
        self.data.is_some()
    }

    /// Bytes of a message, or of a frame, whose end has not come.
    #[getter]
    fn buffered(&self) -> usize {
        self.core.buffered()
    }

    /// Read one frame at most, and return the message that it completes.
    ///
    /// True stands for a frame that is no message, or not yet: there may be more. False says that
    /// all that was fed is used up. There may be something to `take` after that.
    fn step<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some((data, at)) = self.data.take() else {
            return Ok(PyBool::new(py, false).to_owned().into_any());
        };
        let whole = data.as_bytes(py);
        let mut rest = &whole[at..];
        let core = &mut self.core;
        let step = errors::run_websocket(|| core.read(&mut rest))?;
        let at = whole.len() - rest.len();
        let is_behind = at < whole.len();
        let found = match step {
            Step::Message { is_text, payload } => {
                self.is_text = is_text;
                PyBytes::new_with(py, payload.len(), |out| {
                    payload.write(out);
                    Ok(())
                })?
                .into_any()
            }
            Step::Pong(payload) => Bound::new(py, Pong { payload })?.into_any(),
            Step::Part => PyBool::new(py, true).to_owned().into_any(),
            Step::Nothing => PyBool::new(py, false).to_owned().into_any(),
        };
        if is_behind {
            self.data = Some((data, at));
        }
        Ok(found)
    }

    /// Return what must be sent for *chunks*, each a message of its own.
    ///
    /// One longer than *most_bytes* becomes several messages, for those that carry a stream.
    #[pyo3(signature = (chunks, *, is_text = false, most_bytes = usize::MAX))]
    fn write<'py>(
        &self,
        py: Python<'py>,
        chunks: Vec<Bytes<'py>>,
        is_text: bool,
        most_bytes: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let pieces = PyList::empty(py);
        let mut joined = Vec::new();
        for message in chunks
            .iter()
            .flat_map(|chunk| chunk.chunks(most_bytes.max(1)))
        {
            let header = (message.len() > JOINED_BYTES)
                .then(|| self.core.header(is_text, message.len()))
                .flatten();
            if let Some(header) = header {
                joined.extend_from_slice(&header);
                pieces.append(PyBytes::new(py, &joined))?;
                pieces.append(PyBytes::new(py, message))?;
                joined.clear();
            } else {
                errors::run_websocket(|| self.core.write(is_text, message, &mut joined))?;
            }
        }
        if !joined.is_empty() {
            pieces.append(PyBytes::new(py, &joined))?;
        }
        Ok(pieces)
    }

    /// Ask whether the peer is there; it answers with the same *payload*, of 125 bytes at most.
    fn ping(&mut self, payload: Bytes<'_>) -> PyResult<()> {
        let core = &mut self.core;
        errors::run_websocket(|| core.ping(&payload))
    }

    /// Say farewell, unless that was done; *reason* is cut to 123 bytes.
    fn close(&mut self, code: u16, reason: String) -> PyResult<()> {
        let connection = &mut self.core;
        let code = Some(code);
        errors::run_websocket(|| connection.close(Close { code, reason }))
    }

    /// Return what must be sent beside the messages: pings, pongs and the farewell.
    fn take<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.core.take())
    }

    /// Whether neither end has said farewell.
    #[getter]
    fn is_open(&self) -> bool {
        self.core.is_open()
    }

    /// The code and the reason of the peer's farewell; None if it has said none.
    #[getter]
    fn received_close(&self) -> Option<(Option<u16>, String)> {
        self.core.received().map(said)
    }

    /// The code and the reason of this end's farewell; None if it has said none.
    #[getter]
    fn sent_close(&self) -> Option<(Option<u16>, String)> {
        self.core.sent().map(said)
    }
}

fn said(close: &Close) -> (Option<u16>, String) {
    (close.code, close.reason.clone())
}

/// Register `alknet._core.websocket`.
pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "websocket")?;
    module.add_class::<Connection>()?;
    module.add_class::<Pong>()?;
    register::submodule(parent, &module)
}

//! `Encoder`: events in, bytes out.

use alknet_core::envelope::{self, Body, Event, Failed, Format, Raw, Requested, Text};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::format::{self, FormatName};
use crate::errors;

/// Turns events into bytes, many to a buffer.
///
/// Every method but `take` appends one envelope and returns its size in bytes, its length prefix
/// included; when it raises LocalProtocolError the buffer is as it was. Raw values are the bytes of
/// exactly one value, in the encoder's format unless the argument that ends in `_format` says
/// otherwise: JSON goes into a msgpack envelope as it is (as an extension of type 1), msgpack is
/// transcoded for a JSON envelope. They are trusted to be well formed, because they come from an
/// encoder or from a decoder that has validated them; `checked=True` validates them again.
#[pyclass(module = "alknet._core.envelope")]
pub(super) struct Encoder(envelope::Encoder);

#[pymethods]
impl Encoder {
    #[new]
    #[pyo3(signature = (format, *, framed, frame_bytes = 16_777_216, checked = false))]
    fn new(format: FormatName, framed: bool, frame_bytes: usize, checked: bool) -> Self {
        Self(envelope::Encoder::new(
            format.0,
            framed,
            frame_bytes,
            checked,
        ))
    }

    /// Append `call.requested`. `metadata` and `forwarded_for` are encoded as *input* is.
    #[pyo3(signature = (
        id, operation, input, *, input_format = None, deadline_ms = None, parent_id = None,
        auth_token = None, forwarded_for = None, metadata = None, window = None,
        idle_timeout_ms = None, traceparent = None, hops = None
    ))]
    #[allow(clippy::too_many_arguments)] // as many as the wire has fields
    fn requested(
        &mut self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        operation: &Bound<'_, PyString>,
        input: &[u8],
        input_format: Option<FormatName>,
        deadline_ms: Option<u64>,
        parent_id: Option<&Bound<'_, PyString>>,
        auth_token: Option<&Bound<'_, PyString>>,
        forwarded_for: Option<&[u8]>,
        metadata: Option<&[u8]>,
        window: Option<u64>,
        idle_timeout_ms: Option<u64>,
        traceparent: Option<&Bound<'_, PyString>>,
        hops: Option<u64>,
    ) -> PyResult<usize> {
        let format = self.format_or(input_format);
        let raw = |bytes| Raw { bytes, format };
        let maybe = |given: Option<_>, name| given.map(|given| text(given, name)).transpose();
        let body = Body::Requested(Requested {
            operation: text(operation, "operation")?,
            input: raw(input),
            deadline_ms,
            parent_id: maybe(parent_id, "parent_id")?,
            auth_token: maybe(auth_token, "auth_token")?,
            forwarded_for: forwarded_for.map(raw),
            metadata: metadata.map(raw),
            window,
            idle_timeout_ms,
            traceparent: maybe(traceparent, "traceparent")?,
            hops,
        });
        self.append(py, id, body)
    }

    /// Append `call.responded`.
    #[pyo3(signature = (id, output, output_format = None))]
    fn responded(
        &mut self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        output: &[u8],
        output_format: Option<FormatName>,
    ) -> PyResult<usize> {
        let output = self.raw(output, output_format);
        self.append(py, id, Body::Responded { output })
    }

    /// Append `call.completed`.
    fn completed(&mut self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(py, id, Body::Completed)
    }

    /// Append `call.aborted`.
    fn aborted(&mut self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(py, id, Body::Aborted)
    }

    /// Append `call.error`.
    ///
    /// A *message* that is not Unicode text (a file name, say) is sent with replacement characters:
    /// an error must get through.
    #[pyo3(signature = (id, code, message, retryable = false, details = None, details_format = None))]
    #[allow(clippy::too_many_arguments)] // as many as the wire has fields
    fn failed(
        &mut self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        code: &Bound<'_, PyString>,
        message: &Bound<'_, PyString>,
        retryable: bool,
        details: Option<&[u8]>,
        details_format: Option<FormatName>,
    ) -> PyResult<usize> {
        let message = message.to_string_lossy();
        let body = Body::Failed(Failed {
            code: text(code, "code")?,
            message: Text::from(&*message),
            retryable,
            details: details.map(|details| self.raw(details, details_format)),
        });
        self.append(py, id, body)
    }

    /// Append `call.credit`.
    fn credit(&mut self, py: Python<'_>, id: &Bound<'_, PyString>, items: u64) -> PyResult<usize> {
        self.append(py, id, Body::Credit { items })
    }

    /// Append `call.item`.
    #[pyo3(signature = (id, item, item_format = None))]
    fn item(
        &mut self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        item: &[u8],
        item_format: Option<FormatName>,
    ) -> PyResult<usize> {
        let item = self.raw(item, item_format);
        self.append(py, id, Body::Item { item })
    }

    /// Append `call.finished`.
    fn finished(&mut self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(py, id, Body::Finished)
    }

    /// Append `link.ping`.
    fn ping(&mut self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(py, id, Body::Ping)
    }

    /// Append `link.pong`.
    fn pong(&mut self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(py, id, Body::Pong)
    }

    /// Return what waits and empty the buffer: at most one run of all frames if framed, else one
    /// object for each envelope.
    fn take<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let taken = PyList::new(py, self.0.runs().map(|run| PyBytes::new(py, run)))?;
        self.0.clear();
        Ok(taken)
    }

    /// How many bytes wait to be taken.
    #[getter]
    fn pending(&self) -> usize {
        self.0.pending()
    }

    /// "json" or "msgpack".
    #[getter]
    fn format<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        format::name(py, self.0.format()).clone()
    }
}

impl Encoder {
    fn append(
        &mut self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        body: Body<'_>,
    ) -> PyResult<usize> {
        let id = text(id, "id")?;
        self.0
            .append(&Event { id, body })
            .map_err(|refusal| errors::refused(py, &refusal))
    }

    fn raw<'a>(&self, bytes: &'a [u8], format: Option<FormatName>) -> Raw<'a> {
        let format = self.format_or(format);
        Raw { bytes, format }
    }

    fn format_or(&self, given: Option<FormatName>) -> Format {
        given.map_or(self.0.format(), |given| given.0)
    }
}

/// Python's text, which may hold halves of characters that UTF-8 cannot.
fn text<'a>(given: &'a Bound<'_, PyString>, name: &str) -> PyResult<Text<'a>> {
    given.to_str().map(Text::from).map_err(|_| {
        let message = format!("{name} holds a lone surrogate, which no UTF-8 text can");
        errors::raise("LocalProtocolError", &message, None)
    })
}

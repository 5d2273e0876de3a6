//! The one error map: every refusal of the core becomes a class of `alknet.errors`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use alknet_core::envelope::{Malformed, Refused};
use alknet_core::frame::BadFrame;
use alknet_core::quic::Ending;
use alknet_core::random::NoRandomness;
use alknet_core::tls::Fault;
use alknet_core::vault::Error;
use alknet_core::vault::mnemonic::BadMnemonic;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Build `alknet.errors.<class>(message, details={key: value})`.
///
/// The classes live in Python, where `except` clauses name them; should the import itself fail,
/// that failure is what the caller sees.
#[cold]
pub(crate) fn raise(class: &str, message: &str, detail: Option<(&str, usize)>) -> PyErr {
    Python::attach(|py| {
        let build = || {
            let class = py.import("alknet.errors")?.getattr(class)?;
            let arguments = PyDict::new(py);
            if let Some((key, value)) = detail {
                let details = PyDict::new(py);
                details.set_item(key, value)?;
                arguments.set_item("details", details)?;
            }
            class.call((message,), Some(&arguments))
        };
        build().map_or_else(|failure: PyErr| failure, PyErr::from_value)
    })
}

/// Turn a refusal of the vault into its Python exception.
#[cold]
pub(crate) fn vault(error: impl Into<Error>) -> PyErr {
    let error = error.into();
    let (class, detail) = match &error {
        Error::Mnemonic(BadMnemonic::UnknownWord { position }) => {
            ("BadMnemonic", Some(("word", *position)))
        }
        Error::Mnemonic(_) => ("BadMnemonic", None),
        Error::Share(bad) => ("BadShare", bad.word().map(|position| ("word", position))),
        Error::Path(bad) => ("BadPath", Some(("position", bad.position))),
        Error::Key(_) => ("BadKey", None),
        Error::Ciphertext(_) => ("BadCiphertext", None),
        Error::Decryption(_) | Error::Passphrase(_) => ("DecryptionFailed", None),
        Error::Signature(_) => ("BadSignature", None),
        Error::Locked => ("Locked", None),
        Error::Input(_) => ("InvalidInput", None),
        Error::Randomness(_) => ("Unavailable", None),
        Error::Internal(_) => ("Internal", None),
    };
    raise(class, &error.to_string(), detail)
}

/// Build `alknet.errors.<class>(*arguments)`, for the classes that write their own sentence.
#[cold]
fn build<'py>(py: Python<'py>, class: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    py.import("alknet.errors")
        .and_then(|errors| errors.getattr(class)?.call1(arguments))
        .map_or_else(|failure| failure, PyErr::from_value)
}

/// Say what is wrong with an envelope that a peer sent.
#[cold]
pub(crate) fn malformed(py: Python<'_>, fault: &Malformed) -> PyErr {
    build(py, "MalformedEnvelope", (fault.reason(), fault.offset()))
}

/// Say what is wrong with a frame that a peer sent.
#[cold]
pub(crate) fn bad_frame(py: Python<'_>, fault: &BadFrame) -> PyErr {
    match fault {
        BadFrame::TooLarge { size, limit } => build(py, "FrameTooLarge", (*size, *limit)),
        BadFrame::Empty => build(py, "MalformedEnvelope", (fault.to_string(), 0)),
    }
}

/// Say why an envelope of ours cannot be sent.
#[cold]
pub(crate) fn refused(py: Python<'_>, refusal: &Refused) -> PyErr {
    build(py, "LocalProtocolError", (refusal.to_string(),))
}

/// Do the vault's *work*, and translate what it refuses.
///
/// Nothing in the core panics on purpose. Should it ever, the caller gets an `Internal` that an
/// `except Exception` catches, and not PyO3's `PanicException`, which flies past it.
pub(crate) fn run<T, E: Into<Error>>(work: impl FnOnce() -> Result<T, E>) -> PyResult<T> {
    contained("the vault", work).and_then(|result| result.map_err(vault))
}

/// Do the *work* of a TLS session, and translate why there is none; a panic is `Internal` too.
pub(crate) fn run_tls<T>(work: impl FnOnce() -> Result<T, Fault>) -> PyResult<T> {
    contained("TLS", work).and_then(|result| result.map_err(|fault| tls(&fault)))
}

/// Do the *work* of a QUIC endpoint, and translate why there is no connection; a panic as `run`.
pub(crate) fn run_quic<T>(work: impl FnOnce() -> Result<T, Ending>) -> PyResult<T> {
    contained("QUIC", work).and_then(|result| result.map_err(|ending| quic(&ending)))
}

/// Say why a connection is gone.
#[cold]
pub(crate) fn quic(ending: &Ending) -> PyErr {
    match ending {
        Ending::Tls(fault) => tls(fault),
        Ending::Refused => Python::attach(|py| build(py, "Unreachable", (ending.to_string(),))),
        _ => Python::attach(|py| build(py, "Disconnected", (ending.to_string(),))),
    }
}

/// Do the *work* of a WebSocket, which wants nothing but randomness; a panic is `Internal` too.
pub(crate) fn run_websocket<T>(work: impl FnOnce() -> Result<T, NoRandomness>) -> PyResult<T> {
    contained("the WebSocket", work).and_then(|result| result.map_err(vault))
}

fn contained<T>(what: &str, work: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let message = format!("{what} stopped half way; stderr says where");
        raise("Internal", &message, None)
    })
}

#[cold]
fn tls(fault: &Fault) -> PyErr {
    let class = match fault {
        Fault::Given(_) => "SettingsError",
        Fault::Untrusted(_) => "Refused",
        Fault::NoCertificate => "Locked",
        Fault::Broken(_) => "RemoteProtocolError",
    };
    Python::attach(|py| build(py, class, (fault.to_string(),)))
}

/// Say of *error* that it befell item *index* of a batch, in its `details`.
#[cold]
pub(crate) fn at_index(py: Python<'_>, error: PyErr, index: usize) -> PyErr {
    let details = PyDict::new(py);
    let told = details
        .set_item("index", index)
        .and_then(|()| error.value(py).setattr("details", details));
    told.err().unwrap_or(error)
}

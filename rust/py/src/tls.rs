//! TLS sessions.

use std::sync::{Arc, Mutex, PoisonError};

use alknet_core::tls;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Bytes;
use crate::errors;
use crate::register;
use crate::sign::ed25519::Ed25519Key;

/// A certificate and its key, for one end of a TLS connection to show.
#[pyclass(frozen, module = "alknet._core.tls")]
pub(crate) struct Certificate(pub(crate) tls::Certified);

#[pymethods]
impl Certificate {
    /// The self-signed certificate of *key*, always the same; the key stays where it is.
    ///
    /// Raises:
    ///     SettingsError: the keyring it came from was locked.
    #[staticmethod]
    fn of_key(key: &Ed25519Key) -> PyResult<Self> {
        errors::run_tls(|| tls::Certified::self_signed(Arc::clone(&key.0))).map(Self)
    }

    /// The certificates in the PEM text *chain*, the own one first, with the PEM *key* of that.
    ///
    /// Raises:
    ///     SettingsError: a text cannot be read, or the key is another certificate's.
    #[staticmethod]
    fn from_pem(chain: Bytes<'_>, key: Bytes<'_>) -> PyResult<Self> {
        errors::run_tls(|| tls::Certified::from_pem(&chain, &key)).map(Self)
    }

    /// The certificate itself, without those that vouch for it, as DER (RFC 5280).
    #[getter]
    fn der<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.chain().next().unwrap_or_default())
    }
}

/// Authorities whose certificates a client believes.
#[pyclass(frozen, module = "alknet._core.tls")]
pub(crate) struct Roots(pub(crate) tls::Roots);

#[pymethods]
impl Roots {
    /// The authorities in the PEM text *bundle*.
    ///
    /// Raises:
    ///     SettingsError: there is none that can be read.
    #[staticmethod]
    fn from_pem(bundle: Bytes<'_>) -> PyResult<Self> {
        errors::run_tls(|| tls::Roots::from_pem(&bundle)).map(Self)
    }
}

/// What a listener shows to whom: *named* by the name that the client asks for, else *own*.
///
/// It speaks one of *protocols* (RFC 7301), or, to a client that names none, whatever comes.
#[pyclass(frozen, module = "alknet._core.tls")]
pub(crate) struct Server(pub(crate) tls::Server);

#[pymethods]
impl Server {
    #[new]
    fn new(
        own: Option<&Certificate>,
        named: Vec<PyRef<'_, Certificate>>,
        protocols: Vec<Vec<u8>>,
    ) -> PyResult<Self> {
        let own = own.map(|each| each.0.clone());
        let named = named.iter().map(|each| each.0.clone()).collect();
        let protocols: Vec<&[u8]> = protocols.iter().map(Vec::as_slice).collect();
        errors::run_tls(|| tls::Server::new(own, named, &protocols)).map(Self)
    }

    /// The server's end of a connection that has just been accepted.
    fn accept(&self) -> PyResult<Session> {
        errors::run_tls(|| self.0.accept()).map(Session::of)
    }
}

/// One end of a TLS connection, without the connection: bytes in, bytes out.
#[pyclass(frozen, module = "alknet._core.tls")]
struct Session(Mutex<tls::Session>);

impl Session {
    fn of(session: tls::Session) -> Self {
        Self(Mutex::new(session))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut tls::Session) -> Result<T, tls::Fault>,
    ) -> PyResult<T> {
        let mut session = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        errors::run_tls(|| work(&mut session))
    }
}

#[pymethods]
impl Session {
    /// The client's end of a connection to the host called *name*, or with that IP address.
    ///
    /// It shows *own*, if the server asks. The server's certificate must be of the key with the
    /// fingerprint *expect*, or be vouched for by *roots*.
    ///
    /// Raises:
    ///     SettingsError: *name* is no name.
    #[staticmethod]
    fn connect(
        name: &str,
        own: Option<&Certificate>,
        expect: Option<String>,
        roots: Option<&Roots>,
        protocols: Vec<Vec<u8>>,
    ) -> PyResult<Self> {
        let own = own.map(|each| each.0.clone());
        let roots = roots.map(|each| each.0.clone());
        let protocols: Vec<&[u8]> = protocols.iter().map(Vec::as_slice).collect();
        errors::run_tls(|| tls::Session::connect(name, own, expect, roots, &protocols))
            .map(Self::of)
    }

    /// Read *data*, which the peer has sent; return what it says to us, which may be nothing.
    ///
    /// There may be something to `take` after that, after an error too.
    ///
    /// Raises:
    ///     Refused: the server's certificate is not trusted.
    ///     Locked: the server has none to show.
    ///     RemoteProtocolError: the peer breaks the protocol, or says that we do.
    fn feed<'py>(&self, py: Python<'py>, data: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let plain = self.with(|session| session.feed(&data))?;
        Ok(PyBytes::new(py, &plain))
    }

    /// Return what must be sent so that the peer reads *data*, and whatever else must be sent now.
    fn write<'py>(&self, py: Python<'py>, data: Bytes<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let out = self.with(|session| session.write(&data).and_then(|()| session.take()))?;
        Ok(PyBytes::new(py, &out))
    }

    /// Return what must be sent now.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let out = self.with(tls::Session::take)?;
        Ok(PyBytes::new(py, &out))
    }

    /// Return what must be sent so that the peer knows that nothing will follow.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let out = self.with(|session| {
            session.finish();
            session.take()
        })?;
        Ok(PyBytes::new(py, &out))
    }

    /// Whether the two have not yet agreed on keys.
    #[getter]
    fn is_handshaking(&self) -> PyResult<bool> {
        self.with(|session| Ok(session.is_handshaking()))
    }

    /// Whether the peer has said that nothing will follow; without that, an end is a cut.
    #[getter]
    fn has_ended(&self) -> PyResult<bool> {
        self.with(|session| Ok(session.has_ended()))
    }

    /// The Ed25519 key, 32 bytes, that the peer has proven to hold; None if it has shown none.
    #[getter]
    fn peer_key<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let key = self.with(|session| Ok(session.peer_key()))?;
        Ok(key.map(|key| PyBytes::new(py, &key)))
    }
}

/// Register `alknet._core.tls`.
pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "tls")?;
    module.add_class::<Certificate>()?;
    module.add_class::<Roots>()?;
    module.add_class::<Server>()?;
    module.add_class::<Session>()?;
    register::submodule(parent, &module)
}

//! QUIC endpoints.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alknet_core::quic::{self, Datagram, Event, Transmit};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::buffer::Bytes;
use crate::errors;
use crate::register;
use crate::tls::{Certificate, Roots, Server};

/// All the connections of one UDP socket, without the socket: datagrams in, datagrams out.
///
/// *protocols* are those it speaks (RFC 7301); a peer that says nothing for *silence* seconds is
/// gone. Times are seconds on a clock that does not go back; addresses are those of `socket`.
/// After anything else: `poll`, then `flush`.
#[pyclass(frozen, module = "alknet._core.quic")]
struct Endpoint(Mutex<quic::Endpoint>);

impl Endpoint {
    fn lock(&self) -> MutexGuard<'_, quic::Endpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Endpoint {
    #[new]
    #[pyo3(signature = (now, *, protocols, silence, listens))]
    fn new(now: f64, protocols: Vec<Vec<u8>>, silence: f64, listens: bool) -> PyResult<Self> {
        let silence = Duration::try_from_secs_f64(silence)
            .map_err(|why| PyValueError::new_err(why.to_string()))?;
        let settings = quic::Settings { protocols, silence };
        errors::run_tls(|| quic::Endpoint::new(settings, listens, now))
            .map(|endpoint| Self(Mutex::new(endpoint)))
    }

    /// Begin a connection to the host called *name*, at *address*; return its number.
    ///
    /// It shows *own*, if the server asks. The server's certificate must be of the key with the
    /// fingerprint *expect*, or be vouched for by *roots*.
    ///
    /// Raises:
    ///     SettingsError: *name* is no name, or *address* none that can be dialled.
    fn connect(
        &self,
        now: f64,
        address: &Bound<'_, PyTuple>,
        name: &str,
        own: Option<&Certificate>,
        expect: Option<String>,
        roots: Option<&Roots>,
    ) -> PyResult<u64> {
        let to = (parsed(address)?, name);
        let own = own.map(|each| each.0.clone());
        let roots = roots.map(|each| each.0.clone());
        errors::run_tls(|| self.lock().connect(now, to, own, expect, roots))
    }

    /// Take *data* from *address*: one datagram, or several, each but the last of *stride* bytes.
    ///
    /// *local* is the address of ours that it was sent to, if known, and *ecn* the bits of RFC 3168.
    fn feed(
        &self,
        now: f64,
        data: Bytes<'_>,
        address: &Bound<'_, PyTuple>,
        stride: usize,
        ecn: u8,
        local: Option<&str>,
    ) -> PyResult<()> {
        let datagram = Datagram {
            data: &data,
            stride,
            remote: parsed(address)?,
            local: local.map(host).transpose()?,
            ecn,
        };
        self.lock().feed(now, datagram);
        Ok(())
    }

    /// Go on with who knocks as *number*, showing what *server* shows.
    ///
    /// Raises:
    ///     Disconnected: what he sent is none of QUIC's, or he has been waited for too long.
    fn accept(&self, now: f64, number: u64, server: &Server) -> PyResult<()> {
        errors::run_quic(|| self.lock().accept(now, number, &server.0))
    }

    /// Send who knocks as *number* away, if he still does.
    fn refuse(&self, number: u64) {
        self.lock().refuse(number);
    }

    /// Let the timers run that are due; return what has happened since: (what, number, detail).
    ///
    /// "knocked" is told with the address, "lost" with the error that says why, "connected" with
    /// None, and "opened", "readable", "writable" and "finished" with the stream.
    fn poll<'py>(&self, py: Python<'py>, now: f64) -> PyResult<Bound<'py, PyList>> {
        let events = self.lock().poll(now);
        let told = PyList::empty(py);
        for event in events {
            told.append(match event {
                Event::Knocked(id, from) => ("knocked", id, written(py, from)?.into_any()),
                Event::Connected(id) => ("connected", id, py.None().into_bound(py)),
                Event::Opened(id, stream) => ("opened", id, stream.into_pyobject(py)?.into_any()),
                Event::Readable(id, stream) => {
                    ("readable", id, stream.into_pyobject(py)?.into_any())
                }
                Event::Writable(id, stream) => {
                    ("writable", id, stream.into_pyobject(py)?.into_any())
                }
                Event::Finished(id, stream) => {
                    ("finished", id, stream.into_pyobject(py)?.into_any())
                }
                Event::Lost(id, ending) => (
                    "lost",
                    id,
                    errors::quic(&ending)
                        .into_value(py)
                        .into_bound(py)
                        .into_any(),
                ),
            })?;
        }
        Ok(told)
    }

    /// Return what must be sent, and when to come back if nothing happens before.
    ///
    /// It is (data, address, stride, ecn, local) each, as `feed` takes it, of at most *segments*
    /// datagrams.
    fn flush<'py>(
        &self,
        py: Python<'py>,
        now: f64,
        segments: usize,
    ) -> PyResult<(Bound<'py, PyList>, Option<f64>)> {
        let out = PyList::empty(py);
        let mut outcome = Ok(());
        let next = self.lock().flush(now, segments, |each| {
            if outcome.is_ok() {
                outcome = packed(py, &each).and_then(|each| out.append(each));
            }
        });
        outcome.map(|()| (out, next))
    }

    /// Open a stream on which both may speak; None if the peer allows no more of them now.
    fn open(&self, number: u64) -> Option<u64> {
        self.lock().open(number)
    }

    /// Open a stream on which we alone speak; None if the peer allows no more of them now.
    fn open_one_way(&self, number: u64) -> Option<u64> {
        self.lock().open_one_way(number)
    }

    /// Return what has arrived on *stream*, about *most* bytes of it: None if nothing has, `b""` at
    /// its end.
    ///
    /// Raises:
    ///     Disconnected: the connection was released, or the peer has given the stream up.
    fn read<'py>(
        &self,
        py: Python<'py>,
        number: u64,
        stream: u64,
        most: usize,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(pieces) = errors::run_quic(|| self.lock().read(number, stream, most))? else {
            return Ok(None);
        };
        let size = pieces.iter().map(|piece| piece[..].len()).sum();
        PyBytes::new_with(py, size, |mut out| {
            for piece in pieces {
                let (here, rest) = out.split_at_mut(piece.len());
                here.copy_from_slice(&piece);
                out = rest;
            }
            Ok(())
        })
        .map(Some)
    }

    /// Have *data*, from *start* on, sent on *stream*; return how many bytes of it were taken.
    ///
    /// Raises:
    ///     Disconnected: the connection was released, or the peer wants to hear no more.
    fn write(&self, number: u64, stream: u64, data: Bytes<'_>, start: usize) -> PyResult<usize> {
        let rest = data.get(start..).unwrap_or_default();
        errors::run_quic(|| self.lock().write(number, stream, rest))
    }

    /// Say that nothing will follow on *stream*; return whether "finished" will.
    fn finish(&self, number: u64, stream: u64) -> bool {
        self.lock().finish(number, stream)
    }

    /// Close the connection at once; what is not acknowledged may be lost.
    fn close(&self, now: f64, number: u64, code: u32, reason: &str) {
        self.lock().close(now, number, code, reason);
    }

    /// Forget the connection as soon as the protocol allows; do not ask for it again.
    fn release(&self, number: u64) {
        self.lock().release(number);
    }

    /// Return the Ed25519 key, 32 bytes, that the peer has proven to hold; None if it has shown none.
    fn peer_key<'py>(&self, py: Python<'py>, number: u64) -> Option<Bound<'py, PyBytes>> {
        self.lock()
            .peer_key(number)
            .map(|key| PyBytes::new(py, &key))
    }

    /// Return how many seconds a datagram takes to the peer and back, 0 if that is not known.
    fn round_trip(&self, number: u64) -> f64 {
        self.lock().round_trip(number).unwrap_or_default()
    }

    /// Return where the peer is now, and how many bytes a datagram to it may have.
    ///
    /// Raises:
    ///     ValueError: the connection was released.
    fn path<'py>(&self, py: Python<'py>, number: u64) -> PyResult<(Bound<'py, PyTuple>, u16)> {
        let (remote, mtu) = self
            .lock()
            .path(number)
            .ok_or_else(|| PyValueError::new_err("the connection was released"))?;
        Ok((written(py, remote)?, mtu))
    }

    /// How often the library has panicked; each time one connection or datagram was given up.
    #[getter]
    fn panics(&self) -> u64 {
        self.lock().panics()
    }
}

/// The address that `socket` writes as *address*: (host, port), and for IPv6 (..., flow, scope).
fn parsed(address: &Bound<'_, PyTuple>) -> PyResult<SocketAddr> {
    let port = address.get_item(1)?.extract()?;
    Ok(match host(address.get_item(0)?.extract()?)? {
        IpAddr::V6(ip) if address.len() > 3 => {
            SocketAddrV6::new(ip, port, 0, address.get_item(3)?.extract()?).into()
        }
        ip => SocketAddr::new(ip, port),
    })
}

fn host(text: &str) -> PyResult<IpAddr> {
    // What is behind a `%` stands in the address as a number too.
    let text = text.split_once('%').map_or(text, |(host, _)| host);
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{text:?} is no IP address")))
}

fn written(py: Python<'_>, address: SocketAddr) -> PyResult<Bound<'_, PyTuple>> {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_string(), v4.port()).into_pyobject(py),
        SocketAddr::V6(v6) => {
            (v6.ip().to_string(), v6.port(), 0u32, v6.scope_id()).into_pyobject(py)
        }
    }
}

fn packed<'py>(py: Python<'py>, each: &Transmit<'_>) -> PyResult<Bound<'py, PyTuple>> {
    let local = each.local.map(|local| local.to_string());
    let data = PyBytes::new(py, each.data);
    (
        data,
        written(py, each.remote)?,
        each.stride,
        each.ecn,
        local,
    )
        .into_pyobject(py)
}

/// Register `alknet._core.quic`.
pub(crate) fn init(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "quic")?;
    module.add_class::<Endpoint>()?;
    register::submodule(parent, &module)
}

//! One connection: its machine, and what is to be done about it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{
    ConnectionHandle, Dir, FinishError, ReadError, ReadableError, StreamId, VarInt, WriteError,
};
use rustls::pki_types::CertificateDer;

use crate::sign::ed25519::KEY_BYTES;
use crate::tls::{ServerTrust, ed25519_key};

/// The library panicked; its words are on stderr.
pub(super) struct Panicked;

/// Do *work* of the library, which may panic over what a stranger sent.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Why a stream can be neither read nor written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed;

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a list that it is on, or a party that is done with it"
)]
pub(super) struct Connection {
    pub(super) handle: ConnectionHandle,
    pub(super) machine: quinn_proto::Connection,
    pub(super) trust: Option<Arc<ServerTrust>>,
    /// When its next timer is due, as the endpoint has noted it.
    pub(super) due: Option<Instant>,
    /// Whether it is in the endpoint's lists of those with news, and with datagrams to send.
    pub(super) has_news: bool,
    pub(super) has_output: bool,
    /// Whether it counts among those who have not proven who they are.
    pub(super) is_half_open: bool,
    /// Nothing will come of it any more; what was received can still be read.
    pub(super) is_drained: bool,
    /// Nobody will ask for it any more.
    pub(super) is_released: bool,
}

impl Connection {
    pub(super) fn new(
        handle: ConnectionHandle,
        machine: quinn_proto::Connection,
        trust: Option<Arc<ServerTrust>>,
    ) -> Self {
        Self {
            handle,
            machine,
            is_half_open: trust.is_none(),
            trust,
            due: None,
            has_news: false,
            has_output: false,
            is_drained: false,
            is_released: false,
        }
    }

    /// What has arrived on *stream*, up to *most* bytes and a packet: None if nothing has, nothing
    /// at all at the end of the stream.
    pub(super) fn read(
        &mut self,
        stream: u64,
        most: usize,
    ) -> Result<(Option<Vec<Bytes>>, bool), Closed> {
        let mut stream = self.machine.recv_stream(id(stream));
        let mut chunks = match stream.read(true) {
            Ok(chunks) => chunks,
            // Read to its end before.
            Err(ReadableError::ClosedStream) => return Ok((Some(Vec::new()), false)),
            Err(ReadableError::IllegalOrderedRead) => return Err(Closed),
        };
        let (mut found, mut size) = (Vec::new(), 0);
        let outcome = loop {
            if size >= most {
                break Ok(());
            }
            match chunks.next(most - size) {
                Ok(Some(chunk)) => {
                    size += chunk.bytes.len();
                    found.push(chunk.bytes);
                }
                Err(ReadError::Blocked) if found.is_empty() => return Ok((None, false)),
                Ok(None) | Err(ReadError::Blocked) => break Ok(()),
                Err(ReadError::Reset(_)) => break Err(Closed),
            }
        };
        let makes_room = chunks.finalize().should_transmit();
        outcome.map(|()| (Some(found), makes_room))
    }

    /// How many bytes of *data* were taken, to be sent on *stream*.
    pub(super) fn write(&mut self, stream: u64, data: &[u8]) -> Result<usize, Closed> {
        match self.machine.send_stream(id(stream)).write(data) {
            Ok(taken) => Ok(taken),
            Err(WriteError::Blocked) => Ok(0),
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => Err(Closed),
        }
    }

    /// Say that nothing will follow on *stream*; whether that will be acknowledged.
    pub(super) fn finish(&mut self, stream: u64) -> bool {
        match self.machine.send_stream(id(stream)).finish() {
            Ok(()) => true,
            Err(FinishError::Stopped(_) | FinishError::ClosedStream) => false,
        }
    }

    pub(super) fn open(&mut self, direction: Dir) -> Option<u64> {
        self.machine.streams().open(direction).map(u64::from)
    }

    /// The Ed25519 key that the peer has proven to hold, if its certificate is of one.
    pub(super) fn peer_key(&self) -> Option<[u8; KEY_BYTES]> {
        if self.machine.is_handshaking() {
            return None;
        }
        let identity = self.machine.crypto_session().peer_identity()?;
        let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        ed25519_key(chain.first()?)
    }
}

fn id(stream: u64) -> StreamId {
    VarInt::from_u64(stream).unwrap_or(VarInt::MAX).into()
}

//! What goes on behind one UDP socket.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::take;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto as quic;
use quinn_proto::{
    ConnectionHandle, DatagramEvent, Dir, EcnCodepoint, EndpointConfig, EndpointEvent, Incoming,
    StreamEvent, TransportConfig, VarInt,
};

use super::Ending;
use super::connection::{Connection, Panicked, contained};
use super::settings::{self, Settings};
use crate::sign::ed25519::KEY_BYTES;
use crate::tls::{Certified, Client, Fault, Roots, Server};

/// While so many have not proven who they are, whoever knocks proves first that he is at the address
/// that he writes from (RFC 9000, section 8.1.2).
const RETRY_ABOVE: usize = 32;
/// And while so many have not, nobody else is heard.
const MOST_HALF_OPEN: usize = 1024;
/// No datagram of IPv4 or IPv6 holds more; so much is sent at a time where the kernel cuts it up.
const MOST_BYTES: usize = 65_000;

/// A connection of an endpoint, or somebody who wants to be one; never used twice.
pub type Id = u64;

/// What has arrived: one datagram, or several of the same sender, each but the last of *stride* bytes.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'d> {
    /// The payload.
    pub data: &'d [u8],
    /// Bytes of each datagram in it; 0 if it is one.
    pub stride: usize,
    /// Where it came from.
    pub remote: SocketAddr,
    /// The address of ours that it was sent to, if that is known.
    pub local: Option<IpAddr>,
    /// The bits of RFC 3168.
    pub ecn: u8,
}

/// What must be sent: as a [`Datagram`].
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'d> {
    /// The payload.
    pub data: &'d [u8],
    /// Bytes of each datagram in it; 0 if it is one.
    pub stride: usize,
    /// Where it goes.
    pub remote: SocketAddr,
    /// The address of ours that it must come from, if that matters.
    pub local: Option<IpAddr>,
    /// The bits of RFC 3168.
    pub ecn: u8,
}

impl<'d> Transmit<'d> {
    fn of(transmit: &quic::Transmit, buffer: &'d [u8]) -> Self {
        Self {
            data: &buffer[..transmit.size],
            stride: transmit.segment_size.unwrap_or(0),
            remote: transmit.destination,
            local: transmit.src_ip,
            ecn: transmit.ecn.map_or(0, |ecn| ecn as u8),
        }
    }
}

/// What has happened; streams are named by their number (RFC 9000, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody at that address wants to be let in: `accept` or `refuse` him.
    Knocked(Id, SocketAddr),
    /// Both ends have proven who they are, the peer as far as it wants to.
    Connected(Id),
    /// The peer has opened a stream, on which something may be to be read.
    Opened(Id, u64),
    /// There may be something to be read, or the end.
    Readable(Id, u64),
    /// There may be room to write, or the peer wants no more.
    Writable(Id, u64),
    /// The peer has acknowledged all that was written, and the end.
    Finished(Id, u64),
    /// The connection is gone; what has arrived can still be read, until it is released.
    Lost(Id, Ending),
}

/// All connections of one UDP socket. Times are seconds on a clock that does not go back.
///
/// After anything else: `poll`, then `flush`.
pub struct Endpoint {
    machine: quic::Endpoint,
    settings: Settings,
    transport: Arc<TransportConfig>,
    connections: HashMap<Id, Connection>,
    ids: HashMap<ConnectionHandle, Id>,
    knocking: BTreeMap<Id, Incoming>,
    next_id: Id,
    half_open: usize,
    due: BTreeSet<(Instant, Id)>,
    news: Vec<Id>,
    output: Vec<Id>,
    events: Vec<Event>,
    responses: Vec<(quic::Transmit, Vec<u8>)>,
    buffer: Vec<u8>,
    epoch: (Instant, f64),
    panics: u64,
}

impl Endpoint {
    /// An endpoint that dials, and, if it *listens*, takes connections too.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn new(settings: Settings, listens: bool, now: f64) -> Result<Self, Fault> {
        let transport = settings.transport();
        let server = if listens {
            // It shows nothing: whoever is accepted is shown what there is then.
            let nobody = Server::new(None, Vec::new(), &settings.protocols())?;
            Some(Arc::new(settings::server(&nobody, &transport)?))
        } else {
            None
        };
        let config = Arc::new(EndpointConfig::default());
        Ok(Self {
            machine: quic::Endpoint::new(config, server, true, None),
            settings,
            transport,
            connections: HashMap::new(),
            ids: HashMap::new(),
            knocking: BTreeMap::new(),
            next_id: 0,
            half_open: 0,
            due: BTreeSet::new(),
            news: Vec::new(),
            output: Vec::new(),
            events: Vec::new(),
            responses: Vec::new(),
            buffer: Vec::new(),
            epoch: (Instant::now(), now),
            panics: 0,
        })
    }

    /// How often the library has panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics
    }

    /// Begin a connection to the host called *name*, at *remote*.
    ///
    /// It shows *own*, if the server asks. The server's certificate must be of the key with the
    /// fingerprint *expect*, or be vouched for by *roots*.
    ///
    /// # Errors
    /// *name* is no name, or *remote* no address that can be dialled.
    pub fn connect(
        &mut self,
        now: f64,
        (remote, name): (SocketAddr, &str),
        own: Option<Certified>,
        expect: Option<String>,
        roots: Option<Roots>,
    ) -> Result<Id, Fault> {
        let client = Client::new(own, expect, roots, &self.settings.protocols())?;
        let config = settings::client(&client, &self.transport)?;
        let (handle, machine) = self
            .machine
            .connect(self.at(now), config, remote, name)
            .map_err(|why| Fault::Given(why.to_string()))?;
        let id = self.fresh();
        self.join(id, Connection::new(handle, machine, Some(client.trust)));
        Ok(id)
    }

    /// Take what has arrived.
    pub fn feed(&mut self, now: f64, datagram: Datagram<'_>) {
        let now = self.at(now);
        let stride = match datagram.stride {
            0 => datagram.data.len().max(1),
            stride => stride,
        };
        for data in datagram.data.chunks(stride) {
            self.feed_one(now, data, &datagram);
        }
    }

    fn feed_one(&mut self, now: Instant, data: &[u8], datagram: &Datagram<'_>) {
        let ecn = EcnCodepoint::from_bits(datagram.ecn);
        let (remote, local) = (datagram.remote, datagram.local);
        self.buffer.clear();
        let (machine, buffer) = (&mut self.machine, &mut self.buffer);
        let handled =
            contained(|| machine.handle(now, remote, local, ecn, BytesMut::from(data), buffer));
        match handled {
            Ok(Some(DatagramEvent::ConnectionEvent(handle, event))) => {
                if let Some(&id) = self.ids.get(&handle) {
                    self.with(id, |machine| machine.handle_event(event));
                    self.has_news(id);
                }
            }
            Ok(Some(DatagramEvent::NewConnection(incoming))) => self.knocked(incoming),
            Ok(Some(DatagramEvent::Response(transmit))) => self.respond(transmit),
            Ok(None) => {}
            Err(Panicked) => self.panics += 1,
        }
    }

    fn knocked(&mut self, incoming: Incoming) {
        let waiting = self.half_open + self.knocking.len();
        if waiting >= MOST_HALF_OPEN {
            self.machine.ignore(incoming);
        } else if waiting >= RETRY_ABOVE && !incoming.remote_address_validated() {
            self.buffer.clear();
            match self.machine.retry(incoming, &mut self.buffer) {
                Ok(transmit) => self.respond(transmit),
                Err(already) => self.machine.ignore(already.into_incoming()),
            }
        } else {
            let id = self.fresh();
            self.events
                .push(Event::Knocked(id, incoming.remote_address()));
            self.knocking.insert(id, incoming);
        }
    }

    /// Go on with who knocks, showing what *server* shows; the id is that of the connection now.
    ///
    /// # Errors
    /// What he sent is none of QUIC's, or he has been waited for too long.
    pub fn accept(&mut self, now: f64, id: Id, server: &Server) -> Result<(), Ending> {
        let now = self.at(now);
        let gone = || Ending::Broken("nobody waits to be let in".into());
        let incoming = self.knocking.remove(&id).ok_or_else(gone)?;
        let config = settings::server(server, &self.transport).map_err(Ending::Tls)?;
        self.buffer.clear();
        let (machine, buffer) = (&mut self.machine, &mut self.buffer);
        match contained(|| {
            let accepted = machine.accept(incoming, now, buffer, Some(Arc::new(config)));
            accepted.map_err(Box::new)
        }) {
            Ok(Ok((handle, machine))) => {
                self.half_open += 1;
                self.join(id, Connection::new(handle, machine, None));
                Ok(())
            }
            Ok(Err(refused)) => {
                if let Some(transmit) = refused.response {
                    self.respond(transmit);
                }
                Err(Ending::of(&refused.cause, None))
            }
            Err(Panicked) => {
                self.panics += 1;
                Err(Ending::Panicked)
            }
        }
    }

    /// Send who knocks away, if he still does.
    pub fn refuse(&mut self, id: Id) {
        if let Some(incoming) = self.knocking.remove(&id) {
            self.buffer.clear();
            let transmit = self.machine.refuse(incoming, &mut self.buffer);
            self.respond(transmit);
        }
    }

    /// Let the timers run that are due, and return what has happened since the last time.
    pub fn poll(&mut self, now: f64) -> Vec<Event> {
        let now = self.at(now);
        while let Some(&(at, id)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.due = None;
            }
            self.with(id, |machine| machine.handle_timeout(now));
            self.has_news(id);
        }
        for id in take(&mut self.news) {
            self.hear(id);
        }
        take(&mut self.events)
    }

    /// Hand what must be sent to *sink*, at most *segments* datagrams at a time; return when to come
    /// back if nothing happens before.
    pub fn flush(
        &mut self,
        now: f64,
        segments: usize,
        mut sink: impl FnMut(Transmit<'_>),
    ) -> Option<f64> {
        for (transmit, data) in take(&mut self.responses) {
            sink(Transmit::of(&transmit, &data));
        }
        let at = self.at(now);
        for id in take(&mut self.output) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.has_output = false;
            }
            let mut buffer = take(&mut self.buffer);
            self.with(id, |machine| {
                let most = segments.min(MOST_BYTES / usize::from(machine.current_mtu()));
                loop {
                    buffer.clear();
                    match machine.poll_transmit(at, most.max(1), &mut buffer) {
                        Some(transmit) => sink(Transmit::of(&transmit, &buffer)),
                        None => break,
                    }
                }
            });
            self.buffer = buffer;
            self.note_due(id);
        }
        let (next, _) = self.due.first()?;
        Some(self.epoch.1 + next.saturating_duration_since(self.epoch.0).as_secs_f64())
    }

    // Connections.

    /// Open a stream on which both may speak; None if the peer allows no more of them now.
    pub fn open(&mut self, id: Id) -> Option<u64> {
        self.of(id, |connection| connection.open(Dir::Bi)).flatten()
    }

    /// Open a stream on which we alone speak; None if the peer allows no more of them now.
    pub fn open_one_way(&mut self, id: Id) -> Option<u64> {
        self.of(id, |connection| connection.open(Dir::Uni))
            .flatten()
    }

    /// Return what has arrived on *stream*, up to *most* bytes: None if nothing has, and nothing at
    /// all at its end.
    ///
    /// # Errors
    /// The connection is unknown, or the peer has given the stream up.
    pub fn read(&mut self, id: Id, stream: u64, most: usize) -> Result<Option<Vec<Bytes>>, Ending> {
        let read = self.of(id, |connection| connection.read(stream, most));
        let (found, makes_room) = read.ok_or_else(unknown)?.map_err(|_| given_up())?;
        if makes_room {
            self.has_output(id);
        }
        Ok(found)
    }

    /// Have *data* sent on *stream*; return how many bytes of it were taken.
    ///
    /// # Errors
    /// The connection is unknown, or the peer wants to hear no more.
    pub fn write(&mut self, id: Id, stream: u64, data: &[u8]) -> Result<usize, Ending> {
        let taken = self
            .of(id, |connection| connection.write(stream, data))
            .ok_or_else(unknown)?
            .map_err(|_| given_up())?;
        self.has_output(id);
        Ok(taken)
    }

    /// Say that nothing will follow on *stream*; return whether `Finished` will.
    pub fn finish(&mut self, id: Id, stream: u64) -> bool {
        let finishes = self.of(id, |connection| connection.finish(stream));
        self.has_output(id);
        finishes.unwrap_or(false)
    }

    /// Close the connection at once; what is not acknowledged may be lost.
    pub fn close(&mut self, now: f64, id: Id, code: u32, reason: &str) {
        let (now, reason) = (self.at(now), Bytes::copy_from_slice(reason.as_bytes()));
        self.with(id, |machine| {
            machine.close(now, VarInt::from_u32(code), reason);
        });
        self.has_news(id);
    }

    /// Forget the connection as soon as the protocol allows; nobody will ask for it.
    pub fn release(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_released = true;
            if connection.is_drained {
                self.connections.remove(&id);
            }
        }
    }

    /// The Ed25519 key that the peer has proven to hold, if its certificate is of one.
    #[must_use]
    pub fn peer_key(&self, id: Id) -> Option<[u8; KEY_BYTES]> {
        self.connections.get(&id)?.peer_key()
    }

    /// The time, in seconds, that a datagram takes to the peer and back, as was measured.
    #[must_use]
    pub fn round_trip(&self, id: Id) -> Option<f64> {
        Some(self.connections.get(&id)?.machine.rtt().as_secs_f64())
    }

    /// Where the peer is now, and how many bytes a datagram to it may have.
    #[must_use]
    pub fn path(&self, id: Id) -> Option<(SocketAddr, u16)> {
        let machine = &self.connections.get(&id)?.machine;
        Some((machine.remote_address(), machine.current_mtu()))
    }

    // Within.

    fn at(&self, now: f64) -> Instant {
        let (epoch, start) = self.epoch;
        epoch + Duration::try_from_secs_f64(now - start).unwrap_or_default()
    }

    fn fresh(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    fn join(&mut self, id: Id, connection: Connection) {
        self.ids.insert(connection.handle, id);
        self.connections.insert(id, connection);
        self.has_news(id);
    }

    fn respond(&mut self, transmit: quic::Transmit) {
        self.responses.push((transmit, take(&mut self.buffer)));
    }

    fn has_news(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id) {
            if !connection.has_news {
                connection.has_news = true;
                self.news.push(id);
            }
            self.has_output(id);
        }
    }

    fn has_output(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !connection.has_output
        {
            connection.has_output = true;
            self.output.push(id);
        }
    }

    fn note_due(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let due = (!connection.is_drained)
                .then(|| connection.machine.poll_timeout())
                .flatten();
            if due != connection.due {
                if let Some(before) = connection.due {
                    self.due.remove(&(before, id));
                }
                if let Some(due) = due {
                    self.due.insert((due, id));
                }
                connection.due = due;
            }
        }
    }

    fn of<T>(&mut self, id: Id, work: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let connection = self.connections.get_mut(&id)?;
        let done = contained(|| work(connection));
        if done.is_err() {
            self.broke(id);
        }
        done.ok()
    }

    fn with<T>(&mut self, id: Id, work: impl FnOnce(&mut quic::Connection) -> T) -> Option<T> {
        self.of(id, |connection| work(&mut connection.machine))
    }

    /// Hear what the connection has to tell us and the endpoint.
    fn hear(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.has_news = false;
        let (machine, events) = (&mut self.machine, &mut self.events);
        let half_open = &mut self.half_open;
        if contained(|| tell(id, connection, machine, events, half_open)).is_err() {
            self.broke(id);
        } else if connection.is_drained {
            self.ids.remove(&connection.handle);
            if let Some(due) = connection.due.take() {
                self.due.remove(&(due, id));
            }
            if connection.is_released {
                self.connections.remove(&id);
            }
        }
    }

    /// Bury the connection over which the library has panicked; the others never hear of it.
    fn broke(&mut self, id: Id) {
        self.panics += 1;
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if let Some(due) = connection.due {
            self.due.remove(&(due, id));
        }
        self.half_open -= usize::from(connection.is_half_open);
        let handle = connection.handle;
        let machine = &mut self.machine;
        let buried = contained(|| {
            drop(connection);
            machine.handle_event(handle, EndpointEvent::drained());
        });
        self.panics += u64::from(buried.is_err());
        self.ids.remove(&handle);
        self.events.push(Event::Lost(id, Ending::Panicked));
    }
}

fn tell(
    id: Id,
    connection: &mut Connection,
    endpoint: &mut quic::Endpoint,
    events: &mut Vec<Event>,
    half_open: &mut usize,
) {
    while let Some(event) = connection.machine.poll_endpoint_events() {
        connection.is_drained |= event.is_drained();
        if let Some(answer) = endpoint.handle_event(connection.handle, event) {
            connection.machine.handle_event(answer);
        }
    }
    while let Some(event) = connection.machine.poll() {
        match event {
            quic::Event::Connected => {
                *half_open -= usize::from(take(&mut connection.is_half_open));
                events.push(Event::Connected(id));
            }
            quic::Event::ConnectionLost { reason } => {
                let ending = Ending::of(&reason, connection.trust.as_deref());
                events.push(Event::Lost(id, ending));
            }
            quic::Event::Stream(StreamEvent::Opened { dir }) => {
                while let Some(stream) = connection.machine.streams().accept(dir) {
                    events.push(Event::Opened(id, stream.into()));
                }
            }
            quic::Event::Stream(StreamEvent::Readable { id: stream }) => {
                events.push(Event::Readable(id, stream.into()));
            }
            quic::Event::Stream(
                StreamEvent::Writable { id: stream } | StreamEvent::Stopped { id: stream, .. },
            ) => events.push(Event::Writable(id, stream.into())),
            quic::Event::Stream(StreamEvent::Finished { id: stream }) => {
                events.push(Event::Finished(id, stream.into()));
            }
            _ => {}
        }
    }
    if connection.is_drained || connection.machine.is_closed() {
        *half_open -= usize::from(take(&mut connection.is_half_open));
    }
}

fn unknown() -> Ending {
    Ending::Broken("it was closed".into())
}

fn given_up() -> Ending {
    Ending::Broken("the far end has given the stream up".into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! Two endpoints without sockets, and all the time that they need.

use std::any::Any;
use std::net::Ipv4Addr;

use quinn_proto::congestion::{Controller, ControllerFactory};

use super::*;
use crate::secret::Shelter;
use crate::sign::ed25519::PrivateKey;
use crate::sign::ssh;

const NEAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 1000);
const FAR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 2000);

fn key(seed: u8) -> Arc<PrivateKey> {
    Arc::new(PrivateKey::new(Shelter::of_the_process(), &[seed; 32]).expect("it is open"))
}

fn shown(seed: u8) -> Certified {
    Certified::self_signed(key(seed)).expect("the key signs")
}

fn endpoint(listens: bool) -> Endpoint {
    let settings = Settings {
        protocols: vec![b"alknet/call".to_vec()],
        silence: Duration::from_secs(30),
    };
    Endpoint::new(settings, listens, 0.0).expect("it is good")
}

/// Two endpoints, whose datagrams arrive at once, and what each was told.
struct Pair {
    near: Endpoint,
    far: Endpoint,
    near_events: Vec<Event>,
    far_events: Vec<Event>,
    now: f64,
}

impl Pair {
    fn new() -> Self {
        Self {
            near: endpoint(false),
            far: endpoint(true),
            near_events: Vec::new(),
            far_events: Vec::new(),
            now: 0.0,
        }
    }

    fn dial(&mut self) -> Id {
        let pin = ssh::fingerprint(key(2).public_key());
        self.near
            .connect(self.now, (FAR, "far"), Some(shown(1)), Some(pin), None)
            .expect("the name is one")
    }

    /// Let the two talk until both have nothing more to say.
    fn talk(&mut self) {
        loop {
            self.now += 0.001;
            let out = sent(&mut self.near, self.now, &mut self.near_events);
            for data in &out {
                self.far.feed(self.now, datagram(data, NEAR));
            }
            let back = sent(&mut self.far, self.now, &mut self.far_events);
            for data in &back {
                self.near.feed(self.now, datagram(data, FAR));
            }
            let nobody = Server::new(Some(shown(2)), Vec::new(), &[b"alknet/call"]);
            let server = nobody.expect("it is good");
            let knocking: Vec<Id> = self.far.knocking.keys().copied().collect();
            for id in &knocking {
                self.far.accept(self.now, *id, &server).expect("he is good");
            }
            if out.is_empty() && back.is_empty() && knocking.is_empty() {
                return;
            }
        }
    }

    /// Connect, and return the connection's id at either end.
    fn connected(&mut self) -> (Id, Id) {
        let near = self.dial();
        self.talk();
        assert!(self.near_events.contains(&Event::Connected(near)));
        let far = self.far_events.iter().rev().find_map(|event| match event {
            Event::Connected(id) => Some(*id),
            _ => None,
        });
        (near, far.expect("it is connected"))
    }
}

fn sent(endpoint: &mut Endpoint, now: f64, events: &mut Vec<Event>) -> Vec<Vec<u8>> {
    events.extend(endpoint.poll(now));
    let mut out = Vec::new();
    endpoint.flush(now, 1, |transmit| out.push(transmit.data.to_vec()));
    out
}

fn datagram(data: &[u8], remote: SocketAddr) -> Datagram<'_> {
    Datagram {
        data,
        stride: 0,
        remote,
        local: None,
        ecn: 0,
    }
}

fn all(pieces: Option<Vec<Bytes>>) -> Option<Vec<u8>> {
    pieces.map(|pieces| pieces.concat())
}

#[test]
fn both_ends_prove_their_keys_and_then_read_each_other() {
    let mut pair = Pair::new();
    let (near, far) = pair.connected();
    assert_eq!(pair.near.peer_key(near).as_ref(), Some(key(2).public_key()));
    assert_eq!(pair.far.peer_key(far).as_ref(), Some(key(1).public_key()));

    let stream = pair.near.open(near).expect("one is allowed");
    let said = vec![7; 100_000];
    assert_eq!(pair.near.write(near, stream, &said), Ok(said.len()));
    assert!(pair.near.finish(near, stream));
    pair.talk();
    assert!(pair.far_events.contains(&Event::Opened(far, stream)));
    let mut heard = Vec::new();
    loop {
        match all(pair.far.read(far, stream, 1000).expect("it is there")) {
            Some(piece) if piece.is_empty() => break,
            Some(piece) => heard.extend(piece),
            // It is not sent all at once, but at the pace of the path.
            None => pair.talk(),
        }
    }
    assert!(heard == said);
    pair.talk();
    assert!(pair.near_events.contains(&Event::Finished(near, stream)));
}

#[test]
fn what_is_not_read_holds_its_window_and_no_more() {
    let mut pair = Pair::new();
    let (near, far) = pair.connected();
    let stream = pair.near.open(near).expect("one is allowed");
    let mut taken = 0;
    let piece = vec![0; 1 << 16];
    for _ in 0..1000 {
        taken += pair.near.write(near, stream, &piece).expect("it is there");
        pair.talk();
    }
    assert!(taken <= 2 << 20, "{taken} bytes are nowhere read");
    // Only what is read makes room for more.
    assert_eq!(pair.near.write(near, stream, &piece), Ok(0));
    let read = all(pair.far.read(far, stream, 1 << 20).expect("it is there"));
    assert!(read.is_some_and(|read| read.len() >= 1 << 19));
    pair.talk();
    assert_eq!(pair.near.write(near, stream, &piece), Ok(piece.len()));
}

#[test]
fn what_arrived_before_the_end_can_still_be_read() {
    let mut pair = Pair::new();
    let (near, far) = pair.connected();
    let stream = pair.near.open(near).expect("one is allowed");
    pair.near
        .write(near, stream, b"last words")
        .expect("it is there");
    pair.near.close(pair.now, near, 7, "so long");
    pair.near.release(near);
    pair.talk();
    let ending = Ending::Closed {
        code: 7,
        reason: "so long".into(),
    };
    assert!(pair.far_events.contains(&Event::Lost(far, ending)));
    pair.far.release(far);
    pair.now += 100.0;
    pair.talk();
    assert!(pair.near.connections.is_empty());
    assert!(pair.far.connections.is_empty());
    assert!(pair.far.due.is_empty());
}

#[test]
fn while_many_have_not_proven_themselves_others_prove_where_they_are_first() {
    let mut pair = Pair::new();
    let server = Server::new(Some(shown(2)), Vec::new(), &[b"alknet/call"]).expect("good");
    for _ in 0..RETRY_ABOVE {
        let mut silent = endpoint(false);
        silent
            .connect(0.0, (FAR, "far"), None, None, None)
            .expect("the name is one");
        for data in sent(&mut silent, 0.0, &mut Vec::new()) {
            pair.far.feed(0.0, datagram(&data, NEAR));
        }
        let knocking: Vec<Id> = pair.far.knocking.keys().copied().collect();
        for id in knocking {
            pair.far.accept(0.0, id, &server).expect("he is good");
        }
    }
    assert_eq!(pair.far.half_open, RETRY_ABOVE);
    let mut out = sent(&mut pair.far, 0.0, &mut Vec::new());

    let near = pair.dial();
    out.extend(sent(&mut pair.near, pair.now, &mut pair.near_events));
    let hello = out.pop().expect("it dials");
    pair.far.feed(pair.now, datagram(&hello, NEAR));
    assert!(pair.far.knocking.is_empty());
    let answer = sent(&mut pair.far, pair.now, &mut pair.far_events);
    // A Retry packet (RFC 9000, section 17.2.5), much smaller than what asked for it.
    assert_eq!(answer[0][0] & 0xf0, 0xf0);
    assert!(answer[0].len() < 200);
    for data in answer {
        pair.near.feed(pair.now, datagram(&data, FAR));
    }
    pair.talk();
    assert!(pair.near_events.contains(&Event::Connected(near)));
    assert_eq!(pair.far.half_open, RETRY_ABOVE);
}

/// A part of the library's own kind that panics over what the peer has sent.
#[derive(Clone)]
struct Fragile;

impl ControllerFactory for Fragile {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Self)
    }
}

impl Controller for Fragile {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}
    fn on_mtu_update(&mut self, _: u16) {}
    fn window(&self) -> u64 {
        1 << 20
    }
    fn on_end_acks(&mut self, _: Instant, _: u64, _: bool, largest: Option<u64>) {
        assert!(
            largest.is_none_or(|number| number < 8),
            "as a test wants it"
        );
    }
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }
    fn initial_window(&self) -> u64 {
        1 << 20
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[test]
fn a_panic_ends_the_connection_that_it_befell_and_no_other() {
    let mut pair = Pair::new();
    let (sound, _) = pair.connected();
    let mut transport = TransportConfig::default();
    transport.congestion_controller_factory(Arc::new(Fragile));
    pair.near.transport = Arc::new(transport);
    let (fragile, _) = pair.connected();
    let stream = pair.near.open(fragile).expect("one is allowed");
    for _ in 0..20 {
        if pair.near.write(fragile, stream, &[0; 5000]).is_err() {
            break;
        }
        pair.talk();
    }
    assert!(
        pair.near_events
            .contains(&Event::Lost(fragile, Ending::Panicked))
    );
    assert_eq!(pair.near.panics(), 1);
    assert!(pair.near.write(fragile, stream, b"x").is_err());

    let stream = pair.near.open(sound).expect("one is allowed");
    assert_eq!(pair.near.write(sound, stream, b"still here"), Ok(10));
    pair.talk();
    let heard = pair
        .far_events
        .iter()
        .any(|event| matches!(event, Event::Opened(1, _)));
    assert!(heard);
}

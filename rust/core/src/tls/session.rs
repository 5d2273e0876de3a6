//! One connection's TLS: what came in goes to `feed`, what must go out comes from `take`.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::certificate::ed25519_key;
use super::peer::{AnyClient, ServerTrust};
use super::{Certified, Fault, Roots};
use crate::sign::ed25519::KEY_BYTES;

/// What a server shows to whom; sessions keep what there was when they began.
#[derive(Debug)]
pub struct Server(pub(crate) Arc<ServerConfig>);

impl Server {
    /// A server that shows the first of *named* that is for the host the client asks for, else
    /// *own*, else the first of *named*, else nothing.
    ///
    /// It speaks one of *protocols* (RFC 7301), or, to a client that names none, whatever comes.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn new(
        own: Option<Certified>,
        named: Vec<Certified>,
        protocols: &[&[u8]],
    ) -> Result<Self, Fault> {
        let provider = provider();
        let clients = Arc::new(AnyClient {
            algorithms: provider.signature_verification_algorithms,
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(Shown { own, named }));
        config.alpn_protocols = protocols.iter().map(|each| each.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(Arc::new(config)))
    }

    /// A session with a client that has just connected.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn accept(&self) -> Result<Session, Fault> {
        Ok(Session::of(
            ServerConnection::new(Arc::clone(&self.0))?.into(),
        ))
    }
}

#[derive(Debug)]
struct Shown {
    own: Option<Certified>,
    named: Vec<Certified>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let named = asked.and_then(|name| self.named.iter().find(|each| each.is_for(name)));
        let chosen = named.or(self.own.as_ref()).or(self.named.first());
        chosen.map(|certified| Arc::clone(&certified.0))
    }
}

/// What a client shows, and what it asks of the server.
pub(crate) struct Client {
    pub(crate) config: Arc<ClientConfig>,
    /// The judge of the server's certificate, which remembers why it was not believed.
    pub(crate) trust: Arc<ServerTrust>,
}

impl Client {
    pub(crate) fn new(
        own: Option<Certified>,
        expect: Option<String>,
        roots: Option<Roots>,
        protocols: &[&[u8]],
    ) -> Result<Self, Fault> {
        let provider = provider();
        let trust = Arc::new(ServerTrust {
            expect,
            roots,
            algorithms: provider.signature_verification_algorithms,
            refused: OnceLock::new(),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&trust) as _);
        let mut config = match own {
            Some(Certified(own)) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|each| each.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            trust,
        })
    }
}

/// One end of a TLS connection.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    has_ended: bool,
}

impl Session {
    /// The client's end of a connection to the host called *name* (a DNS name or an IP address).
    ///
    /// It shows *own*, if the server asks. The server's certificate must be of the key with the
    /// fingerprint *expect*, or be vouched for by *roots*.
    ///
    /// # Errors
    /// *name* is no name.
    pub fn connect(
        name: &str,
        own: Option<Certified>,
        expect: Option<String>,
        roots: Option<Roots>,
        protocols: &[&[u8]],
    ) -> Result<Self, Fault> {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| Fault::Given(format!("{name:?} is no name of a host")))?;
        let client = Client::new(own, expect, roots, protocols)?;
        Ok(Self::of(
            ClientConnection::new(client.config, server)?.into(),
        ))
    }

    fn of(mut connection: Connection) -> Self {
        // What is written leaves at once: the caller sees to it that it is sent before it writes
        // more, so nothing can pile up here.
        connection.set_buffer_limit(None);
        Self {
            connection,
            has_ended: false,
        }
    }

    /// Read *data*, which the peer has sent; return what it says to us.
    ///
    /// There may be something to `take` after that, after an error too.
    ///
    /// # Errors
    /// The peer is not trusted, does not trust us, or breaks the protocol; the session is over.
    pub fn feed(&mut self, mut data: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut plain = Vec::with_capacity(data.len());
        while !data.is_empty() && !self.has_ended {
            self.connection
                .read_tls(&mut data)
                .map_err(|why| Fault::Broken(why.to_string()))?;
            let state = self.connection.process_new_packets()?;
            let waiting = state.plaintext_bytes_to_read();
            if waiting > 0 {
                let start = plain.len();
                plain.resize(start + waiting, 0);
                self.connection
                    .reader()
                    .read_exact(&mut plain[start..])
                    .map_err(|why| Fault::Broken(why.to_string()))?;
            }
            self.has_ended = state.peer_has_closed();
        }
        Ok(plain)
    }

    /// Say *data* to the peer: `take` has it encrypted.
    ///
    /// # Errors
    /// None but that of memory.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.connection
            .writer()
            .write_all(data)
            .map_err(|why| Fault::Broken(why.to_string()))
    }

    /// Say that nothing will follow (RFC 8446, section 6.1).
    pub fn finish(&mut self) {
        self.connection.send_close_notify();
    }

    /// What must be sent to the peer now.
    ///
    /// # Errors
    /// None but that of memory.
    pub fn take(&mut self) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut out)
                .map_err(|why| Fault::Broken(why.to_string()))?;
        }
        Ok(out)
    }

    /// Whether the two have not yet agreed on keys.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has said that nothing will follow; without that, an end is a cut.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The Ed25519 key that the peer has proven to hold, if its certificate is of one.
    #[must_use]
    pub fn peer_key(&self) -> Option<[u8; KEY_BYTES]> {
        if self.is_handshaking() {
            return None;
        }
        ed25519_key(self.connection.peer_certificates()?.first()?)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Shelter;
    use crate::sign::ed25519::PrivateKey;
    use crate::sign::ssh;

    const PROTOCOLS: [&[u8]; 1] = [b"alknet/call"];

    fn key(seed: u8) -> Arc<PrivateKey> {
        Arc::new(PrivateKey::new(Shelter::of_the_process(), &[seed; 32]).expect("it is open"))
    }

    fn shown(seed: u8) -> Certified {
        Certified::self_signed(key(seed)).expect("the key signs")
    }

    fn client(seed: Option<u8>, expect: u8) -> Session {
        let expect = ssh::fingerprint(key(expect).public_key());
        Session::connect("127.0.0.1", seed.map(shown), Some(expect), None, &PROTOCOLS)
            .expect("the name is one")
    }

    fn server(seed: Option<u8>) -> Session {
        let server = Server::new(seed.map(shown), Vec::new(), &PROTOCOLS).expect("it is good");
        server.accept().expect("it is good")
    }

    /// Let the two talk until both have nothing more to say.
    fn shake(client: &mut Session, server: &mut Session) -> Result<(), Fault> {
        loop {
            let out = client.take()?;
            let back = server.feed(&out).and_then(|_| server.take())?;
            client.feed(&back)?;
            if out.is_empty() && back.is_empty() {
                return Ok(());
            }
        }
    }

    #[test]
    fn both_ends_prove_their_keys_and_then_read_each_other() {
        let (mut near, mut far) = (client(Some(1), 2), server(Some(2)));
        shake(&mut near, &mut far).expect("they trust each other");
        assert_eq!(near.peer_key().as_ref(), Some(key(2).public_key()));
        assert_eq!(far.peer_key().as_ref(), Some(key(1).public_key()));

        let said = vec![7; 100_000];
        near.write(&said).expect("there is memory");
        near.finish();
        let out = near.take().expect("there is memory");
        let mut heard = Vec::new();
        for piece in out.chunks(1000) {
            heard.extend(far.feed(piece).expect("nothing was altered"));
        }
        assert_eq!(heard, said);
        assert!(far.has_ended());
    }

    #[test]
    fn a_client_need_not_show_anything() {
        let (mut near, mut far) = (client(None, 2), server(Some(2)));
        shake(&mut near, &mut far).expect("the server does not insist");
        assert_eq!(far.peer_key(), None);
    }

    #[test]
    fn another_key_than_the_expected_one_is_not_trusted() {
        let (mut near, mut far) = (client(Some(1), 3), server(Some(2)));
        let fault = shake(&mut near, &mut far).expect_err("it is another node");
        assert!(matches!(fault, Fault::Untrusted(why) if why.contains("another node")));
    }

    #[test]
    fn a_server_without_a_certificate_is_known_as_one() {
        let (mut near, mut far) = (client(Some(1), 2), server(None));
        let hello = near.take().expect("there is memory");
        far.feed(&hello).expect_err("it has nothing to show");
        let alert = far.take().expect("there is memory");
        assert_eq!(near.feed(&alert), Err(Fault::NoCertificate));
    }

    #[test]
    fn an_altered_record_is_a_fault() {
        let (mut near, mut far) = (client(Some(1), 2), server(Some(2)));
        shake(&mut near, &mut far).expect("they trust each other");
        near.write(b"hello").expect("there is memory");
        let mut out = near.take().expect("there is memory");
        *out.last_mut().expect("it has bytes") ^= 1;
        assert!(matches!(far.feed(&out), Err(Fault::Broken(_))));
    }

    #[test]
    fn the_certificate_of_a_key_is_always_the_same() {
        let der = |certified: Certified| certified.chain().next().map(<[u8]>::to_vec);
        assert_eq!(der(shown(1)), der(shown(1)));
        assert_ne!(der(shown(1)), der(shown(2)));
    }
}

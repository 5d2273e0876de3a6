//! TLS 1.3 (RFC 8446) as a value machine: bytes in, bytes out, no socket.
//!
//! A node's certificate is its identity: self-signed, Ed25519, deterministic. The key stays in the
//! vault, which signs the handshake; no copy of it is ever made for TLS. Whoever knows the
//! fingerprint of the identity knows the certificate, so that is all there is to pin. Beside it a
//! node may show certificates of a public authority, chosen by the name that the client asks for.
//!
//! A client's certificate is taken from anybody and its signature checked; who that is, and whether
//! he may come in, is for the caller to judge before it reads a byte of what follows.
//!
//! Not goals: TLS 1.2, resumption, early data, revocation lists.

mod certificate;
mod fault;
mod peer;
mod session;

pub(crate) use certificate::ed25519_key;
pub use certificate::{Certified, Roots};
pub use fault::Fault;
pub(crate) use peer::ServerTrust;
pub(crate) use session::Client;
pub use session::{Server, Session};

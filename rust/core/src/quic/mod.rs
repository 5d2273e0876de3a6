//! QUIC (RFC 9000, 9001, 9002) as a value machine: datagrams in, datagrams out, no socket, no clock.
//!
//! The protocol is quinn-proto's, the handshake that of [`crate::tls`]. An [`Endpoint`] is what goes
//! on behind one UDP socket: all its connections, and those who knock. Whoever owns the socket gives
//! it what arrives, asks what has happened, and sends what must be sent, each time telling it the
//! time; between two such calls nothing moves.
//!
//! Receive windows follow what was read, so a stream that nobody reads holds its window and no more.
//! Whoever knocks while many others have not proven their address must prove his first (Retry). A
//! panic of the library ends the connection it befell.
//!
//! Not goals: datagram frames (RFC 9221), early data, HTTP/3.

mod connection;
mod ending;
mod endpoint;
mod settings;

pub use ending::Ending;
pub use endpoint::{Datagram, Endpoint, Event, Id, Transmit};
pub use settings::Settings;

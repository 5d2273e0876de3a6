//! WebSocket frames (RFC 6455, section 5) as a value machine: bytes in, messages out, and back.
//!
//! The opening handshake is not here, and there are no extensions: no reserved bit is taken. Whoever
//! reads gets one frame's worth at a time, so that what is received at once, which may be thousands
//! of frames, need not be worked off at once.

mod close;
mod connection;
mod header;
mod mask;
mod reader;

pub use close::{Close, Fault};
pub use connection::{Connection, Step};
pub use header::Opcode;
pub use reader::Payload;

/// Which end of a connection this is: a client masks what it sends, a server does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that has opened the connection.
    Client,
    /// The end that was connected to.
    Server,
}

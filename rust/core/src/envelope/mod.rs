//! The envelope of the wire: `{"type": str, "id": str, "payload": map}`, in JSON or msgpack.
//!
//! Goals: read the header and leave every value that belongs to an operation (`input`, `output`,
//! `item`, `details`, `metadata`, `forwarded_for`) as the exact bytes that came, so that a head
//! relays a call without decoding it; validate those bytes once, completely, in the same pass;
//! refuse what is wrong with the field's name and the exact offset; never use memory in proportion
//! to what a peer merely announces.
//!
//! Non-goals: decoding payloads (their schema does that), streams (see [`crate::frame`]), the order
//! of events in a call (the call protocol does that).
//!
//! JSON inside msgpack: a msgpack extension of type 1 that holds UTF-8 JSON text stands where a raw
//! value may stand. A relay passes a JSON payload into a msgpack link without touching it.
//!
//! Plan of the decoder: `decode` reads the map of the envelope and `payload` the map of each type;
//! both are written once, over the trait in `reader`, which `json` and `msgpack` implement by
//! scanning in place. Everything a decoded [`Event`] holds is borrowed and `Copy`, and it is filled
//! where the caller keeps it: moving it about cost more than reading it.

// A call for each token is what a decode costs: what stands on the path of every string is inlined
// into it (`python -m benches envelope`: JSON a sixth quicker).
#![allow(clippy::inline_always)]

mod ascii;
mod decode;
mod encode;
mod escape;
mod event;
mod json;
mod kind;
mod limits;
mod malformed;
mod msgpack;
mod payload;
mod reader;
mod text;
mod timestamp;
mod transcode;
mod writer;

pub use decode::{check, decode};
pub use encode::{Encoder, Refused};
pub use event::{Body, Event, Failed, Format, Raw, Requested};
pub use limits::Limits;
pub use malformed::Malformed;
pub use text::Text;
pub use transcode::transcode;

//! The pure half of alknet: no Python, no I/O, no `unsafe`.
#![forbid(unsafe_code)]

pub mod aead;
pub mod encrypted;
pub mod envelope;
pub mod frame;
pub mod hmac;
pub mod quic;
pub mod random;
mod scratch;
pub mod secret;
pub mod sign;
pub mod tls;
pub mod vault;
pub mod websocket;

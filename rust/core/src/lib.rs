//! The pure half of alknet: no Python, no I/O, no `unsafe`.
#![forbid(unsafe_code)]

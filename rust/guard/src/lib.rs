//! The few `unsafe` lines of the vault, fenced in so that one reading audits them all.
//!
//! `alknet-core` forbids `unsafe`; what it cannot do without is here, behind a safe face:
//!
//! - [`cell`]: 64 bytes for a secret, in pages that are not swapped, dumped or inherited by `fork`;
//! - [`ed25519`]: the crypto library's one-shot calls, which read a key where it lies instead of
//!   copying it into an object on the heap;
//! - [`process`]: what the process says of itself, and turning core dumps off.
//!
//! Not a goal: hiding secrets from root, from a debugger, or from whoever runs code in this process.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod cell;
pub mod ed25519;
mod pages;
pub mod process;

pub use cell::{Cell, SECRET_BYTES};

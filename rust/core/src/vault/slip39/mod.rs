//! SLIP-0039: a secret in shares of twenty words and more, of which some together give it back.
//!
//! Fewer than that say nothing about it. [`split`] encrypts a secret with a passphrase, which may be
//! empty, and shares it out; a [`ShareSet`] takes shares as they come, each from another person
//! perhaps, and gives the secret once there are enough of them.
//!
//! What is shared of a node is the *entropy* of its BIP-39 phrase: the shares then give the very
//! phrase back, and a passphrase of BIP-39 stays what it was. A wallet that takes them for the seed
//! of BIP-32, as the standard has it, would derive other keys.
//!
//! Arithmetic on secrets takes the same time whatever they are; reading and writing words does not,
//! any more than it does for a phrase.

mod cipher;
mod error;
pub mod gf256;
mod rs1024;
mod set;
mod share;
mod sharing;
mod split;
mod wordlist;

pub use error::BadShare;
pub use set::ShareSet;
pub use share::{LONGEST_SECRET, Share};
pub use split::{Scheme, split};
pub use wordlist::nearest;

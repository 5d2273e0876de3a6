//! One phrase, and every key that grows out of it.

pub mod bip32;
pub mod cache;
pub mod error;
pub mod extended;
pub mod keyring;
pub mod legacy;
pub mod mnemonic;
pub mod node;
pub mod password;
pub mod path;
pub mod seal_counts;
pub mod sealing;
pub mod site;
pub mod slip10;
pub mod slip39;

pub use error::Error;
pub use keyring::Keyring;
pub use mnemonic::Mnemonic;
pub use path::DerivationPath;

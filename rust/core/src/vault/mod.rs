//! One phrase, and every key that grows out of it.

pub mod bip32;
pub mod error;
pub mod keyring;
pub mod mnemonic;
pub mod path;
pub mod slip10;

pub use error::Error;
pub use keyring::Keyring;
pub use mnemonic::Mnemonic;
pub use path::DerivationPath;

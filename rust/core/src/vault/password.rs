//! Passwords that need no memory: derived from the key at a path, the same every time.
//!
//! The bytes are HKDF-SHA512 (RFC 5869) of the 32-byte Ed25519 private key at the path, without
//! salt, and with an `info` that says bytes or text; so anyone who has the seed finds them again
//! without this program. Text takes the bytes in order, one a character, and passes over those at
//! or above the largest multiple of the alphabet's length: no character is likelier than another.

use std::ops::ControlFlow;

use zeroize::Zeroizing;

use super::error::Error;
use super::keyring::Keyring;
use super::path::DerivationPath;
use crate::hmac;

/// `info` of a password in bytes.
pub const BYTES_INFO: &[u8] = b"alknet password bytes v1";
/// `info` of a password in text.
pub const TEXT_INFO: &[u8] = b"alknet password text v1";

/// Six bits a character, and all of them survive a shell, a URL and a double click.
pub const DEFAULT_ALPHABET: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Keyring {
    /// Fill *password*, of 1 to 255 bytes, with the password at *path*.
    ///
    /// # Errors
    /// Another length; the path has a step that is not hardened; the vault is locked.
    pub fn password_into(&self, path: &DerivationPath, password: &mut [u8]) -> Result<(), Error> {
        check_length(password.len())?;
        let mut chunks = password.chunks_mut(hmac::TAG_BYTES);
        hmac::hkdf(self.ed25519_node(path)?.key(), BYTES_INFO, |block| {
            if let Some(chunk) = chunks.next() {
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
            if chunks.len() == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        Ok(())
    }

    /// The password at *path* as *length* characters of *alphabet*.
    ///
    /// # Errors
    /// *length* is not 1 to 255; *alphabet* is not 2 to 256 different characters; as
    /// [`Self::password_into`].
    pub fn password_text(
        &self,
        path: &DerivationPath,
        length: usize,
        alphabet: &str,
    ) -> Result<Zeroizing<String>, Error> {
        check_length(length)?;
        let alphabet = read_alphabet(alphabet)?;
        let fair = 256 / alphabet.len() * alphabet.len();
        let mut password = Zeroizing::new(String::with_capacity(length * 4));
        let mut missing = length;
        hmac::hkdf(self.ed25519_node(path)?.key(), TEXT_INFO, |block| {
            let numbers = block.iter().map(|byte| usize::from(*byte));
            for number in numbers.filter(|number| *number < fair).take(missing) {
                password.push(alphabet[number % alphabet.len()]);
                missing -= 1;
            }
            if missing == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        // At least every other byte is fair, and there are 16320: that they run out has a chance
        // far below that of guessing the seed.
        if missing > 0 {
            return Err(Error::Internal(
                "the password stream ran out: take a shorter password",
            ));
        }
        Ok(password)
    }
}

fn check_length(length: usize) -> Result<(), Error> {
    if (1..=255).contains(&length) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "a password is 1 to 255 long; {length} was asked for"
    )))
}

fn read_alphabet(alphabet: &str) -> Result<Vec<char>, Error> {
    let characters: Vec<char> = alphabet.chars().collect();
    let mut sorted = characters.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != characters.len() {
        return Err(Error::Input(
            "the alphabet of a password has a character twice".into(),
        ));
    }
    if !(2..=256).contains(&characters.len()) {
        return Err(Error::Input(format!(
            "the alphabet of a password has 2 to 256 characters; this one has {}",
            characters.len()
        )));
    }
    Ok(characters)
}

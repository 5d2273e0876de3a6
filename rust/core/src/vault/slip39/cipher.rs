//! The encryption of the secret before it is shared: four Feistel rounds over PBKDF2-HMAC-SHA256.
//!
//! (SLIP-0039, "Encryption of the master secret".) There is no way to tell a wrong passphrase from
//! the right one: each gives some secret.

use core::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use super::share::{Header, LONGEST_SECRET};
use crate::vault::Error;

/// Rounds of PBKDF2 in one round of four, at exponent 0.
const ROUNDS: u32 = 2_500;

/// Encrypt *secret*, of an even number of bytes, where it is.
///
/// # Errors
/// *passphrase* has something else than the printable characters of ASCII.
pub(super) fn encrypt(header: &Header, passphrase: &[u8], secret: &mut [u8]) -> Result<(), Error> {
    feistel(header, passphrase, secret, [0, 1, 2, 3])
}

/// Undo [`encrypt`].
///
/// # Errors
/// As there.
pub(super) fn decrypt(header: &Header, passphrase: &[u8], secret: &mut [u8]) -> Result<(), Error> {
    feistel(header, passphrase, secret, [3, 2, 1, 0])
}

fn feistel(
    header: &Header,
    passphrase: &[u8],
    secret: &mut [u8],
    rounds: [u8; 4],
) -> Result<(), Error> {
    if !passphrase.iter().all(|byte| matches!(byte, 32..=126)) {
        return Err(Error::Input(
            "the passphrase of shares has printable characters of ASCII alone (SLIP-0039): no \
             umlauts, no tabs, no ends of lines"
                .into(),
        ));
    }
    let iterations = NonZeroU32::new(ROUNDS << header.iteration_exponent)
        .ok_or(Error::Internal("an exponent of iterations is below 16"))?;
    let prefix = [b"shamir", &header.identifier.to_be_bytes()[..]].concat();
    let prefix = if header.is_extendable {
        &[]
    } else {
        &prefix[..]
    };
    let half = secret.len() / 2;
    let mut password = Zeroizing::new(vec![0; passphrase.len() + 1]);
    password[1..].copy_from_slice(passphrase);
    let mut salt = Zeroizing::new([0; 8 + LONGEST_SECRET / 2]);
    let salt = &mut salt[..prefix.len() + half];
    salt[..prefix.len()].copy_from_slice(prefix);
    let mut stream = Zeroizing::new([0; LONGEST_SECRET / 2]);
    let stream = &mut stream[..half];
    let (left, right) = secret.split_at_mut(half);
    for round in rounds {
        password[0] = round;
        salt[prefix.len()..].copy_from_slice(right);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            &password,
            stream,
        );
        for (byte, key) in left.iter_mut().zip(&*stream) {
            *byte ^= key;
        }
        left.swap_with_slice(right);
    }
    // The standard writes the halves the other way round at the end.
    left.swap_with_slice(right);
    Ok(())
}

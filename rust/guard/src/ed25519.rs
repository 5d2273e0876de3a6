//! Ed25519 by AWS-LC, called on keys where they lie.

use crate::SECRET_BYTES;

/// Write the pair that grows from the 32-byte *seed*, seed first and public key second, into *pair*.
pub fn expand(seed: &[u8; 32], pair: &mut [u8; SECRET_BYTES]) {
    let mut public = [0u8; 32];
    // SAFETY: the function reads 32 bytes and writes 32 and 64; the types say that they are there.
    unsafe {
        aws_lc_sys::ED25519_keypair_from_seed(
            public.as_mut_ptr(),
            pair.as_mut_ptr(),
            seed.as_ptr(),
        );
    }
}

/// Sign *message* with a *pair* that [`expand`] made.
///
/// The public half must belong to the seed: a signature made with another one gives the key away.
///
/// `None` only where the crypto library cannot hash, which it has no reason for.
#[must_use]
pub fn sign(pair: &[u8; SECRET_BYTES], message: &[u8]) -> Option<[u8; 64]> {
    let mut signature = [0u8; 64];
    // SAFETY: the function reads 64 bytes and `message.len()`, and writes 64. A pointer of an empty
    // slice is dangling but aligned and not null, and no byte of it is read.
    let done = unsafe {
        aws_lc_sys::ED25519_sign(
            signature.as_mut_ptr(),
            message.as_ptr(),
            message.len(),
            pair.as_ptr(),
        )
    };
    (done == 1).then_some(signature)
}

/// Whether *signature* is by *public* over *message*; s below the group order is checked, the
/// encoding and the order of the points are not.
#[must_use]
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    // SAFETY: the function reads 32 bytes, 64, and `message.len()`, and writes nothing.
    unsafe {
        aws_lc_sys::ED25519_verify(
            message.as_ptr(),
            message.len(),
            signature.as_ptr(),
            public.as_ptr(),
        ) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_and_an_altered_one_does_not() {
        let mut pair = [0; SECRET_BYTES];
        expand(&[1; 32], &mut pair);
        let public = *pair.last_chunk().expect("the public key comes second");
        for message in [&b""[..], b"x", &[7; 1000]] {
            let mut signature = sign(&pair, message).expect("it hashes");
            assert!(verify(&public, message, &signature));
            signature[40] ^= 1;
            assert!(!verify(&public, message, &signature));
        }
    }
}

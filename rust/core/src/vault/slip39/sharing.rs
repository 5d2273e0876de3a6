//! Shamir's secret sharing with a digest: `SplitSecret` and `RecoverSecret` of SLIP-0039.

use alknet_guard::Cell;
use aws_lc_rs::hmac;

use super::error::BadShare;
use super::gf256::interpolate_into;
use crate::random::{self, NoRandomness};

/// Where the polynomial has the secret, and where the digest of it.
const SECRET: u8 = 255;
const DIGEST: u8 = 254;
const DIGEST_BYTES: usize = 4;

/// Values of *count* shares, from 0 on, *threshold* of which give *secret* back.
///
/// 1 <= *threshold* <= *count* <= 16.
pub(super) fn split(threshold: u8, count: u8, secret: &[u8]) -> Result<Vec<Cell>, NoRandomness> {
    if threshold == 1 {
        return Ok((0..count).map(|_| Cell::holding(secret)).collect());
    }
    let bytes = secret.len();
    let mut shares = Vec::with_capacity(usize::from(count));
    for _ in 0..threshold - 2 {
        let mut value = Cell::new();
        random::fill(&mut value[..bytes])?;
        shares.push(value);
    }
    let mut noted = Cell::new();
    random::fill(&mut noted[DIGEST_BYTES..bytes])?;
    let digest = digest(&noted[DIGEST_BYTES..bytes], secret);
    noted[..DIGEST_BYTES].copy_from_slice(&digest);
    for x in threshold - 2..count {
        let mut value = Cell::new();
        {
            let mut points: Vec<(u8, &[u8])> = (0..threshold - 2)
                .zip(shares.iter().map(|value| &value[..bytes]))
                .collect();
            points.push((DIGEST, &noted[..bytes]));
            points.push((SECRET, secret));
            interpolate_into(x, &points, &mut value[..bytes]);
        }
        shares.push(value);
    }
    Ok(shares)
}

/// The secret that *points* were shared out of; as many as their threshold, each at another place.
pub(super) fn recover(points: &[(u8, &[u8])]) -> Result<Cell, BadShare> {
    let Some((_, first)) = points.first() else {
        return Err(BadShare::Missing { shares: 1 });
    };
    if points.len() == 1 {
        return Ok(Cell::holding(first));
    }
    let bytes = first.len();
    let (mut secret, mut noted) = (Cell::new(), Cell::new());
    interpolate_into(SECRET, points, &mut secret[..bytes]);
    interpolate_into(DIGEST, points, &mut noted[..bytes]);
    let found = digest(&noted[DIGEST_BYTES..bytes], &secret[..bytes]);
    if aws_lc_rs::constant_time::verify_slices_are_equal(&found, &noted[..DIGEST_BYTES]).is_err() {
        return Err(BadShare::Digest);
    }
    Ok(secret)
}

fn digest(key: &[u8], secret: &[u8]) -> [u8; DIGEST_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), secret);
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&tag.as_ref()[..DIGEST_BYTES]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_so_many_shares_give_the_secret_and_others_do_not() {
        let secret = [7; 32];
        for (threshold, count) in [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5), (16, 16)] {
            let shares = split(threshold, count, &secret).expect("random");
            assert_eq!(shares.len(), usize::from(count));
            let points: Vec<_> = (0..count)
                .zip(&shares)
                .map(|(x, value)| (x, &value[..32]))
                .collect();
            for some in points.windows(usize::from(threshold)) {
                assert!(recover(some).is_ok_and(|found| found[..32] == secret));
            }
            if threshold > 2 {
                let few = recover(&points[..usize::from(threshold) - 1]);
                assert_eq!(few.err(), Some(BadShare::Digest));
            }
        }
    }
}

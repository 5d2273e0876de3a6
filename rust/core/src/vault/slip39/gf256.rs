//! GF(256) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2), in the same time for all values.
//!
//! No table is looked into and no branch taken by a value: shares are bytes of a secret.

use core::hint::black_box;

/// All ones if the lowest bit of *bit* is set, else zeros; the compiler is kept from seeing which.
fn mask(bit: u8) -> u8 {
    black_box(bit & 1).wrapping_neg()
}

/// The product of *a* and *b*.
#[must_use]
pub fn multiply(mut a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
    }
    product
}

/// What gives 1 when multiplied with *a*; 0 for 0. It is a^254, since a^255 is 1.
#[must_use]
pub fn invert(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = multiply(multiply(power, power), a);
    }
    multiply(power, power)
}

/// Write into *value* where the polynomials through *points* are at *x*, one of them a byte.
///
/// The first of each point is its x, and no two may be the same; the other is as long as *value*.
/// (SLIP-0039, "Polynomial interpolation".)
pub fn interpolate_into(x: u8, points: &[(u8, &[u8])], value: &mut [u8]) {
    value.fill(0);
    for (own, bytes) in points {
        // Where a share stands is no secret, but multiplying does not know that.
        let weight = points
            .iter()
            .filter(|(other, _)| other != own)
            .fold(1, |weight, (other, _)| {
                multiply(weight, multiply(x ^ other, invert(own ^ other)))
            });
        for (sum, byte) in value.iter_mut().zip(*bytes) {
            *sum ^= multiply(weight, *byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_fips_197_hold() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
    }

    #[test]
    fn every_value_but_zero_has_an_inverse() {
        assert_eq!(invert(0), 0);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn a_polynomial_goes_through_its_points() {
        let points: [(u8, &[u8]); 3] = [(0, &[1, 200]), (7, &[2, 100]), (255, &[3, 50])];
        for (x, expected) in points {
            let mut value = [0; 2];
            interpolate_into(x, &points, &mut value);
            assert_eq!(value, expected);
        }
    }
}

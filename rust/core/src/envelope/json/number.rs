//! JSON numbers: their grammar, and whether both ends can hold them.

use super::super::malformed::Malformed;
use super::super::reader::Read;
use super::Scanner;

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

/// This many digits fit 64 bits whatever they are.
const SAFE_DIGITS: usize = 18;

/// This many digits before the point cannot overflow a double.
const SAFE_WHOLE: usize = 300;

impl Scanner<'_> {
    /// Step over a number that begins here.
    #[inline]
    pub(super) fn number(&mut self) -> Read<()> {
        let start = self.at;
        let shape = self.number_shape()?;
        if shape.is_integer {
            if shape.whole > SAFE_DIGITS {
                self.integer(start)?;
            }
        } else if shape.has_exponent || shape.whole > SAFE_WHOLE {
            self.float(start)?;
        }
        Ok(())
    }

    /// Read a number that begins here.
    pub(crate) fn any_number(&mut self) -> Read<Number> {
        let start = self.at;
        if self.number_shape()?.is_integer {
            self.integer(start)
        } else {
            self.float(start).map(Number::Float)
        }
    }

    /// Read a whole number that is not negative.
    #[inline]
    pub(super) fn unsigned_number(&mut self) -> Read<u64> {
        let start = self.at;
        let mut value: u64 = 0;
        if let Some(eight) = self.bytes.get(start..).and_then(<[u8]>::first_chunk)
            && let Some(digits) = eight_digits(*eight)
        {
            value = digits;
            self.at += 8;
        }
        while let Some(digit @ b'0'..=b'9') = self.peek()
            && self.at - start < SAFE_DIGITS
        {
            // Cannot wrap: so many digits fit.
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        // A number that goes on, begins with a zero or is none: look at it from the beginning.
        let goes_on = matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        if value != 0 && !goes_on && self.bytes[start] != b'0' {
            return Ok(value);
        }
        self.at = start;
        self.unusual_unsigned(start)
    }

    #[cold]
    fn unusual_unsigned(&mut self, start: usize) -> Read<u64> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            Some(b'-') => return Err(Malformed::new(start, "must not be negative")),
            _ => return Err(self.expected("an integer")),
        }
        let shape = self.number_shape()?;
        if !shape.is_integer {
            let reason = "expected an integer, found a number with a fraction or an exponent";
            return Err(Malformed::new(start, reason));
        }
        match self.integer(start)? {
            Number::Unsigned(value) => Ok(value),
            _ => Err(self.too_big(start)),
        }
    }

    #[inline]
    fn number_shape(&mut self) -> Read<Shape> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if let Some(b'0'..=b'9') = self.peek() {
                    return Err(Malformed::new(self.at - 1, "a number with a leading zero"));
                }
                1
            }
            _ => self.digits()?,
        };
        let mut shape = Shape {
            whole,
            is_integer: true,
            has_exponent: false,
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            shape.is_integer = false;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            shape.is_integer = false;
            shape.has_exponent = true;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(shape)
    }

    #[inline]
    fn digits(&mut self) -> Read<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("a digit"));
        }
        Ok(self.at - start)
    }

    fn integer(&self, start: usize) -> Read<Number> {
        let text = self.number_text(start);
        if text.starts_with('-') {
            text.parse().map(Number::Negative)
        } else {
            text.parse().map(Number::Unsigned)
        }
        .map_err(|_| self.too_big(start))
    }

    fn float(&self, start: usize) -> Read<f64> {
        match self.number_text(start).parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(Malformed::new(start, "a number that no double can hold")),
        }
    }

    fn number_text(&self, start: usize) -> &str {
        // Digits, signs, a point and an exponent: the shape has been checked.
        str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default()
    }

    #[cold]
    fn too_big(&self, start: usize) -> Malformed {
        let digits = self.at - start;
        Malformed::new(
            start,
            format!("an integer of {digits} characters does not fit 64 bits"),
        )
    }
}

/// Eight decimal digits as a number, if that is what they are.
///
/// All eight at once (D. Lemire, "Quickly parsing eight digits"): pairs, then fours, then all.
#[inline]
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    const LANES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(bytes);
    let above = word.wrapping_add(LANES * 0x46);
    let digits = word.wrapping_sub(LANES * 0x30);
    if (above | digits) & (LANES * 0x80) != 0 {
        return None;
    }
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let fours = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let rest = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    Some(fours.wrapping_add(rest) >> 32)
}

struct Shape {
    /// Digits before the point.
    whole: usize,
    is_integer: bool,
    has_exponent: bool,
}

#[cfg(test)]
mod tests {
    use super::eight_digits;

    #[test]
    fn eight_digits_are_read_and_nothing_else_is() {
        assert_eq!(eight_digits(*b"17900000"), Some(17_900_000));
        assert_eq!(eight_digits(*b"00000001"), Some(1));
        assert_eq!(eight_digits(*b"99999999"), Some(99_999_999));
        for at in 0..8 {
            for other in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
                let mut bytes = *b"12345678";
                bytes[at] = other;
                assert_eq!(eight_digits(bytes), None, "{bytes:?}");
            }
        }
    }
}

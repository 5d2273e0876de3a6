//! Masking (RFC 6455, section 5.3): what a client sends looks like nothing to what lies in between.

/// The masking key of one frame, turned so that its first byte is for the next byte of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask(pub(super) [u8; 4]);

const WORD_BYTES: usize = 8;

impl Mask {
    /// Mask *bytes*, or take their mask off: it is the same.
    pub(super) fn apply(self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = bytes.as_chunks_mut::<WORD_BYTES>();
        for each in words {
            *each = (u64::from_ne_bytes(*each) ^ word).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
    }

    /// The mask for what comes after *length* bytes more.
    pub(super) fn after(self, length: usize) -> Self {
        let mut key = self.0;
        key.rotate_left(length % 4);
        Self(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_in_any_pieces_is_masking_at_once() {
        let key = Mask([0x37, 0xfa, 0x21, 0x3d]);
        let plain: Vec<u8> = (0..100).collect();
        let masked: Vec<u8> = plain
            .iter()
            .zip([0x37, 0xfa, 0x21, 0x3d].iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        for cut in 0..=plain.len() {
            let mut found = plain.clone();
            let (before, after) = found.split_at_mut(cut);
            key.apply(before);
            key.after(cut).apply(after);
            assert_eq!(found, masked, "cut at {cut}");
        }
    }
}

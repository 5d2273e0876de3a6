//! The pieces in which a stream may arrive.

/// Return *stream* in pieces of *sizes* bytes, as far as it lasts, and what is left of it.
pub fn cut(sizes: &[u8], stream: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = stream;
    let mut pieces = Vec::new();
    for size in sizes {
        let (piece, after) = rest.split_at(usize::from(*size).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces.push(rest.to_vec());
    pieces
}

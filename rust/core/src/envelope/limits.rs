//! Every limit of one envelope, with its unit.

/// What a peer may make us read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body of one envelope, in bytes, the length prefix not counted.
    pub frame_bytes: usize,
    /// How deep maps and arrays may nest inside one raw value; a scalar has depth 0.
    pub depth: usize,
    /// The longest string or binary, in bytes as they stand on the wire.
    pub string_bytes: usize,
}

impl Limits {
    /// Deeper nesting cannot be allowed: values are walked by recursion, and this much fits the
    /// smallest stack that a thread of Python gets.
    pub const MAX_DEPTH: usize = 512;

    /// What a node allows unless its settings say otherwise.
    pub const DEFAULT: Self = Self {
        frame_bytes: 16 << 20,
        depth: 64,
        string_bytes: 16 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

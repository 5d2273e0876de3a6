//! However a stream is cut, the same bodies come out, and the same fault ends it.
#![no_main]

use alknet_core::frame::{BadFrame, Splitter};
use libfuzzer_sys::fuzz_target;

const FRAME_BYTES: usize = 1000;

fn bodies(parts: impl Iterator<Item = Vec<u8>>) -> (Vec<Vec<u8>>, Option<BadFrame>) {
    let mut splitter = Splitter::new(FRAME_BYTES);
    let mut bodies = Vec::new();
    for part in parts {
        let outcome = splitter.feed(&part, |body| {
            bodies.push(body.to_vec());
            Ok::<(), BadFrame>(())
        });
        if let Err(fault) = outcome {
            return (bodies, Some(fault));
        }
        assert!(splitter.buffered() <= FRAME_BYTES + 4);
    }
    (bodies, None)
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (sizes, stream) = input;
    let whole = bodies(std::iter::once(stream.clone()));
    let mut rest = stream.as_slice();
    let mut parts = Vec::new();
    for size in sizes {
        let (part, after) = rest.split_at(usize::from(size).min(rest.len()));
        parts.push(part.to_vec());
        rest = after;
    }
    parts.push(rest.to_vec());
    assert_eq!(bodies(parts.into_iter()), whole);
});

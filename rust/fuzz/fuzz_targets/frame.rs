//! However a stream is cut, the same bodies come out, and the same fault ends it.
#![no_main]

mod pieces;

use alknet_core::frame::{BadFrame, Splitter};
use libfuzzer_sys::fuzz_target;
use pieces::cut;

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
    assert_eq!(bodies(cut(&sizes, &stream).into_iter()), whole);
});

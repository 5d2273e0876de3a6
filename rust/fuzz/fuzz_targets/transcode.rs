//! What one format says, the other says too: a value that was transcoded is well formed, and there
//! and back again is where it began.
#![no_main]

use alknet_core::envelope::{Format, Limits, check, transcode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::DEFAULT;
    // What becomes longer on the way, base64 and escapes, must not fall over the limit here.
    let wide = Limits { string_bytes: usize::MAX, ..limits };
    for (source, target) in [(Format::Json, Format::Msgpack), (Format::Msgpack, Format::Json)] {
        let Ok(there) = transcode(data, source, target, &limits) else {
            continue;
        };
        check(data, source, &limits).expect("only what is well formed is transcoded");
        check(&there, target, &wide).expect("what was made is well formed");
        let back = transcode(&there, target, source, &wide).expect("the way back");
        let again = transcode(&back, source, target, &wide).expect("and there again");
        // The first may have white space in it, from JSON that stood in an extension.
        let back_again = transcode(&again, target, source, &wide).expect("and back again");
        assert_eq!(back_again, back);
    }
});

//! What decodes as a msgpack envelope says the same when it is sent on.
#![no_main]

mod same;

use alknet_core::envelope::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    same::sent_on(data, Format::Msgpack);
});

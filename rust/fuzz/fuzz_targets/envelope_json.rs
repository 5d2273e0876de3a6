//! What decodes as a JSON envelope is JSON to another reader too, and says the same when it is sent
//! on.
#![no_main]

mod same;

use alknet_core::envelope::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if same::sent_on(data, Format::Json) {
        serde_json::from_slice::<serde_json::Value>(data).expect("JSON");
    }
});

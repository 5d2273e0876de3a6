//! A share that is read is written in one way, and read again as the same; sets take what comes.
#![no_main]

use alknet_core::vault::slip39::{BadShare, Share, ShareSet, nearest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut set = ShareSet::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        match Share::parse(line) {
            Ok(share) => {
                let words = share.words();
                let again = Share::parse(words.as_bytes()).expect("it was good");
                assert_eq!(*again.words(), *words);
                let (given, missing) = (set.given(), set.missing());
                if set.add(share).is_ok() {
                    assert_eq!(set.given(), given + 1);
                } else {
                    assert_eq!((set.given(), set.missing()), (given, missing));
                }
            }
            Err(BadShare::UnknownWord { position }) => {
                let typed = String::from_utf8_lossy(line);
                let word = typed.split_whitespace().nth(position - 1);
                let _ = word.and_then(nearest);
            }
            Err(BadShare::Checksum { suspect }) => assert!(suspect.is_none_or(|word| word < 60)),
            Err(_) => {}
        }
    }
    // More rounds than these only take longer.
    if set.missing() == Some(0) && set.iteration_exponent() < Some(3) {
        let _ = set.mnemonic(b"");
    }
});

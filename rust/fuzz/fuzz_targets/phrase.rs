//! A phrase that is read is written in one way, and read again as the same.
#![no_main]

use alknet_core::vault::Mnemonic;
use alknet_core::vault::mnemonic::BadMnemonic;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Mnemonic::parse(bytes) {
        Ok(phrase) => {
            assert!(matches!(phrase.phrase().split(' ').count(), 12 | 15 | 18 | 21 | 24));
            let again = Mnemonic::parse(phrase.phrase().as_bytes()).expect("it was good");
            assert_eq!(again.phrase(), phrase.phrase());
        }
        Err(BadMnemonic::UnknownWord { position }) => assert!((1..=24).contains(&position)),
        Err(_) => {}
    }
});

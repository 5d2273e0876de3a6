//! An extended key that is read is written again letter by letter, and can be derived from.
#![no_main]

use alknet_core::vault::DerivationPath;
use alknet_core::vault::extended::{ExtendedPrivateKey, ExtendedPublicKey};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    /// A body whose checksum is made good here, since none would be by chance.
    Body([u8; 78]),
}

fn check(text: &str) {
    let step: DerivationPath = "m/1".parse().expect("a path");
    if let Ok(key) = ExtendedPublicKey::parse(text) {
        assert_eq!(key.to_string(), text.trim());
        if let Ok(child) = key.derive(&step) {
            assert_eq!(child.place().depth, key.place().depth + 1);
        }
    }
    if let Ok(key) = ExtendedPrivateKey::parse(text.as_bytes()) {
        assert_eq!(*key.reveal().expect("nothing locks it"), text.trim());
        if let Ok(child) = key.derive(&step) {
            assert_eq!(Ok(child.public()), key.public().derive(&step));
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    match input {
        Input::Text(text) => check(text),
        Input::Body(mut body) => {
            let versions = [0x0488_ade4_u32, 0x0488_b21e, 0x0435_8394, 0x0435_87cf];
            if let Some(version) = versions.get(usize::from(body[0] & 7)) {
                body[..4].copy_from_slice(&version.to_be_bytes());
            }
            let sum = Sha256::digest(Sha256::digest(body));
            check(&bs58::encode([&body[..], &sum[..4]].concat()).into_string());
        }
    }
});

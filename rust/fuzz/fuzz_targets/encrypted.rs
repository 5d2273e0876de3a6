//! Encrypted data that is read is written again letter by letter, and never opens by chance.
#![no_main]

use std::sync::LazyLock;

use alknet_core::encrypted::EncryptedData;
use alknet_core::vault::cache::Limits;
use alknet_core::vault::{Error, Keyring};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Fields<'a> {
    key_version: u32,
    salt: &'a str,
    iv: &'a str,
    data: &'a str,
    associated_data: &'a [u8],
    /// What is sealed first, so that whole values are altered too.
    plaintext: &'a [u8],
    alter: Option<(u16, u8)>,
}

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::from_seed(&[7; 32], Limits::default()).expect("a seed"));

fuzz_target!(|fields: Fields<'_>| {
    let read = EncryptedData::new(fields.key_version, fields.salt, fields.iv, fields.data.into());
    if let Ok(value) = read {
        assert_eq!((value.salt().as_str(), value.iv().as_str()), (fields.salt, fields.iv));
        assert_eq!(value.data(), fields.data);
        let mut plaintext = vec![0; value.plaintext_bytes()];
        let opened = KEYRING.open_into(&value, fields.associated_data, &mut plaintext);
        assert!(matches!(opened, Err(Error::Decryption(_) | Error::Input(_))));
    }

    let sealed = KEYRING.seal(fields.plaintext, 2, fields.associated_data).expect("it seals");
    let mut data = sealed.data().as_bytes().to_vec();
    if let Some((at, mask)) = fields.alter {
        let at = usize::from(at) % data.len();
        data[at] ^= mask & 0x7f;
    }
    let altered = data != sealed.data().as_bytes();
    let data = String::from_utf8(data).expect("ASCII");
    let Ok(value) = EncryptedData::new(2, &sealed.salt(), &sealed.iv(), data) else {
        assert!(altered);
        return;
    };
    let mut plaintext = vec![0; value.plaintext_bytes()];
    let opened = KEYRING.open_into(&value, fields.associated_data, &mut plaintext);
    assert_eq!(opened.is_err(), altered);
    assert!(altered || plaintext == fields.plaintext);
});

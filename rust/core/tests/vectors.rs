//! The published vectors in `tests/vectors`, against the core alone.

use alknet_core::aead::Cipher;
use alknet_core::secret::Shelter;
use alknet_core::sign::{ed25519, secp256k1};
use alknet_core::vault::cache::Limits;
use alknet_core::vault::extended::{ExtendedPrivateKey, ExtendedPublicKey, Network};
use alknet_core::vault::slip39::{Share, ShareSet};
use alknet_core::vault::{DerivationPath, Error, Keyring, Mnemonic};
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("the file is there")).expect("JSON")
}

fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let rows = value[name].as_array().expect("an array");
    assert!(!rows.is_empty());
    rows
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().expect("text")
}

fn bytes(row: &Value, name: &str) -> Vec<u8> {
    unhex(text(row, name))
}

fn unhex(text: &str) -> Vec<u8> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).expect("hex"), 16);
    pairs.iter().map(|pair| byte(pair).expect("hex")).collect()
}

fn keyring(seed: &str) -> Keyring {
    Keyring::from_seed(&unhex(seed), Limits::default()).expect("a seed")
}

fn path(row: &Value) -> DerivationPath {
    text(row, "path").parse().expect("a path")
}

#[test]
fn bip39() {
    for row in rows(&load("bip39.json"), "english") {
        let column = |number: usize| row[number].as_str().expect("text");
        let phrase = Mnemonic::parse(column(1).as_bytes()).expect("a phrase");
        let mut seed = [0; 64];
        phrase.seed_into(b"TREZOR", &mut seed).expect("UTF-8");
        assert_eq!(seed.to_vec(), unhex(column(2)));
        assert_eq!(phrase.phrase(), column(1));
    }
}

#[test]
fn slip39() {
    for row in rows(&load("slip39.json"), "vectors") {
        let name = row[0].as_str().expect("text");
        let recovered = || {
            let mut set = ShareSet::new();
            for share in row[1].as_array().expect("shares") {
                set.add(Share::parse(share.as_str().expect("text").as_bytes())?)?;
            }
            let (secret, bytes) = set.secret(b"TREZOR")?;
            Ok::<_, Error>(secret[..bytes].to_vec())
        };
        match unhex(row[2].as_str().expect("hex")) {
            expected if expected.is_empty() => assert!(recovered().is_err(), "{name}"),
            expected => {
                assert_eq!(recovered().as_ref(), Ok(&expected), "{name}");
                let keyring = Keyring::from_seed(&expected, Limits::default()).expect("a seed");
                let master = "m".parse().expect("a path");
                let extended = keyring.extended(&master, Network::Main).expect("a key");
                assert_eq!(extended.reveal().expect("open").as_str(), row[3], "{name}");
            }
        }
    }
}

#[test]
fn bip32() {
    let vectors = load("bip32.json");
    for vector in rows(&vectors, "valid") {
        let keyring = keyring(text(vector, "seed"));
        for chain in rows(vector, "chains") {
            let key = keyring
                .extended(&path(chain), Network::Main)
                .expect("a key");
            assert_eq!(*key.reveal().expect("unlocked"), text(chain, "xprv"));
            assert_eq!(key.public().to_string(), text(chain, "xpub"));
        }
    }
    for row in rows(&vectors, "invalid_extended_keys") {
        let key = text(row, "key");
        let private = ExtendedPrivateKey::parse(key.as_bytes()).map(drop);
        let public = ExtendedPublicKey::parse(key).map(drop);
        for refused in [private, public] {
            assert!(
                matches!(refused, Err(Error::Key(_))),
                "{}",
                text(row, "reason")
            );
        }
    }
}

#[test]
fn slip10() {
    for vector in rows(&load("slip10.json"), "vectors") {
        let keyring = keyring(text(vector, "seed"));
        for chain in rows(vector, "chains") {
            let (private, public) = if text(vector, "curve") == "ed25519" {
                let key = keyring.ed25519(&path(chain)).expect("a key");
                (key.reveal(), [&[0], &key.public_key()[..]].concat())
            } else {
                let key = keyring.secp256k1(&path(chain)).expect("a key");
                (key.reveal(), key.public_key().serialize().to_vec())
            };
            assert_eq!(private.expect("unlocked")[..32], bytes(chain, "private"));
            assert_eq!(public, bytes(chain, "public"));
        }
    }
}

#[test]
fn rfc8032() {
    for row in rows(&load("rfc8032.json"), "vectors") {
        let seed = bytes(row, "private_key");
        let seed = seed.as_slice().try_into().expect("32 bytes");
        let key = ed25519::PrivateKey::new(&Shelter::new(), seed).expect("open");
        let message = bytes(row, "message");
        let signature = key.sign(&message).expect("unlocked");
        assert_eq!(key.public_key().to_vec(), bytes(row, "public_key"));
        assert_eq!(signature.to_vec(), bytes(row, "signature"));
        ed25519::verify(key.public_key(), &message, &signature).expect("good");
    }
}

#[test]
fn bip340() {
    for row in rows(&load("bip340.json"), "vectors") {
        let (message, signature) = (bytes(row, "message"), bytes(row, "signature"));
        let judged = secp256k1::verify_schnorr(&bytes(row, "public_key"), &message, &signature);
        assert_eq!(
            judged.is_ok(),
            row["valid"].as_bool().expect("a bool"),
            "{}",
            row["index"]
        );
        let secret = bytes(row, "secret_key");
        if !secret.is_empty() {
            let secret = secret.as_slice().try_into().expect("32 bytes");
            let key = secp256k1::PrivateKey::new(&Shelter::new(), secret).expect("a key");
            let aux_rand = bytes(row, "aux_rand").try_into().expect("32 bytes");
            let made = key.sign_schnorr(&message, &aux_rand).expect("unlocked");
            assert_eq!(made.to_vec(), signature);
        }
    }
}

#[test]
fn aes_256_gcm() {
    for row in rows(&load("aes256gcm.json"), "vectors") {
        let cipher = Cipher::new(bytes(row, "key").as_slice().try_into().expect("32 bytes"));
        let nonce = bytes(row, "nonce").try_into().expect("12 bytes");
        let (aad, plaintext) = (bytes(row, "associated_data"), bytes(row, "plaintext"));
        let mut buffer = plaintext.clone();
        let tag = cipher.seal(nonce, &aad, &mut buffer).expect("short enough");
        assert_eq!(buffer, bytes(row, "ciphertext"));
        assert_eq!(tag.to_vec(), bytes(row, "tag"));
        buffer.extend_from_slice(&tag);
        let mut opened = vec![0; plaintext.len()];
        cipher
            .open(nonce, &aad, &buffer, &mut opened)
            .expect("it opens");
        assert_eq!(opened, plaintext);
    }
}

//! Ed25519 keys as OpenSSH writes them: the public line, the fingerprint, the private key file.

use core::fmt;

use base64_turbo::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey as KeyFile};
use zeroize::Zeroizing;

use super::BadKey;
use super::ed25519::{self, KEY_BYTES};
use crate::random;
use crate::secret::Shelter;
use crate::vault::Error;

const KIND: &str = "ssh-ed25519";

/// What `ssh-keygen` takes; about a tenth of a second for each guess at the passphrase.
const BCRYPT_ROUNDS: u32 = 16;
const BCRYPT_SALT_BYTES: usize = 16;

/// The key as it travels in the SSH protocol (RFC 8709, section 4): two strings, each with its
/// length in front.
fn blob(public: &[u8; KEY_BYTES]) -> Vec<u8> {
    let mut blob = vec![0, 0, 0, 11];
    blob.extend_from_slice(KIND.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 32]);
    blob.extend_from_slice(public);
    blob
}

/// `SHA256:` and the unpadded base64 of the hash, as `ssh-keygen -l` prints it.
#[must_use]
pub fn fingerprint(public: &[u8; KEY_BYTES]) -> String {
    format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(Sha256::digest(blob(public)))
    )
}

/// The line of an `authorized_keys` or `.pub` file, without its end.
///
/// # Errors
/// *comment* would not stay on the line.
pub fn public_line(public: &[u8; KEY_BYTES], comment: &str) -> Result<String, Error> {
    check_comment(comment)?;
    let key = STANDARD.encode(blob(public));
    Ok(format!("{KIND} {key} {comment}").trim_end().to_owned())
}

fn check_comment(comment: &str) -> Result<(), Error> {
    if comment.chars().any(char::is_control) {
        return Err(Error::Input(
            "the comment of an SSH key is one line of text, without control characters".into(),
        ));
    }
    Ok(())
}

/// Read what [`public_line`] writes: the key and the comment.
///
/// # Errors
/// It is another kind of key, has options in front, or is no key.
pub fn parse_public_line(line: &str) -> Result<([u8; KEY_BYTES], String), BadKey> {
    let line = line.trim();
    let mut parts = line.splitn(3, [' ', '\t']);
    let kind = parts.next().unwrap_or_default();
    if kind != KIND {
        return Err(BadKey(wrong_kind(kind, line)));
    }
    let damaged = || {
        BadKey(format!(
            "the {KIND} key is damaged: the middle of its line was cut or altered"
        ))
    };
    let key = STANDARD
        .decode(parts.next().unwrap_or_default())
        .map_err(|_| damaged())?;
    let public = key.last_chunk::<KEY_BYTES>().ok_or_else(damaged)?;
    if key != blob(public) {
        return Err(damaged());
    }
    Ok((*public, parts.next().unwrap_or_default().trim().to_owned()))
}

fn wrong_kind(kind: &str, line: &str) -> String {
    if line.contains('\n') {
        return "an SSH public key is one line; these are several".into();
    }
    if line.contains("PRIVATE KEY") {
        return "this is a private key file, and the public line was asked for".into();
    }
    let known = ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|family| kind.starts_with(family));
    if known && kind.len() < 64 && kind.chars().all(|c| c.is_ascii_graphic()) {
        return format!(
            "the SSH key is of the kind {kind}, and only {KIND} is used here: \
             make one with `ssh-keygen -t ed25519`"
        );
    }
    format!("the line of an SSH public key begins with {KIND}, without options in front")
}

/// The file is an OpenSSH private key, and its passphrase does not open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongPassphrase;

impl fmt::Display for WrongPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the passphrase does not open this OpenSSH private key, or the file is damaged")
    }
}

/// Read an OpenSSH private key file, with its *passphrase* if it has one.
///
/// # Errors
/// It is no such file, of another kind, damaged, or needs another passphrase.
pub fn read_private_key(
    file: &[u8],
    passphrase: Option<&[u8]>,
) -> Result<(ed25519::PrivateKey, String), Error> {
    let bad = |sentence: &str| Error::from(BadKey(sentence.into()));
    let key = unarmor(file).and_then(|bytes| KeyFile::from_bytes(&bytes).ok());
    let mut key = key.ok_or_else(|| {
        bad(
            "this is no OpenSSH private key: the file begins with `-----BEGIN OPENSSH PRIVATE \
             KEY-----` (`ssh-keygen -p -f FILE` turns an older format into it)",
        )
    })?;
    if key.is_encrypted() {
        let passphrase = passphrase
            .filter(|passphrase| !passphrase.is_empty())
            .ok_or_else(|| bad("this OpenSSH private key is encrypted: give its passphrase"))?;
        key = key
            .decrypt(passphrase)
            .map_err(|_| Error::Passphrase(WrongPassphrase))?;
    }
    let KeypairData::Ed25519(pair) = key.key_data() else {
        return Err(bad(
            "this OpenSSH private key is not of the kind ssh-ed25519, and only that is used \
             here: make one with `ssh-keygen -t ed25519`",
        ));
    };
    let private = ed25519::PrivateKey::new(Shelter::of_the_process(), pair.private.as_ref())?;
    if *private.public_key() != pair.public.0 {
        return Err(bad(
            "the public half in this OpenSSH private key is not that of its private half",
        ));
    }
    Ok((private, key.comment().to_owned()))
}

/// The bytes between the two marks. Lines may be of any length: OpenSSH breaks them after 70
/// letters and others after 64 or 76, which the library would refuse.
fn unarmor(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let inside = file
        .trim_ascii()
        .strip_prefix(b"-----BEGIN OPENSSH PRIVATE KEY-----")?
        .strip_suffix(b"-----END OPENSSH PRIVATE KEY-----")?;
    let mut letters = Zeroizing::new(Vec::with_capacity(inside.len()));
    letters.extend(inside.iter().filter(|byte| !byte.is_ascii_whitespace()));
    STANDARD.decode(&letters[..]).ok().map(Zeroizing::new)
}

/// Write *key* as an OpenSSH private key file, encrypted (bcrypt, AES-256) if *passphrase* is given
/// and not empty.
///
/// # Errors
/// The vault it came from was locked; *comment* has a control character in it.
pub fn write_private_key(
    key: &ed25519::PrivateKey,
    comment: &str,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>, Error> {
    check_comment(comment)?;
    let failed = |_| Error::Internal("an OpenSSH private key could not be written");
    let cell = key.reveal()?;
    let seed = cell
        .first_chunk()
        .ok_or(Error::Internal("a cell is 64 bytes"))?;
    let pair = Ed25519Keypair {
        public: ssh_key::public::Ed25519PublicKey(*key.public_key()),
        private: Ed25519PrivateKey::from_bytes(seed),
    };
    let mut file = KeyFile::new(KeypairData::Ed25519(pair), comment).map_err(failed)?;
    if let Some(passphrase) = passphrase.filter(|passphrase| !passphrase.is_empty()) {
        let mut random = [0; BCRYPT_SALT_BYTES + 4];
        random::fill(&mut random)?;
        let (salt, check) = random.split_at(BCRYPT_SALT_BYTES);
        let kdf = Kdf::Bcrypt {
            salt: salt.to_vec(),
            rounds: BCRYPT_ROUNDS,
        };
        // Any number will do: it stands twice in the file, so that a reader can tell whether the
        // passphrase was right.
        let check = check
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte));
        file = file
            .encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase)
            .map_err(failed)?;
    }
    file.to_openssh(LineEnding::LF).map_err(failed)
}

//! The path of a site's password: `m/74'/1'/0'/{hash}'`.

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::error::Error;
use super::keyring::PURPOSE;
use super::path::{DerivationPath, HARDENED};

/// The path whose last index is the first 31 bits of SHA-256 of the site's name.
///
/// The name is what a person means by it, so that the password is found again: white space around
/// it, capitals and a dot at the end do not count, a URL stands for its host (and port, if it names
/// one), and letters that look the same are the same (NFKC).
///
/// # Errors
/// Nothing is left of the name.
pub fn site_path(site: &str) -> Result<DerivationPath, Error> {
    let name = normalise(site);
    if name.is_empty() {
        return Err(Error::Input("the name of the site is empty".into()));
    }
    let hash = Sha256::digest(name);
    let bits = hash
        .iter()
        .take(4)
        .fold(0, |bits: u32, byte| bits << 8 | u32::from(*byte))
        >> 1;
    Ok(DerivationPath::from_indices([
        PURPOSE,
        1 | HARDENED,
        HARDENED,
        bits | HARDENED,
    ])?)
}

fn normalise(site: &str) -> String {
    let mut name = site.trim();
    if let Some((_, rest)) = name.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        name = authority.rsplit('@').next().unwrap_or_default();
    }
    name.nfkc()
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect::<String>()
        .trim_end_matches('.')
        .into()
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn a_name_is_what_a_person_means_by_it() {
        for (site, name) in [
            ("example.com", "example.com"),
            ("  Example.COM. ", "example.com"),
            ("https://user@Example.com/login?next=/#top", "example.com"),
            ("https://example.com:8443", "example.com:8443"),
            ("My Bank", "my bank"),
            ("BÜCHER.example", "bücher.example"),
            ("ｅｘａｍｐｌｅ.com", "example.com"),
            ("https:///", ""),
            (" . ", ""),
        ] {
            assert_eq!(normalise(site), name, "{site:?}");
        }
    }
}

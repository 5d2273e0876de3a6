//! Shares that we make, and what becomes of those that do not fit (SLIP-0039).

use alknet_core::vault::slip39::{BadShare, Scheme, Share, ShareSet, split};
use alknet_core::vault::{Error, Mnemonic};

const SCHEME: Scheme<'_> = Scheme {
    group_threshold: 1,
    groups: &[(2, 3)],
    iteration_exponent: 0,
    is_extendable: true,
};

fn texts(secret: &[u8], passphrase: &[u8], scheme: &Scheme<'_>) -> Vec<Vec<String>> {
    let groups = split(secret, passphrase, scheme).expect("a scheme");
    let texts = |group: &Vec<Share>| {
        group
            .iter()
            .map(|share| share.words().to_string())
            .collect()
    };
    groups.iter().map(texts).collect()
}

fn set_of<'a>(shares: impl IntoIterator<Item = &'a String>) -> Result<ShareSet, BadShare> {
    let mut set = ShareSet::new();
    for share in shares {
        set.add(Share::parse(share.as_bytes())?)?;
    }
    Ok(set)
}

fn secret(set: &ShareSet, passphrase: &[u8]) -> Result<Vec<u8>, Error> {
    set.secret(passphrase)
        .map(|(secret, bytes)| secret[..bytes].to_vec())
}

#[test]
fn what_was_split_comes_back_from_enough_groups_and_from_fewer_does_not() {
    let scheme = Scheme {
        group_threshold: 2,
        groups: &[(1, 1), (2, 3), (3, 5)],
        ..SCHEME
    };
    for bytes in [16, 18, 24, 32, 64] {
        let whole: Vec<u8> = (0..bytes).collect();
        let groups = texts(&whole, b"horse", &scheme);
        let some = [&groups[1][2], &groups[1][0], &groups[0][0]];
        let set = set_of(some).expect("they fit");
        assert_eq!(set.missing(), Some(0));
        assert_eq!(secret(&set, b"horse"), Ok(whole.clone()));
        assert_ne!(secret(&set, b"mule"), Ok(whole));
        let few = set_of(&groups[2][..2]).expect("they fit");
        assert_eq!(few.missing(), Some(2));
        assert_eq!(
            secret(&few, b""),
            Err(Error::Share(BadShare::Missing { shares: 2 }))
        );
    }
}

#[test]
fn a_phrase_of_any_length_comes_back_word_for_word() {
    for words in [12, 15, 18, 21, 24] {
        let phrase = Mnemonic::generate(words).expect("random");
        for is_extendable in [false, true] {
            let shares = phrase.split(3, 4, b"", 1, is_extendable).expect("a scheme");
            let mut set = ShareSet::new();
            for share in shares.into_iter().skip(1) {
                assert_eq!(share.iteration_exponent(), 1);
                set.add(share).expect("it fits");
            }
            let again = set.mnemonic(b"").expect("a phrase");
            assert_eq!(again.phrase(), phrase.phrase());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_what_was_given_stays() {
    let shares = &texts(&[1; 16], b"", &SCHEME)[0];
    let others = &texts(&[1; 16], b"", &SCHEME)[0];
    let mut set = ShareSet::new();
    assert_eq!(set.missing(), None);
    let mut add = |text: &str| -> Result<Option<usize>, BadShare> {
        let share = Share::parse(text.as_bytes())?;
        set.add(share).map(|()| set.missing())
    };
    assert_eq!(add(&shares[0]), Ok(Some(1)));
    assert_eq!(add(&shares[0].to_uppercase()), Err(BadShare::Given));
    assert_eq!(add(&others[1]), Err(BadShare::OtherSet));
    let mistyped = shares[1].replacen(' ', " x", 1);
    assert_eq!(add(&mistyped), Err(BadShare::UnknownWord { position: 2 }));
    let (rest, last) = shares[1].rsplit_once(' ').expect("words");
    let other = if last == "academic" {
        "acid"
    } else {
        "academic"
    };
    let wrong = format!("{rest} {other}");
    assert_eq!(add(&wrong), Err(BadShare::Checksum { suspect: Some(20) }));
    assert_eq!(add(&shares[1]), Ok(Some(0)));
    assert_eq!(add(&shares[2]), Err(BadShare::NotNeeded));
    assert_eq!(set.given(), 2);
    assert_eq!(secret(&set, b""), Ok(vec![1; 16]));
    set.clear();
    assert_eq!((set.given(), set.missing()), (0, None));
}

#[test]
fn a_share_is_read_as_people_type_it() {
    let share = &texts(&[1; 16], b"", &SCHEME)[0][0];
    let typed = format!("  {}\n", share.replace(' ', " \t\n\u{3000}").to_uppercase());
    let read = Share::parse(typed.as_bytes()).expect("a share");
    assert_eq!(*read.words(), *share);
    assert_eq!(Share::parse(b"\xff").err(), Some(BadShare::NotText));
    assert_eq!(
        Share::parse(b"academic").err(),
        Some(BadShare::WordCount { found: 1 })
    );
}

#[test]
fn there_is_no_scheme_that_nobody_could_fulfil() {
    for (scheme, words) in [
        (
            Scheme {
                groups: &[(3, 2)],
                ..SCHEME
            },
            "3 of 2 shares",
        ),
        (
            Scheme {
                groups: &[(0, 2)],
                ..SCHEME
            },
            "0 of 2 shares",
        ),
        (
            Scheme {
                groups: &[(2, 17)],
                ..SCHEME
            },
            "2 of 17 shares",
        ),
        (
            Scheme {
                groups: &[(1, 3)],
                ..SCHEME
            },
            "the same share 3 times",
        ),
        (
            Scheme {
                groups: &[],
                ..SCHEME
            },
            "1 of 0 groups",
        ),
        (
            Scheme {
                group_threshold: 2,
                ..SCHEME
            },
            "2 of 1 groups",
        ),
        (
            Scheme {
                group_threshold: 0,
                ..SCHEME
            },
            "0 of 1 groups",
        ),
        (
            Scheme {
                groups: &[(2, 3); 17],
                ..SCHEME
            },
            "1 of 17 groups",
        ),
        (
            Scheme {
                iteration_exponent: 16,
                ..SCHEME
            },
            "0 to 15, not 16",
        ),
    ] {
        let error = split(&[1; 16], b"", &scheme).err().expect("refused");
        assert!(error.to_string().contains(words), "{error}");
    }
    for bytes in [0, 15, 17, 65, 66] {
        let error = split(&vec![1; bytes], b"", &SCHEME).err().expect("refused");
        assert!(
            error.to_string().contains("an even 16 to 64 bytes"),
            "{error}"
        );
    }
    let error = split(&[1; 16], "ü".as_bytes(), &SCHEME)
        .err()
        .expect("refused");
    assert!(error.to_string().contains("printable characters of ASCII"));
}

#[test]
fn a_secret_that_no_phrase_stands_for_is_said_to_be_none() {
    let shares = &texts(&[1; 18], b"", &SCHEME)[0];
    let set = set_of(&shares[..2]).expect("they fit");
    assert_eq!(
        set.mnemonic(b"").err(),
        Some(Error::Share(BadShare::NoPhrase { bytes: 18 }))
    );
}

//! A secret in shares.

use alknet_guard::Cell;

use super::share::{Header, LONGEST_SECRET, SHORTEST_SECRET, Share};
use super::{cipher, sharing};
use crate::random;
use crate::secret::scrub_stack;
use crate::vault::{Error, Mnemonic};

/// There are no more groups, and no more shares in one.
const MOST: u8 = 16;
const MOST_EXPONENT: u8 = 15;

/// How a secret is shared out.
#[derive(Clone, Copy, Debug)]
pub struct Scheme<'a> {
    /// Of how many groups there must be enough shares.
    pub group_threshold: u8,
    /// For each group, how many of its shares are enough, and how many there are.
    pub groups: &'a [(u8, u8)],
    /// The passphrase costs whoever guesses it 10000 times two to this power rounds.
    pub iteration_exponent: u8,
    /// Whether another set of shares of the same encrypted secret may be made one day.
    pub is_extendable: bool,
}

impl Scheme<'_> {
    /// # Errors
    /// There is no such scheme; the sentence says why.
    fn check(&self) -> Result<(), Error> {
        let no = |sentence: String| Err(Error::Input(sentence));
        if self.iteration_exponent > MOST_EXPONENT {
            return no(format!(
                "the exponent of iterations is 0 to {MOST_EXPONENT}, not {}",
                self.iteration_exponent
            ));
        }
        let groups = self.groups.len();
        if groups > usize::from(MOST) || !(1..=groups).contains(&self.group_threshold.into()) {
            return no(format!(
                "{} of {groups} groups cannot be asked for: there are 1 to {MOST} groups, and no \
                 more are needed than there are",
                self.group_threshold
            ));
        }
        for (threshold, count) in self.groups {
            if *count > MOST || !(1..=*count).contains(threshold) {
                return no(format!(
                    "{threshold} of {count} shares cannot be asked for: there are 1 to {MOST} \
                     shares, and no more are needed than there are"
                ));
            }
            if *threshold == 1 && *count > 1 {
                return no(format!(
                    "1 of {count} shares would be the same share {count} times: make one, and \
                     give it to each"
                ));
            }
        }
        Ok(())
    }
}

/// Encrypt *secret* with *passphrase* and share it out: the shares of each group.
///
/// # Errors
/// *secret* is not an even 16 to 64 bytes; there is no such scheme; *passphrase* is not printable
/// ASCII; the system has no randomness.
pub fn split(
    secret: &[u8],
    passphrase: &[u8],
    scheme: &Scheme<'_>,
) -> Result<Vec<Vec<Share>>, Error> {
    scheme.check()?;
    let bytes = secret.len();
    if !(SHORTEST_SECRET..=LONGEST_SECRET).contains(&bytes) || bytes % 2 == 1 {
        return Err(Error::Input(format!(
            "a secret to share has an even {SHORTEST_SECRET} to {LONGEST_SECRET} bytes, not {bytes}"
        )));
    }
    let mut identifier = [0; 2];
    random::fill(&mut identifier)?;
    let group_count = u8::try_from(scheme.groups.len()).unwrap_or(MOST);
    let header = Header {
        identifier: u16::from_be_bytes(identifier) >> 1,
        is_extendable: scheme.is_extendable,
        iteration_exponent: scheme.iteration_exponent,
        group_threshold: scheme.group_threshold,
        group_count,
        bytes,
    };
    let mut encrypted = Cell::holding(secret);
    cipher::encrypt(&header, passphrase, &mut encrypted[..bytes])?;
    let groups = sharing::split(scheme.group_threshold, group_count, &encrypted[..bytes])?;
    let mut shares = Vec::with_capacity(groups.len());
    for ((group, (threshold, count)), value) in (0..).zip(scheme.groups).zip(groups) {
        let members = sharing::split(*threshold, *count, &value[..bytes])?;
        let share = |(member, value)| Share {
            header,
            group,
            member,
            threshold: *threshold,
            value,
        };
        shares.push((0..).zip(members).map(share).collect());
    }
    scrub_stack();
    Ok(shares)
}

impl Mnemonic {
    /// Share the entropy of this phrase out to *count* people, *threshold* of whom give it back.
    ///
    /// # Errors
    /// As [`split`].
    pub fn split(
        &self,
        threshold: u8,
        count: u8,
        passphrase: &[u8],
        iteration_exponent: u8,
        is_extendable: bool,
    ) -> Result<Vec<Share>, Error> {
        let scheme = Scheme {
            group_threshold: 1,
            groups: &[(threshold, count)],
            iteration_exponent,
            is_extendable,
        };
        let (entropy, bytes) = self.entropy();
        let mut groups = split(&entropy[..bytes], passphrase, &scheme)?;
        groups
            .pop()
            .ok_or(Error::Internal("a scheme has a group at least"))
    }
}

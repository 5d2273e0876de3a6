//! Shares as they come in, until there are enough.

use std::collections::BTreeMap;

use alknet_guard::Cell;

use super::error::BadShare;
use super::share::{Header, Share};
use super::{cipher, sharing};
use crate::secret::{Locked, scrub_stack};
use crate::vault::mnemonic::is_entropy;
use crate::vault::{Error, Mnemonic};

/// Shares of one secret; wiped on drop.
///
/// A share that is refused changes nothing: those that were given before stay.
#[derive(Default)]
pub struct ShareSet {
    header: Option<Header>,
    groups: BTreeMap<u8, Vec<Share>>,
}

impl ShareSet {
    /// A set with no share yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take *share* in.
    ///
    /// # Errors
    /// It is of another set, was given already, or is not needed; see [`BadShare`].
    pub fn add(&mut self, share: Share) -> Result<(), BadShare> {
        if self.header.is_some_and(|header| header != share.header) {
            return Err(BadShare::OtherSet);
        }
        let group = self.groups.get(&share.group).map_or(&[][..], |group| group);
        if let Some(other) = group.first()
            && other.threshold != share.threshold
        {
            return Err(BadShare::OtherThreshold);
        }
        if let Some(other) = group.iter().find(|other| other.member == share.member) {
            // What was typed is told from what is there in whatever time it takes: both are known
            // to whoever could measure it.
            let is_it = other.value() == share.value();
            return Err(if is_it {
                BadShare::Given
            } else {
                BadShare::Twice
            });
        }
        if self.missing() == Some(0) || is_whole(group) {
            return Err(BadShare::NotNeeded);
        }
        self.header = Some(share.header);
        self.groups.entry(share.group).or_default().push(share);
        Ok(())
    }

    /// How many shares are there.
    #[must_use]
    pub fn given(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    /// How many more are needed, at least; None before the first, which is the first to tell.
    ///
    /// Of a group of which no share was given it is not known how many it needs: one is counted.
    #[must_use]
    pub fn missing(&self) -> Option<usize> {
        let wanted = usize::from(self.header?.group_threshold);
        let mut missing: Vec<usize> = self.groups.values().map(|group| lacking(group)).collect();
        missing.sort_unstable();
        let begun = missing.len().min(wanted);
        Some(missing[..begun].iter().sum::<usize>() + wanted - begun)
    }

    /// What the passphrase costs; see [`Share::iteration_exponent`].
    #[must_use]
    pub fn iteration_exponent(&self) -> Option<u8> {
        self.header.map(|header| header.iteration_exponent)
    }

    /// Wipe every share.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The secret, and how many bytes it has.
    ///
    /// Another *passphrase* than that which it was shared with gives another secret.
    ///
    /// # Errors
    /// There are not enough shares, or they do not fit together; *passphrase* is not printable
    /// ASCII; a forked process inherits no shares.
    pub fn secret(&self, passphrase: &[u8]) -> Result<(Cell, usize), Error> {
        let shares = match self.missing() {
            Some(0) => None,
            Some(shares) => Some(shares),
            None => Some(1),
        };
        let (None, Some(header)) = (shares, self.header) else {
            return Err(BadShare::Missing {
                shares: shares.unwrap_or(1),
            }
            .into());
        };
        let mut values = Vec::new();
        for (index, group) in self.groups.iter().filter(|(_, group)| is_whole(group)) {
            if !group.iter().all(|share| share.value.is_intact()) {
                return Err(Locked.into());
            }
            let points: Vec<_> = group
                .iter()
                .map(|share| (share.member, share.value()))
                .collect();
            values.push((*index, sharing::recover(&points)?));
        }
        let points: Vec<_> = values
            .iter()
            .map(|(index, value)| (*index, &value[..header.bytes]))
            .collect();
        let mut secret = sharing::recover(&points)?;
        cipher::decrypt(&header, passphrase, &mut secret[..header.bytes])?;
        scrub_stack();
        Ok((secret, header.bytes))
    }

    /// The phrase whose entropy the secret is.
    ///
    /// # Errors
    /// As [`Self::secret`]; the secret is as long as the entropy of no phrase.
    pub fn mnemonic(&self, passphrase: &[u8]) -> Result<Mnemonic, Error> {
        let bytes = self.header.map_or(0, |header| header.bytes);
        if self.header.is_some() && !is_entropy(bytes) {
            return Err(BadShare::NoPhrase { bytes }.into());
        }
        let (secret, bytes) = self.secret(passphrase)?;
        Ok(Mnemonic::from_entropy(&secret[..bytes]))
    }
}

fn lacking(group: &[Share]) -> usize {
    let wanted = group
        .first()
        .map_or(1, |share| usize::from(share.threshold));
    wanted.saturating_sub(group.len())
}

fn is_whole(group: &[Share]) -> bool {
    lacking(group) == 0
}

//! How often each key version has sealed: random nonces wear a key out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::Error;

/// Seals under one key version after which the vault refuses: with random nonces of 12 bytes, two
/// may then meet with a chance of one in 2^32 (SP 800-38D, section 8.3).
pub const MAX_SEALS: u64 = 1 << 32;

/// Seals under one key version after which the caller is told to rotate, once.
pub const MANY_SEALS: u64 = 1 << 31;

/// Counts in memory: they are forgotten with the process, unless the caller writes them down and
/// resumes from them.
#[derive(Default)]
pub struct SealCounts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: BTreeMap<u32, u64>,
    /// A key version that has just passed [`MANY_SEALS`] and whose caller has not been told.
    worn: Option<u32>,
}

impl SealCounts {
    /// Each key version that has sealed, and how often.
    #[must_use]
    pub fn get(&self) -> Vec<(u32, u64)> {
        self.state()
            .counts
            .iter()
            .map(|(version, count)| (*version, *count))
            .collect()
    }

    /// Go on from *counts*, which an earlier run wrote down.
    pub fn resume(&self, counts: impl IntoIterator<Item = (u32, u64)>) {
        self.state().counts.extend(counts);
    }

    /// The key version that has just passed [`MANY_SEALS`]; each is returned once.
    #[must_use]
    pub fn take_worn(&self) -> Option<u32> {
        self.state().worn.take()
    }

    /// Count *more* seals that are about to be made.
    ///
    /// # Errors
    /// They would pass [`MAX_SEALS`]; none was counted.
    pub(super) fn add(&self, key_version: u32, more: u64) -> Result<(), Error> {
        let mut state = self.state();
        let count = state.counts.entry(key_version).or_default();
        let before = *count;
        let after = before.saturating_add(more);
        if after > MAX_SEALS {
            return Err(Error::Input(format!(
                "key_version {key_version} has sealed {before} values, and 2^32 is the most that \
                 random nonces allow: seal under key_version {} and rotate what there is",
                key_version.saturating_add(1)
            )));
        }
        *count = after;
        if before < MANY_SEALS && after >= MANY_SEALS {
            state.worn = Some(key_version);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_worn_once_and_then_spent() {
        let counts = SealCounts::default();
        counts.resume([(2, MANY_SEALS - 2)]);
        counts.add(2, 1).expect("fresh");
        assert_eq!(counts.take_worn(), None);
        counts.add(2, 1).expect("worn");
        assert_eq!(counts.take_worn(), Some(2));
        assert_eq!(counts.take_worn(), None);
        counts.resume([(2, MAX_SEALS - 1)]);
        assert!(counts.add(2, 2).is_err());
        counts.add(2, 1).expect("the last");
        assert!(counts.add(2, 1).is_err());
        counts.add(3, 1).expect("another key");
        assert_eq!(counts.get(), [(2, MAX_SEALS), (3, 1)]);
    }
}

//! Derived keys that are kept for a while: the least recently used goes first, the old go anyway.
//!
//! An entry is named by its curve *and* its path: the same path leads to another key on another
//! curve.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::path::DerivationPath;
use crate::secret::Secret;
use crate::sign::{ed25519, secp256k1};

/// What an entry is the answer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Ed25519Key(DerivationPath),
    Ed25519Node(DerivationPath),
    Secp256k1Key(DerivationPath),
    Secp256k1Node(DerivationPath),
    EncryptionKey(u32),
}

/// What is kept; the bytes themselves are in the shelter.
#[derive(Clone)]
pub(super) enum Kept {
    Ed25519(Arc<ed25519::PrivateKey>),
    Secp256k1(Arc<secp256k1::PrivateKey>),
    Secret(Arc<Secret>),
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most entries; 0 keeps nothing.
    pub entries: usize,
    /// How long an entry may be used after it was derived.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 64,
            lifetime: Duration::from_hours(1),
        }
    }
}

pub(super) struct Cache<V = Kept> {
    entries: Option<LruCache<Asked, (Instant, V)>>,
    lifetime: Duration,
    /// When the oldest entry dies: until then there is nothing to sweep.
    next_death: Option<Instant>,
}

impl<V: Clone> Cache<V> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            // Unbounded, and bounded by hand: `LruCache::new` would take the memory at once.
            entries: NonZeroUsize::new(limits.entries).map(|entries| {
                let mut cache = LruCache::unbounded();
                cache.resize(entries);
                cache
            }),
            lifetime: limits.lifetime,
            next_death: None,
        }
    }

    pub(super) fn get(&mut self, asked: &Asked, now: Instant) -> Option<V> {
        self.sweep(now);
        self.entries
            .as_mut()?
            .get(asked)
            .map(|(_, kept)| kept.clone())
    }

    pub(super) fn put(&mut self, asked: Asked, kept: V, now: Instant) {
        self.sweep(now);
        if let Some(entries) = &mut self.entries {
            entries.push(asked, (now, kept));
            self.next_death = self.next_death.or(now.checked_add(self.lifetime));
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(entries) = &mut self.entries {
            entries.clear();
        }
        self.next_death = None;
    }

    /// Drop what is too old, whether anybody asks for it or not.
    fn sweep(&mut self, now: Instant) {
        let Some(entries) = &mut self.entries else {
            return;
        };
        if self.next_death.is_none_or(|death| now < death) {
            return;
        }
        let too_old = |born: Instant| now.saturating_duration_since(born) >= self.lifetime;
        let dead: Vec<Asked> = entries
            .iter()
            .filter(|(_, (born, _))| too_old(*born))
            .map(|(asked, _)| asked.clone())
            .collect();
        for asked in &dead {
            entries.pop(asked);
        }
        let oldest = entries.iter().map(|(_, (born, _))| *born).min();
        self.next_death = oldest.and_then(|born| born.checked_add(self.lifetime));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: usize) -> Cache<u32> {
        Cache::new(Limits {
            entries,
            lifetime: Duration::from_secs(10),
        })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let (mut cache, now) = (cache(2), Instant::now());
        cache.put(Asked::EncryptionKey(1), 1, now);
        cache.put(Asked::EncryptionKey(2), 2, now);
        assert_eq!(cache.get(&Asked::EncryptionKey(1), now), Some(1));
        cache.put(Asked::EncryptionKey(3), 3, now);
        assert_eq!(cache.get(&Asked::EncryptionKey(2), now), None);
        assert_eq!(cache.get(&Asked::EncryptionKey(1), now), Some(1));
        assert_eq!(cache.get(&Asked::EncryptionKey(3), now), Some(3));
    }

    #[test]
    fn an_entry_dies_of_age_though_it_is_used_all_the_time() {
        let (mut cache, start) = (cache(8), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        cache.put(Asked::EncryptionKey(1), 1, start);
        cache.put(Asked::EncryptionKey(2), 2, after(5));
        for second in 0..10 {
            assert_eq!(cache.get(&Asked::EncryptionKey(1), after(second)), Some(1));
        }
        assert_eq!(cache.get(&Asked::EncryptionKey(1), after(10)), None);
        assert_eq!(cache.get(&Asked::EncryptionKey(2), after(14)), Some(2));
        assert_eq!(cache.get(&Asked::EncryptionKey(2), after(15)), None);
    }

    #[test]
    fn the_dead_are_swept_though_nobody_asks_for_them() {
        let (mut cache, start) = (cache(8), Instant::now());
        cache.put(Asked::EncryptionKey(1), 1, start);
        cache.put(Asked::EncryptionKey(2), 2, start + Duration::from_secs(11));
        assert_eq!(cache.entries.as_ref().map(LruCache::len), Some(1));
    }

    #[test]
    fn the_same_path_on_two_curves_is_two_entries() {
        let (mut cache, now) = (cache(8), Instant::now());
        cache.put(Asked::Ed25519Key(DerivationPath::default()), 1, now);
        assert_eq!(
            cache.get(&Asked::Secp256k1Key(DerivationPath::default()), now),
            None
        );
        assert_eq!(
            cache.get(&Asked::Ed25519Node(DerivationPath::default()), now),
            None
        );
    }

    #[test]
    fn no_entries_means_nothing_is_kept() {
        let (mut cache, now) = (cache(0), Instant::now());
        cache.put(Asked::EncryptionKey(1), 1, now);
        assert_eq!(cache.get(&Asked::EncryptionKey(1), now), None);
    }
}

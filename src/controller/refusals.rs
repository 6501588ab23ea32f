//! Memory of failed writes: when to try again, so that a refused write is no hot loop.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::observe::cache::Key;

/// Time after which a write that was refused once is tried again though nothing changed: an API
/// server that has just started refuses everything until it has read who has which rights.
const TRY_AGAIN_SOON: SignedDuration = SignedDuration::from_secs(1);

/// The same for one that is refused again and again; the time doubles up to this. A quota may have
/// room, a webhook may be mended.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(15);

/// Longest pause between retries of a write that could not be sent, in milliseconds.
const LONGEST_RETRY_MILLIS: i64 = 15_000;

/// Memory of failed writes.
#[derive(Debug, Default)]
pub struct Refusals {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    refused: BTreeMap<Key, Refused>,
    retries: BTreeMap<Key, u32>,
    told: BTreeMap<Key, String>,
}

/// The last refused write for an object.
#[derive(Clone, Debug)]
struct Refused {
    generation: i64,
    words: String,
    until: Timestamp,
    pause: SignedDuration,
}

impl Refusals {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that a write for this generation of the spec was refused, and in which words.
    /// Returns when to try again.
    pub fn remember(&self, key: &Key, generation: i64, words: String, now: Timestamp) -> Timestamp {
        let mut inner = self.inner();
        let before = inner.refused.get(key).filter(|refused| refused.generation == generation);
        let pause = before.map_or(TRY_AGAIN_SOON, |refused| TRY_AGAIN.min(refused.pause * 2));
        let until = now.checked_add(pause).unwrap_or(now);
        inner.refused.insert(key.clone(), Refused { generation, words, until, pause });
        until
    }

    /// Until when not to try again, if a write for this generation was refused.
    pub fn until(&self, key: &Key, generation: i64, now: Timestamp) -> Option<Timestamp> {
        let inner = self.inner();
        let refused = inner.refused.get(key)?;
        (refused.generation == generation && refused.until > now).then_some(refused.until)
    }

    /// What was said of the last write for this generation, if that was refused.
    pub fn words(&self, key: &Key, generation: i64) -> Option<String> {
        let inner = self.inner();
        let refused = inner.refused.get(key).filter(|refused| refused.generation == generation)?;
        Some(refused.words.clone())
    }

    /// Milliseconds until the next retry of a write that could not be sent; they double each time.
    pub fn next_retry(&self, key: &Key) -> i64 {
        let mut inner = self.inner();
        let retries = inner.retries.entry(key.clone()).or_insert(0);
        *retries = retries.saturating_add(1);
        (10_i64 << (*retries).min(12)).min(LONGEST_RETRY_MILLIS)
    }

    /// All is well again.
    pub fn forget(&self, key: &Key) {
        let mut inner = self.inner();
        inner.refused.remove(key);
        inner.retries.remove(key);
        inner.told.remove(key);
    }

    /// Whether `message` differs from what was told of this object last.
    pub fn is_news(&self, key: &Key, message: &str) -> bool {
        let before = self.inner().told.insert(key.clone(), message.to_owned());
        before.as_deref() != Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_spec_is_tried_at_once_the_same_one_later() {
        let refusals = Refusals::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let now = Timestamp::from_second(100).unwrap();
        let until = refusals.remember(&key, 1, "no".into(), now);
        assert_eq!(refusals.until(&key, 1, now), Some(until));
        assert_eq!(refusals.until(&key, 2, now), None);
        assert_eq!(refusals.until(&key, 1, until), None);
        assert_eq!(refusals.words(&key, 1).as_deref(), Some("no"), "until it goes through");
    }

    #[test]
    fn what_is_refused_once_is_tried_again_soon_and_then_ever_later() {
        let refusals = Refusals::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let now = Timestamp::from_second(100).unwrap();
        let pause = |generation| {
            let until = refusals.remember(&key, generation, "no".into(), now);
            until.duration_since(now).as_secs()
        };
        let pauses: Vec<i64> = (0..6).map(|_| pause(1)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
        assert_eq!(pause(2), 1, "a new spec may be right");
    }

    #[test]
    fn retries_grow_apart_up_to_a_limit() {
        let refusals = Refusals::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let waits: Vec<i64> = (0..12).map(|_| refusals.next_retry(&key)).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert_eq!(waits.last(), Some(&LONGEST_RETRY_MILLIS));
        refusals.forget(&key);
        assert_eq!(refusals.next_retry(&key), waits[0]);
    }
}

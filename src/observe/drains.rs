//! What was asked about requests to revisions whose pods are due to go, and what was answered.
//!
//! In: questions of plans, and answers of Prometheus. Out: a [`Drain`] for each revision. Nothing is
//! kept over a restart: then it is asked again, and all times begin anew.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::cache::Key;
use crate::world::drain::{Drain, Evidence};

/// Questions and answers, by Rollout and revision.
#[derive(Debug, Default)]
pub struct Drains {
    known: Mutex<BTreeMap<Key, BTreeMap<String, Drain>>>,
}

impl Drains {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Key, BTreeMap<String, Drain>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the revisions of a Rollout.
    pub fn of(&self, key: &Key) -> BTreeMap<String, Drain> {
        self.known().get(key).cloned().unwrap_or_default()
    }

    /// It is asked about the time after `since`.
    pub fn asked(&self, key: &Key, revision: &str, since: Timestamp, now: Timestamp) {
        let mut known = self.known();
        let revisions = known.entry(key.clone()).or_default();
        let new = Drain { since, begun: now, at: now, evidence: None, flowed: None };
        let drain = revisions.entry(revision.to_owned()).or_insert(new);
        if drain.since != since {
            (drain.since, drain.evidence) = (since, None);
        }
        drain.at = now;
    }

    /// The answer about the time after `since`; an answer to an older question counts no more.
    pub fn answered(
        &self,
        key: &Key,
        revision: &str,
        since: Timestamp,
        evidence: Evidence,
        now: Timestamp,
    ) {
        let mut known = self.known();
        let drain = known.get_mut(key).and_then(|revisions| revisions.get_mut(revision));
        let Some(drain) = drain.filter(|drain| drain.since == since) else { return };
        drain.at = now;
        match evidence {
            // Who was seen to send is not taken to have stopped because nobody says so.
            Evidence::NoAnswer if drain.flowed.is_some() && drain.evidence.is_some() => return,
            Evidence::Flowing(_) => drain.flowed = Some(now),
            _ => {}
        }
        drain.evidence = Some(evidence);
    }

    /// Forgets what is known of all revisions but these.
    pub fn keep<'r>(&self, key: &Key, revisions: impl Iterator<Item = &'r str>) {
        let mut known = self.known();
        let Some(of) = known.get_mut(key) else { return };
        let kept: Vec<&str> = revisions.collect();
        of.retain(|revision, _| kept.contains(&revision.as_str()));
        if of.is_empty() {
            known.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::drain::Flow;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn requests_seen_count_until_an_answer_says_otherwise() {
        let drains = Drains::default();
        let key = ("shop".to_owned(), "web".to_owned());
        let flowing = Evidence::Flowing(Flow::default());
        drains.asked(&key, "abc", at(10), at(40));
        drains.answered(&key, "abc", at(10), flowing.clone(), at(41));
        drains.answered(&key, "abc", at(10), Evidence::NoAnswer, at(46));
        assert_eq!(drains.of(&key)["abc"].evidence, Some(flowing.clone()));
        drains.answered(&key, "abc", at(9), Evidence::Quiet, at(47));
        assert_eq!(
            drains.of(&key)["abc"].evidence,
            Some(flowing.clone()),
            "that was another question"
        );
        drains.asked(&key, "abc", at(50), at(51));
        let known = drains.of(&key)["abc"].clone();
        assert_eq!((known.begun, known.flowed), (at(40), Some(at(41))), "the bound stays");
        assert_eq!(known.evidence, None);
        drains.keep(&key, ["other"].into_iter());
        assert!(drains.of(&key).is_empty());
    }
}

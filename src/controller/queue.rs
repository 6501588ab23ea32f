//! The work queue: who must look next.
//!
//! Ordered and without hidden state, so that the simulator and production drive the same one: urgent
//! items first (an abort is never behind other releases), then in the order in which they came; no
//! item twice; an item that is worked on waits until that is done. kube-runtime's scheduler knows no
//! priority, and its order depends on hash maps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// How soon an item must be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A command, a failed analysis: traffic may have to move at once.
    Urgent,
    /// Everything else.
    Normal,
}

/// The work queue.
#[derive(Debug)]
pub struct Queue<T> {
    waiting: BTreeMap<(Priority, u64), T>,
    places: BTreeMap<T, (Priority, u64)>,
    later: BTreeSet<(Timestamp, T)>,
    due: BTreeMap<T, Timestamp>,
    working: BTreeSet<T>,
    again: BTreeMap<T, Priority>,
    counter: u64,
}

impl<T: Ord + Clone> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            places: BTreeMap::new(),
            later: BTreeSet::new(),
            due: BTreeMap::new(),
            working: BTreeSet::new(),
            again: BTreeMap::new(),
            counter: 0,
        }
    }
}

impl<T: Ord + Clone> Queue<T> {
    /// Asks for a look at `item` as soon as possible.
    pub fn add(&mut self, item: T, priority: Priority) {
        if self.working.contains(&item) {
            let again = self.again.entry(item).or_insert(priority);
            *again = priority.min(*again);
            return;
        }
        if let Some(place) = self.places.get(&item).copied() {
            if place.0 <= priority {
                return;
            }
            self.waiting.remove(&place);
        }
        self.counter += 1;
        self.places.insert(item.clone(), (priority, self.counter));
        self.waiting.insert((priority, self.counter), item);
    }

    /// Asks for a look at `item` at `at`, instead of any later look asked for before.
    pub fn add_at(&mut self, item: T, at: Timestamp) {
        if let Some(before) = self.due.insert(item.clone(), at) {
            self.later.remove(&(before, item.clone()));
        }
        self.later.insert((at, item));
    }

    /// The next item to look at, if there is one.
    pub fn take(&mut self, now: Timestamp) -> Option<T> {
        while let Some((at, item)) = self.later.first() {
            if *at > now {
                break;
            }
            let (at, item) = (*at, item.clone());
            self.later.remove(&(at, item.clone()));
            self.due.remove(&item);
            self.add(item, Priority::Normal);
        }
        let (place, item) = self.waiting.pop_first()?;
        debug_assert_eq!(self.places.get(&item), Some(&place), "each waiting item has one place");
        self.places.remove(&item);
        if let Some(at) = self.due.remove(&item) {
            // The look that comes now says itself when the next one is needed.
            self.later.remove(&(at, item.clone()));
        }
        self.working.insert(item.clone());
        Some(item)
    }

    /// The look at `item` is over.
    pub fn done(&mut self, item: &T) {
        self.working.remove(item);
        if let Some(priority) = self.again.remove(item) {
            self.add(item.clone(), priority);
        }
    }

    /// When the next item becomes due, if none waits now.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Number of items that wait to be looked at now.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no item waits to be looked at now.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_abort_is_never_behind_other_releases() {
        let mut queue = Queue::default();
        for item in ["a", "b", "c"] {
            queue.add(item, Priority::Normal);
        }
        queue.add("c", Priority::Urgent);
        assert_eq!(queue.take(at(0)), Some("c"));
        assert_eq!(queue.take(at(0)), Some("a"));
        assert_eq!(queue.take(at(0)), Some("b"));
        assert_eq!(queue.take(at(0)), None, "raising the priority leaves no second entry");
    }

    #[test]
    fn an_item_is_never_worked_on_twice_at_once() {
        let mut queue = Queue::default();
        queue.add("a", Priority::Normal);
        assert_eq!(queue.take(at(0)), Some("a"));
        queue.add("a", Priority::Normal);
        queue.add("a", Priority::Urgent);
        assert_eq!(queue.take(at(0)), None);
        queue.done(&"a");
        assert_eq!(queue.take(at(0)), Some("a"), "what happened meanwhile is looked at");
        queue.done(&"a");
        assert_eq!(queue.take(at(0)), None);
    }

    #[test]
    fn a_look_asked_for_later_comes_in_time_and_once() {
        let mut queue = Queue::default();
        queue.add_at("a", at(10));
        queue.add_at("a", at(5));
        assert_eq!(queue.next_due(), Some(at(5)));
        assert_eq!(queue.take(at(4)), None);
        assert_eq!(queue.take(at(5)), Some("a"));
        queue.done(&"a");
        assert_eq!(queue.take(at(20)), None);
    }

    #[test]
    fn an_earlier_look_replaces_the_later_one() {
        let mut queue = Queue::default();
        queue.add_at("a", at(10));
        queue.add("a", Priority::Normal);
        assert_eq!(queue.take(at(0)), Some("a"));
        queue.done(&"a");
        assert_eq!(queue.next_due(), None);
    }
}

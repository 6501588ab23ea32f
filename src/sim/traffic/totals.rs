//! What became of the requests, for people.
//!
//! In: counts, scrape by scrape. Out: their sums by `VirtualService`, revision and image.

use std::collections::BTreeMap;

/// Whose requests are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    /// Namespace of the `VirtualService`, or of the Service without one.
    pub namespace: String,
    /// Its name.
    pub virtual_service: String,
    /// The pod's label `sluice.dev/revision`; empty if it has none, or if there was no pod.
    pub revision: String,
    /// The image of the pod's first container; empty if there was no pod.
    pub image: String,
}

/// How many requests, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests that users sent.
    pub sent: u64,
    /// Those of them that a pod answered with an error.
    pub errors: u64,
    /// Those of them that reached no pod.
    pub lost: u64,
    /// Copies of requests that reached a pod. Nobody gets their answers, so they count nowhere else.
    pub copies: u64,
}

/// All counts. Of a route of connections the connections are counted, none of them as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<Whose, Count>);

// === impl Count ===

impl Count {
    /// Requests that did not get what they wanted.
    pub fn failed(self) -> u64 {
        self.errors + self.lost
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            errors: self.errors + other.errors,
            lost: self.lost + other.lost,
            copies: self.copies + other.copies,
        }
    }
}

// === impl Totals ===

impl Totals {
    pub(super) fn add(&mut self, whose: &Whose, count: Count) {
        match self.0.get_mut(whose) {
            Some(found) => *found = found.plus(count),
            None => {
                self.0.insert(whose.clone(), count);
            }
        }
    }

    /// Each count.
    pub fn iter(&self) -> impl Iterator<Item = (&Whose, Count)> {
        self.0.iter().map(|(whose, count)| (whose, *count))
    }

    /// The sum of all counts.
    pub fn all(&self) -> Count {
        self.sum(|_| true)
    }

    /// The sum of some counts: of a revision, of an image, of a `VirtualService`.
    pub fn sum(&self, is_meant: impl Fn(&Whose) -> bool) -> Count {
        let meant = self.0.iter().filter(|(whose, _)| is_meant(whose));
        meant.fold(Count::default(), |sum, (_, count)| sum.plus(*count))
    }
}

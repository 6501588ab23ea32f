//! Growths, added up.

use super::samples::Growth;
use crate::analysis::judge::{Counts, Totals, latency::Slow};

/// What some growths add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    requests: u32,
    errors: u32,
    /// Requests within each bound.
    within: Vec<u32>,
}

impl Tally {
    /// Nothing, for so many bounds.
    pub(super) fn new(bounds: usize) -> Self {
        Self { requests: 0, errors: 0, within: vec![0; bounds] }
    }

    pub(super) fn add(&mut self, growth: &Growth) {
        self.requests = self.requests.saturating_add(growth.requests);
        self.errors = self.errors.saturating_add(growth.errors);
        if let Some((bound, requests)) = growth.within
            && let Some(within) = self.within.get_mut(bound)
        {
            *within = within.saturating_add(requests);
        }
    }

    /// Requests and failed ones. Two counters are not read at one instant: one that is ahead must not
    /// show more failures than requests.
    pub(super) fn counts(&self) -> Counts {
        Counts { requests: self.requests, errors: self.errors.min(self.requests) }
    }

    /// Requests and those above each bound.
    pub(super) fn slow(&self) -> Slow {
        let above = self.within.iter().map(|within| self.requests.saturating_sub(*within));
        Slow { requests: self.requests, above: above.collect() }
    }

    pub(super) fn failed(&self) -> Totals {
        Totals::default().and(self.counts())
    }

    pub(super) fn above(&self, bound: usize) -> Totals {
        let errors = self.slow().above.get(bound).copied().unwrap_or(0);
        Totals::default().and(Counts { requests: self.requests, errors })
    }
}

//! Do errors come one by one, or several at once?
//!
//! In: minutes of stable, pod by pod. Out: `phi`, the variance of the errors over that of independent
//! ones. A minute in which the errors sit on few pods, more than the traffic explains, speaks of
//! bursts. Comparing pods with each other at the same time leaves out what hits all of them.

use serde::{Deserialize, Serialize};

use super::{Counts, real};

/// Since when the pods of stable are told apart, when an interval ends `to` seconds after the
/// beginning and began at `from`; nothing when there is nothing to tell yet. That is every minute, and
/// in the first minute after 15 and 30 s as well.
pub fn told_since(from: f64, to: f64) -> Option<f64> {
    // Half a second of tolerance: intervals are rarely exact.
    let last = |seconds: f64| match seconds + 0.5 {
        seconds if seconds >= 60.0 => (seconds / 60.0).floor() * 60.0,
        seconds if seconds >= 30.0 => 30.0,
        seconds if seconds >= 15.0 => 15.0,
        _ => 0.0,
    };
    (last(to) > last(from)).then(|| last(from))
}

/// What is known of bursts. It begins with a guess of 2, worth two errors: simulations with a guess
/// worth ten had as many false alarms, and found bad canaries a minute later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    /// Pairs of errors on one pod, beyond those that the traffic explains.
    pub excess: f64,
    /// Errors that could have been on another pod.
    pub informative: f64,
}

impl Default for Dispersion {
    fn default() -> Self {
        Self { excess: 2.0, informative: 2.0 }
    }
}

impl Dispersion {
    /// With one more minute of stable, a count for each pod. (Shorter at the beginning, when nothing is
    /// known yet; much shorter would tear bursts apart.)
    #[must_use]
    pub fn and(mut self, pods: &[Counts]) -> Self {
        let pairs = |counts: &dyn Fn(&Counts) -> u32| -> f64 {
            let of = |pod| real(u64::from(counts(pod)));
            pods.iter().map(|pod| of(pod) * (of(pod) - 1.0)).sum()
        };
        let sum = |counts: &dyn Fn(&Counts) -> u32| -> f64 {
            pods.iter().map(|pod| f64::from(counts(pod))).sum()
        };
        let (errors, requests) = (sum(&|pod| pod.errors), sum(&|pod| pod.requests));
        if requests < 2.0 || errors < 1.0 {
            return self;
        }
        // The chance that two requests are of one pod. Without replacement, so that a rate of 50 %
        // does not look more even than chance.
        let together = pairs(&|pod| pod.requests) / (requests * (requests - 1.0));
        self.excess += pairs(&|pod| pod.errors) - errors * (errors - 1.0) * together;
        self.informative += errors * (1.0 - together);
        self
    }

    /// The estimate, at least 1.
    pub fn phi(&self) -> f64 {
        1.0 + (self.excess / self.informative).max(0.0)
    }
}

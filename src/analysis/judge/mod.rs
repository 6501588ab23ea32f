//! The judges: is the canary worse than stable, and does it keep the objective?
//!
//! In: what one interval counted, the parameters, and the state so far. Out: the new state and a
//! [`Finding`]. Nothing here has a clock or asks anybody; `docs/judging-statistics.md` has the
//! model, the proofs and the limits.
//!
//! - [`counts`] compares errors, [`latency`] compares the requests above bounds. Both are tests by
//!   betting: they may be looked at after every interval, and the chance that a healthy canary ever
//!   alarms stays below `falseAlarms`.
//! - [`mann_whitney`] compares two series once, as Kayenta does.
//! - [`slo`] watches an objective, for the canary and for stable, so that an incident of both is not
//!   blamed on the canary.
//! - [`others`] has the rules of other tools, to stand beside ours.
//! - [`parameters`] reads what an engineer writes, [`words`] says what was found, and [`outlook`]
//!   what can be found at all.

pub mod counts;
pub mod dispersion;
mod kernel;
pub mod latency;
pub mod mann_whitney;
mod mixture;
pub mod others;
pub mod outlook;
pub mod parameters;
pub mod slo;
pub mod words;

use serde::{Deserialize, Serialize};

pub use mixture::Mixture;
pub use parameters::Params;

/// What was counted of some pods during one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that ended.
    pub requests: u32,
    /// Those of them that were bad: failed, or slower than a bound.
    pub errors: u32,
}

/// What was counted since the comparison began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that were bad.
    pub errors: u64,
}

impl Totals {
    /// The totals with one more interval.
    #[must_use]
    pub fn and(self, counts: Counts) -> Self {
        Self {
            requests: self.requests.saturating_add(u64::from(counts.requests)),
            errors: self.errors.saturating_add(u64::from(counts.errors)),
        }
    }

    /// The share of bad requests; 0 without requests.
    pub fn rate(self) -> f64 {
        if self.requests == 0 { 0.0 } else { real(self.errors) / real(self.requests) }
    }
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// The canary is worse than tolerated. It stays so: evidence does not expire.
    Worse,
    /// It has seen enough requests, and nothing shows that it is worse.
    NotWorse,
    /// Fewer requests than `minRequests` in one of the arms: nothing to pass on.
    NotEnoughData,
}

/// What a comparison knows after an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What it says.
    pub verdict: Verdict,
    /// Natural logarithm of the evidence against the canary: a healthy canary reaches `x` with a
    /// chance of at most `exp(-x)`.
    pub ln_evidence: f64,
    /// How many errors come at once, estimated from the pods of stable; 1: each by itself.
    pub dispersion: f64,
    /// What was counted of the canary.
    pub canary: Totals,
    /// What was counted of stable.
    pub stable: Totals,
    /// How long it has been comparing, in seconds.
    pub seconds: f64,
}

impl Verdict {
    /// The same where nothing could have been seen.
    fn without_evidence(self) -> Self {
        if self == Self::Worse { self } else { Self::NotEnoughData }
    }

    /// The verdict on the evidence, given whether it has alarmed before.
    fn of(alarmed: bool, canary: u64, stable: u64, min_requests: u32) -> Self {
        if alarmed {
            Self::Worse
        } else if canary.min(stable) < u64::from(min_requests) {
            Self::NotEnoughData
        } else {
            Self::NotWorse
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// The logarithm of the mean of what these are the logarithms of.
fn ln_mean_exp(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() || highest.is_infinite() {
        return highest;
    }
    let sum: f64 = values.iter().map(|value| (value - highest).exp()).sum();
    highest + (sum / real(values.len() as u64)).ln()
}

#[cfg(test)]
mod tests;

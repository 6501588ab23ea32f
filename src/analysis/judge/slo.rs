//! Does an arm keep its objective?
//!
//! In: an objective, and counts over windows or one interval after the other. Out: whether the error
//! budget burns too fast, classically (two windows and a minimum count) and sequentially (evidence
//! that may be looked at at any time); and what to do about it beside a comparison.

use serde::{Deserialize, Serialize};
use statrs::function::beta::{beta_reg, ln_beta};

use super::{Counts, Totals, Verdict, parameters::Share, real};

/// How many errors a window must have before it can burn: a few of few requests say nothing.
pub const MIN_ERRORS: u64 = 10;

/// An objective as written: `{objective: 99.9%, burn: 14.4}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// Share of requests that must be good, such as 99.9%.
    pub objective: Share,
    /// How many times too fast the error budget may burn; default 14.4, which spends a month's budget
    /// in two days.
    #[serde(default = "fast_burn")]
    pub burn: f64,
}

fn fast_burn() -> f64 {
    14.4
}

impl Objective {
    /// The share of errors that burns too fast.
    ///
    /// # Errors
    /// A sentence for each field that is wrong.
    pub fn limit(&self) -> Result<f64, Vec<String>> {
        let mut wrong = Vec::new();
        if !(0.5..1.0).contains(&self.objective.0) {
            let found = self.objective;
            wrong.push(format!(
                "objective: found {found}; allowed is a share from 50% to less than 100%, such as 99.9%"
            ));
        }
        if !(1.0..=1000.0).contains(&self.burn) {
            let found = self.burn;
            wrong.push(format!(
                "burn: found {found}; allowed is a number from 1 to 1000, such as 14.4"
            ));
        }
        let limit = self.burn * (1.0 - self.objective.0);
        if wrong.is_empty() && limit >= 1.0 {
            let (burn, objective) = (self.burn, self.objective);
            wrong.push(format!(
                "burn: found {burn}; with an objective of {objective} allowed is less than {:.1}, where every request fails",
                1.0 / (1.0 - self.objective.0)
            ));
        }
        if wrong.is_empty() { Ok(limit) } else { Err(wrong) }
    }
}

/// Whether both a long window and the short one at its end burn: the long one shows that it matters,
/// the short one that it goes on.
pub fn burns(long: Totals, short: Totals, limit: f64) -> bool {
    let burning = |window: Totals| window.errors >= MIN_ERRORS && window.rate() >= limit;
    burning(long) && short.errors > 0 && short.rate() >= limit
}

/// Evidence, since the beginning, that an arm burns too fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Requests, each divided by the dispersion of its interval.
    pub requests: f64,
    /// Errors, likewise.
    pub errors: f64,
    /// Whether the alarm was raised.
    pub alarmed: bool,
}

/// What is known of an arm's budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Burn {
    /// Whether the alarm was raised.
    pub alarmed: bool,
    /// Natural logarithm of the evidence.
    pub ln_evidence: f64,
}

/// Takes one interval of an arm into account. `dispersion` is what was known before it.
pub fn step(
    state: &State,
    counts: Counts,
    dispersion: f64,
    limit: f64,
    alpha: f64,
) -> (State, Burn) {
    let mut next = *state;
    next.requests += f64::from(counts.requests) / dispersion;
    next.errors += f64::from(counts.errors.min(counts.requests)) / dispersion;
    let ln_evidence = ln_evidence(next.errors, next.requests, limit, (0.5, 0.5));
    next.alarmed |= ln_evidence >= -alpha.ln();
    (next, Burn { alarmed: next.alarmed, ln_evidence })
}

/// Natural logarithm of the evidence that the rate is above `limit`: the likelihood, averaged over a
/// Beta prior cut off below `limit`, over that of `limit` itself.
pub fn ln_evidence(errors: f64, requests: f64, limit: f64, prior: (f64, f64)) -> f64 {
    let (a, b) = prior;
    let (after_a, after_b) = (a + errors, b + requests - errors);
    // The upper tail, from its own side: 1 - I would lose all digits.
    let ln_tail = |a: f64, b: f64| beta_reg(b, a, 1.0 - limit).max(f64::MIN_POSITIVE).ln();
    ln_beta(after_a, after_b) + ln_tail(after_a, after_b)
        - ln_beta(a, b)
        - ln_tail(a, b)
        - errors * limit.ln()
        - (requests - errors) * (-limit).ln_1p()
}

/// What to do about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Nothing speaks against it.
    GoOn,
    /// Too little is known: wait, or ask a person.
    Wait,
    /// Freeze the weight: stable suffers as well, and the comparison is quiet.
    HoldSharedIncident,
    /// Roll back.
    RollBack,
}

/// Decides from the comparison and from who burns.
///
/// Worse than stable: the release is to blame. Burning together: it is not, but this is no time to go
/// on. Burning alone without being worse in the comparison's eyes: the objective is broken by the
/// canary all the same. Stable burning alone: the canary may be its fix, and nothing holds that up.
pub fn action(comparison: Verdict, canary_burns: bool, stable_burns: bool) -> Action {
    match (comparison, canary_burns, stable_burns) {
        (Verdict::Worse, ..) | (_, true, false) => Action::RollBack,
        (_, true, true) => Action::HoldSharedIncident,
        (Verdict::NotEnoughData, ..) => Action::Wait,
        (Verdict::NotWorse, ..) => Action::GoOn,
    }
}

/// Counts of intervals, newest last, added up over the last `seconds`.
pub fn window(intervals: &[(f64, Counts)], seconds: f64) -> Totals {
    let mut left = seconds;
    let mut totals = Totals::default();
    for (length, counts) in intervals.iter().rev() {
        // Half an interval of tolerance: a window of whole intervals is as near as it gets.
        if left < length / 2.0 {
            break;
        }
        totals = totals.and(*counts);
        left -= length;
    }
    totals
}

/// The error budget left after `totals`, as a share of it; negative when overspent.
pub fn budget_left(totals: Totals, objective: Share) -> f64 {
    let allowed = (1.0 - objective.0) * real(totals.requests);
    if allowed > 0.0 { 1.0 - real(totals.errors) / allowed } else { 1.0 }
}

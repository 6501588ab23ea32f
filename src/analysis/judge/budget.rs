//! Watches an objective during a release.
//!
//! In: the counts of an interval, and what two windows hold. Out: whether the canary burns its error
//! budget alone, or both revisions do. Stable is the witness: what it suffers from as well is nobody's
//! fault. As pods are scraped at different instants, what the canary shows waits for one interval
//! until stable has had its say.

use serde::{Deserialize, Serialize};

use super::{
    Counts, Finding, Params, Totals, Verdict,
    counts::Interval,
    dispersion::Dispersion,
    slo::{self, burns},
};

/// Over how long stable's share counts as its present one, in seconds.
const LATELY: f64 = 60.0;

/// What is remembered: fewer than 20 numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Evidence that the canary burns too fast, from intervals in which stable did not.
    pub evidence: slo::State,
    /// How errors of stable come.
    pub dispersion: Dispersion,
    /// The canary since the beginning.
    pub canary: Totals,
    /// Stable since then.
    pub stable: Totals,
    /// Seconds since then.
    pub seconds: f64,
    /// The canary in the interval before, which is no evidence yet.
    pub pending: Counts,
    /// Requests and errors of stable, those of a minute ago at a third.
    pub lately: (f64, f64),
    /// Whether stable suffered in the interval before.
    pub suffered: bool,
    /// When both windows of the canary, and none of stable, began to burn.
    pub burning_since: Option<f64>,
    /// Whether the alarm was raised.
    pub alarmed: bool,
}

/// What a long window and the short one at its end hold, of canary and stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// The long one.
    pub long: (Totals, Totals),
    /// The short one.
    pub short: (Totals, Totals),
}

/// Takes one interval into account. `limit` is the share of errors that burns too fast.
pub fn step(state: &State, interval: &Interval, limit: f64, params: &Params) -> State {
    let mut next = state.clone();
    next.dispersion = state.dispersion.and(&interval.minute);
    let fades = (-interval.seconds / LATELY).exp();
    next.lately = (
        state.lately.0 * fades + f64::from(interval.stable.requests),
        state.lately.1 * fades + f64::from(interval.stable.errors),
    );
    next.suffered = next.lately.1 > 0.0 && next.lately.1 >= limit * next.lately.0;
    if state.canary.requests == 0 && interval.canary.requests == 0 {
        return next;
    }
    next.canary = state.canary.and(interval.canary);
    next.stable = state.stable.and(interval.stable);
    next.seconds += interval.seconds;
    // Which intervals count is for stable alone to say: the bets on the canary stay fair.
    if !next.suffered {
        let phi = state.dispersion.phi();
        next.evidence = slo::step(&state.evidence, state.pending, phi, limit, params.alpha).0;
        next.alarmed |= next.evidence.alarmed;
    }
    // The end of an incident may show in the canary one interval later than in stable.
    let doubtful = next.suffered || state.suffered;
    next.pending = if doubtful { Counts::default() } else { interval.canary };
    next
}

/// Looks at the windows as they are after the last interval. The canary must burn alone in two
/// intervals, for the same reason. Returns whether both revisions suffer.
pub fn look(state: &mut State, windows: &Windows, limit: f64) -> bool {
    let burning = burns(windows.long.0, windows.short.0, limit);
    let suffers = |totals: Totals| totals.errors > 0 && totals.rate() >= limit;
    let stable = suffers(windows.long.1) || suffers(windows.short.1);
    if !burning || stable {
        state.burning_since = None;
    } else {
        let since = *state.burning_since.get_or_insert(state.seconds);
        state.alarmed |= state.seconds > since;
    }
    burning && stable && !state.alarmed
}

/// What a state says.
pub fn finding(state: &State, limit: f64, params: &Params) -> Finding {
    let State { canary, stable, evidence, .. } = *state;
    Finding {
        verdict: Verdict::of(state.alarmed, canary.requests, stable.requests, params.min_requests),
        ln_evidence: slo::ln_evidence(evidence.errors, evidence.requests, limit, (0.5, 0.5)),
        dispersion: state.dispersion.phi(),
        canary,
        stable,
        seconds: state.seconds,
    }
}

//! Compares how many requests of canary and stable are slower than some bounds.
//!
//! In: for each bound, how many requests of an interval were above it. Out: the evidence that the
//! canary has more of them than tolerated, at any of the bounds. A bound takes part while stable has
//! between 0.1 % and half of its requests above it: beyond that it says little.

use serde::{Deserialize, Serialize};

use super::{
    Counts, Finding, Mixture, Params, Totals, Verdict,
    counts::{geometric, prior},
    dispersion::Dispersion,
    kernel::frequent,
    ln_mean_exp,
};

/// Bounds that one comparison may have.
pub const MOST_BOUNDS: usize = 12;

/// How many of stable's requests may be above a bound that takes part.
const TELLING: std::ops::RangeInclusive<f64> = 0.001..=0.5;

/// What was counted of some pods: requests, and how many were slower than each bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slow {
    /// Requests that ended.
    pub requests: u32,
    /// Those above each bound, in the order of the bounds.
    pub above: Vec<u32>,
}

/// What was counted of both arms in one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// How long it was.
    pub seconds: f64,
    /// The canary.
    pub canary: Slow,
    /// Stable, all pods together.
    pub stable: Slow,
    /// When a minute ended within this interval: that minute of stable, pod by pod.
    pub minute: Vec<Slow>,
    /// How many pods served these requests.
    pub pods: Pods,
}

/// How many pods an interval's requests were spread over; 0 where nobody knows, which counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Of the canary.
    pub canary: u32,
    /// Of stable.
    pub stable: u32,
}

impl Interval {
    /// How many times as many requests a pod of the canary serves as one of stable; at least 1. A pod
    /// that pauses slows all of its requests down, so that bursts grow with what it serves.
    fn crowding(&self) -> f64 {
        let each = |slow: &Slow, pods: u32| f64::from(slow.requests) / f64::from(pods.max(1));
        let (canary, stable) =
            (each(&self.canary, self.pods.canary), each(&self.stable, self.pods.stable));
        if stable > 0.0 { (canary / stable).max(1.0) } else { 1.0 }
    }
}

/// What a comparison remembers: 16 numbers a bound, and one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// One for each bound.
    pub bounds: Vec<Bound>,
    /// Seconds since the beginning.
    pub seconds: f64,
    /// Whether the alarm was raised.
    pub alarmed: bool,
}

/// What is remembered of one bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The bets.
    pub mixture: Mixture<9>,
    /// How slow requests of stable come.
    pub dispersion: Dispersion,
    /// The canary since the beginning.
    pub canary: Totals,
    /// Stable since the beginning.
    pub stable: Totals,
}

impl State {
    /// The state before the first interval.
    pub fn new(bounds: usize) -> Self {
        let bound = Bound {
            mixture: Mixture::new(prior()),
            dispersion: Dispersion::default(),
            canary: Totals::default(),
            stable: Totals::default(),
        };
        Self { bounds: vec![bound; bounds], seconds: 0.0, alarmed: false }
    }

    /// Natural logarithm of the evidence: the mean over the bounds.
    pub fn ln_evidence(&self) -> f64 {
        let wealth: Vec<f64> = self.bounds.iter().map(|bound| bound.mixture.ln_wealth).collect();
        if wealth.is_empty() { 0.0 } else { ln_mean_exp(&wealth) }
    }

    /// The bound that speaks loudest against the canary, by its index.
    pub fn loudest(&self) -> usize {
        let wealth = |bound: &Bound| bound.mixture.ln_wealth;
        let all = self.bounds.iter().enumerate();
        all.max_by(|one, two| wealth(one.1).total_cmp(&wealth(two.1))).map_or(0, |(index, _)| index)
    }
}

/// Takes one interval into account. Counts that are missing for a bound are 0. As for errors,
/// intervals before the canary's first request only tell how slow requests of stable come.
pub fn step(state: &State, interval: &Interval, params: &Params) -> (State, Finding) {
    let mut next = state.clone();
    let seen = state.bounds.first().is_some_and(|bound| bound.canary.requests > 0);
    let began = seen || interval.canary.requests > 0;
    let ratios = geometric(1.2 * params.ratio, 20.0 * params.ratio);
    for (index, bound) in next.bounds.iter_mut().enumerate() {
        let of = |slow: &Slow| Counts {
            requests: slow.requests,
            errors: slow.above.get(index).copied().unwrap_or(0),
        };
        let (canary, stable) = (of(&interval.canary), of(&interval.stable));
        let mut ln_e = [0.0; 9];
        // By earlier intervals: what decides whether to bet must not see the dice.
        if TELLING.contains(&bound.stable.rate()) {
            let phi = 1.0 + (bound.dispersion.phi() - 1.0) * interval.crowding();
            let kernel = frequent(canary, stable, &ratios, params.ratio);
            for (ln, kernel) in ln_e[1..].iter_mut().zip(kernel) {
                *ln = kernel / phi;
            }
        }
        if began {
            let share = params.share(interval.seconds);
            bound.mixture.step(&prior(), &ln_e, share, params.ln_cap());
        }
        let minute: Vec<Counts> = interval.minute.iter().map(of).collect();
        bound.dispersion = bound.dispersion.and(&minute);
        bound.canary = bound.canary.and(canary);
        bound.stable = bound.stable.and(stable);
    }
    if began {
        next.seconds += interval.seconds;
    }
    next.alarmed |= next.ln_evidence() >= params.ln_needed();
    let finding = finding(&next, params);
    (next, finding)
}

/// What a state says; its counts are those of the bound that speaks loudest. While no bound takes
/// part, that is not enough data.
pub fn finding(state: &State, params: &Params) -> Finding {
    let loudest = state.bounds.get(state.loudest());
    let (canary, stable) = loudest.map(|bound| (bound.canary, bound.stable)).unwrap_or_default();
    let telling = state.bounds.iter().any(|bound| TELLING.contains(&bound.stable.rate()));
    let verdict = Verdict::of(state.alarmed, canary.requests, stable.requests, params.min_requests);
    Finding {
        verdict: if telling { verdict } else { verdict.without_evidence() },
        ln_evidence: state.ln_evidence(),
        dispersion: loudest.map_or(1.0, |bound| bound.dispersion.phi()),
        canary,
        stable,
        seconds: state.seconds,
    }
}

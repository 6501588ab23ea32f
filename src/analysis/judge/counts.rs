//! Compares the errors of canary and stable.
//!
//! In: the counts of an interval. Out: the evidence that the canary is worse than tolerated. Three
//! bettors play side by side, and their mean is what counts: one on all errors, one that clips a burst
//! of the canary, and one that looks only at who was worse. Each is fair for another kind of noise.

use serde::{Deserialize, Serialize};

use super::{
    Counts, Finding, Mixture, Params, Totals, Verdict,
    dispersion::Dispersion,
    kernel::{Exposed, Tolerated, rare},
    ln_mean_exp,
    parameters::Sampling,
};

/// Ratios that are bet on.
const RATIOS: usize = 8;
/// Wealth that is not bet.
const CASH: f64 = 0.3;
/// How much of the wealth the signs bet on "worse again"; the last one is cash.
const STAKES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 0.0];
const SIGN_PRIOR: [f64; 5] = [0.175, 0.175, 0.175, 0.175, CASH];
/// How long the signs collect, in seconds.
const SIGN_SECONDS: f64 = 30.0;
/// A canary's errors beyond this many times stable's rate are one burst.
const CLIP: f64 = 6.0;

/// What was counted of both arms in one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// How long it was.
    pub seconds: f64,
    /// The canary.
    pub canary: Counts,
    /// Stable, all pods together.
    pub stable: Counts,
    /// When a [`minute`](super::dispersion::told_since) ended within this interval: that minute of
    /// stable, a count for each pod.
    pub minute: Vec<Counts>,
}

/// What a comparison remembers: fewer than 40 numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Bets on all errors, tempered by the dispersion.
    pub tempered: Mixture<9>,
    /// The same, with bursts of the canary clipped.
    pub clipped: Mixture<9>,
    /// Bets on who was worse.
    pub sign: Mixture<5>,
    /// What the signs have collected.
    pub collected: Collected,
    /// How errors of stable come.
    pub dispersion: Dispersion,
    /// The canary since the beginning.
    pub canary: Totals,
    /// Stable since the beginning.
    pub stable: Totals,
    /// Seconds since the beginning.
    pub seconds: f64,
    /// Stable in the interval before.
    pub before: Counts,
    /// Whether the alarm was raised.
    pub alarmed: bool,
}

/// What the signs have collected since they last bet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The canary since then.
    pub canary: Counts,
    /// Stable since then.
    pub stable: Counts,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tempered: Mixture::new(prior()),
            clipped: Mixture::new(prior()),
            sign: Mixture::new(SIGN_PRIOR),
            collected: Collected::default(),
            dispersion: Dispersion::default(),
            canary: Totals::default(),
            stable: Totals::default(),
            seconds: 0.0,
            before: Counts::default(),
            alarmed: false,
        }
    }
}

impl State {
    /// Natural logarithm of the evidence.
    pub fn ln_evidence(&self) -> f64 {
        ln_mean_exp(&[self.tempered.ln_wealth, self.clipped.ln_wealth, self.sign.ln_wealth])
    }
}

/// Takes one interval into account. Intervals before the canary's first request tell how errors of
/// stable come, and nothing else: give it some, the comparison is quicker for it.
pub fn step(state: &State, interval: &Interval, params: &Params) -> (State, Finding) {
    let dispersion = state.dispersion.phi();
    let began = state.canary.requests > 0 || interval.canary.requests > 0;
    let mut next = if began { advance(state, interval, params, dispersion) } else { state.clone() };
    // Only from the next interval on: a bet is placed before the dice are seen.
    next.dispersion = state.dispersion.and(&interval.minute);
    next.alarmed |= next.ln_evidence() >= params.ln_needed();
    let finding = finding(&next, params);
    (next, finding)
}

/// What a state says.
pub fn finding(state: &State, params: &Params) -> Finding {
    let State { canary, stable, .. } = *state;
    Finding {
        verdict: Verdict::of(state.alarmed, canary.requests, stable.requests, params.min_requests),
        ln_evidence: state.ln_evidence(),
        dispersion: state.dispersion.phi(),
        canary,
        stable,
        seconds: state.seconds,
    }
}

/// Settles the bets, for a given dispersion.
pub(super) fn advance(state: &State, interval: &Interval, params: &Params, phi: f64) -> State {
    let mut next = state.clone();
    let ratios = ratios(params.ratio);
    let tolerated = Tolerated { ratio: params.ratio, absolute: params.absolute };
    let canary_requests = f64::from(interval.canary.requests);
    let canary_errors = f64::from(interval.canary.errors);
    let clip = (CLIP * canary_requests * state.stable.rate()).ceil().max(1.0);
    let cap =
        if recovers(state.before, interval.stable, params, phi) { 0.0 } else { params.ln_cap() };
    let bettors = [
        (&mut next.tempered, phi, canary_errors),
        (&mut next.clipped, phi.min(clip), canary_errors.min(clip)),
    ];
    for (mixture, canary_phi, canary_errors) in bettors {
        let exposed = Exposed {
            canary_errors: canary_errors / canary_phi,
            stable_errors: f64::from(interval.stable.errors) / phi,
            canary: canary_requests / canary_phi,
            stable: f64::from(interval.stable.requests) / phi,
        };
        let mut ln_e = [0.0; RATIOS + 1];
        for (ln, psi) in ln_e[1..].iter_mut().zip(ratios) {
            *ln = rare(exposed, psi, tolerated);
        }
        mixture.step(&prior(), &ln_e, params.share(interval.seconds), cap);
    }
    next.canary = state.canary.and(interval.canary);
    next.stable = state.stable.and(interval.stable);
    next.before = interval.stable;
    next.seconds += interval.seconds;
    next.collected = collect(state.collected, interval);
    // Half a second of tolerance: intervals are rarely exact.
    let turns = |seconds: f64| ((seconds + 0.5) / SIGN_SECONDS).floor();
    if turns(next.seconds) > turns(state.seconds) {
        bet_on_sign(&mut next, params.share(interval.seconds.max(SIGN_SECONDS)), params);
    }
    next
}

/// Whether stable's errors drop, from one interval to the next, by more than chance. When the arms
/// are sampled a scrape apart, the end of an incident that both had shows in stable first; what the
/// canary does in such an interval is no evidence. Bets only lose by it, so they stay fair.
fn recovers(before: Counts, now: Counts, params: &Params, phi: f64) -> bool {
    const DEVIATIONS: f64 = 4.0;
    let requests = f64::from(before.requests) + f64::from(now.requests);
    if params.sampling == Sampling::Together || requests <= 0.0 {
        return false;
    }
    let errors = f64::from(before.errors) + f64::from(now.errors);
    let share = f64::from(now.requests) / requests;
    let deviation = (phi * errors * share * (1.0 - share)).sqrt();
    f64::from(now.errors) < errors * share - DEVIATIONS * deviation
}

fn collect(so_far: Collected, interval: &Interval) -> Collected {
    let add = |one: Counts, two: Counts| Counts {
        requests: one.requests.saturating_add(two.requests),
        errors: one.errors.saturating_add(two.errors),
    };
    Collected {
        canary: add(so_far.canary, interval.canary),
        stable: add(so_far.stable, interval.stable),
    }
}

/// Bets on who was worse. Fair only while stable has most of the traffic: the smaller arm has no
/// errors more often than not.
fn bet_on_sign(state: &mut State, share: f64, params: &Params) {
    let Collected { canary, stable } = std::mem::take(&mut state.collected);
    let errors = u64::from(canary.errors) + u64::from(stable.errors);
    if errors == 0 || canary.requests == 0 || canary.requests > stable.requests {
        return;
    }
    let rate = |counts: Counts| f64::from(counts.errors) / f64::from(counts.requests);
    let worse = rate(canary) > params.ratio * rate(stable) + params.absolute;
    let sign = if worse { 1.0 } else { -1.0 };
    let ln_e = STAKES.map(|stake| (stake * sign).ln_1p());
    state.sign.step(&SIGN_PRIOR, &ln_e, share, f64::INFINITY);
}

/// The ratios that are bet on: from half as much again as tolerated, to a hundred times.
pub(super) fn ratios(tolerated: f64) -> [f64; RATIOS] {
    geometric(1.5 * tolerated, 100.0 * tolerated)
}

/// Eight numbers from `first` to `last`, each the same factor above the one before.
pub(super) fn geometric(first: f64, last: f64) -> [f64; RATIOS] {
    std::array::from_fn(|k| {
        let k = u32::try_from(k).unwrap_or(u32::MAX);
        first * (last / first).powf(f64::from(k) / 7.0)
    })
}

/// Cash first, the rest spread evenly.
pub(super) fn prior() -> [f64; RATIOS + 1] {
    let mut prior = [(1.0 - CASH) / 8.0; RATIOS + 1];
    prior[0] = CASH;
    prior
}

//! What a comparison can find, and how long that takes, at the traffic there is.
//!
//! In: requests of both arms, stable's rate, the dispersion. Out: the ratio that shows after a time,
//! and the time after which a ratio shows. These are expectations: half of all releases need longer.

use super::{Finding, Params, counts::ratios, kernel::factors, real};

/// Ratios that people say.
const SAID: [f64; 13] = [1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 100.0];

/// A part of a release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The traffic in it.
    pub traffic: Traffic,
    /// How long it takes, in seconds.
    pub seconds: f64,
}

/// Evidence that it takes: what the three bettors, and the spread over eight ratios, cost at the most.
fn needed(params: &Params) -> f64 {
    params.ln_needed() + 3.0_f64.ln() + (8.0 / 0.7_f64).ln()
}

/// After how many seconds of these parts a canary that is `ratio` times as bad is found; nothing when it
/// is not.
pub fn found_after(parts: &[Part], ratio: f64, params: &Params) -> Option<f64> {
    let (mut left, mut elapsed) = (needed(params), 0.0);
    for Part { traffic, seconds } in parts {
        let gained = traffic.evidence_a_second(ratio, params) * seconds;
        if gained >= left {
            return Some(elapsed + seconds * left / gained);
        }
        left -= gained;
        elapsed += seconds;
    }
    None
}

/// The smallest ratio that people say and that is found within these parts, and after how many seconds.
pub fn smallest_found(parts: &[Part], params: &Params) -> Option<(f64, f64)> {
    let rate = parts.iter().map(|part| part.traffic.rate).fold(0.0, f64::max);
    let all = SAID.into_iter().filter(|ratio| ratio * rate <= 1.0);
    all.into_iter().find_map(|ratio| Some((ratio, found_after(parts, ratio, params)?)))
}

/// What there is to see at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests a second of the canary.
    pub canary: f64,
    /// Requests a second of stable.
    pub stable: f64,
    /// Share of stable's requests that are bad.
    pub rate: f64,
    /// How many bad ones come at once.
    pub dispersion: f64,
}

impl Traffic {
    /// The traffic that a comparison has seen. Stable without an error yet counts as half an error.
    pub fn seen(finding: &Finding) -> Option<Self> {
        let (canary, stable) = (finding.canary.requests, finding.stable.requests);
        if canary == 0 || stable == 0 || finding.seconds <= 0.0 {
            return None;
        }
        Some(Self {
            canary: real(canary) / finding.seconds,
            stable: real(stable) / finding.seconds,
            rate: real(finding.stable.errors).max(0.5) / real(stable),
            dispersion: finding.dispersion,
        })
    }

    /// How much evidence a second brings on average when the canary is `ratio` times as bad: what the
    /// best of the bets wins.
    fn evidence_a_second(&self, ratio: f64, params: &Params) -> f64 {
        let bad = self.canary * (ratio * self.rate).min(1.0);
        let stable_bad = self.stable * self.rate;
        let bets = ratios(params.ratio);
        let win = |psi: f64| {
            let (up, down) = factors(self.canary, self.stable, psi, params.ratio);
            let spent = self.canary * params.absolute * (up - 1.0);
            (bad * up.ln() + stable_bad * down.ln() - spent) / self.dispersion
        };
        bets.into_iter().map(win).fold(0.0, f64::max)
    }

    /// After how many seconds a canary that is `ratio` times as bad is found; nothing when it never is.
    pub fn seconds_to_find(&self, ratio: f64, params: &Params) -> Option<f64> {
        let speed = self.evidence_a_second(ratio, params);
        (speed > 0.0).then(|| needed(params) / speed)
    }

    /// The smallest ratio that is found within `seconds`, rounded up to one that people say.
    pub fn smallest_found_within(&self, seconds: f64, params: &Params) -> Option<f64> {
        let all = SAID.into_iter().filter(|ratio| ratio * self.rate <= 1.0);
        let fast = |ratio: &f64| self.seconds_to_find(*ratio, params).is_some_and(|s| s <= seconds);
        all.into_iter().find(fast)
    }

    /// Requests a second of both arms.
    pub fn requests_a_second(&self) -> f64 {
        self.canary + self.stable
    }
}

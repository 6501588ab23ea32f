//! E-values of one interval: how much better "the canary is `psi` times as bad" explains the counts
//! than any canary that is tolerated.
//!
//! In: counts of both arms, the ratio tolerated and the ratio bet on. Out: the logarithm of a number
//! whose mean is at most 1 as long as the canary is tolerable.

use statrs::function::gamma::ln_gamma;

use super::Counts;

/// Bad requests and exposure of both arms; fractions after tempering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposed {
    pub(super) canary_errors: f64,
    pub(super) stable_errors: f64,
    pub(super) canary: f64,
    pub(super) stable: f64,
}

/// What is tolerated: a canary rate of up to `ratio` times stable's rate, plus `absolute`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerated {
    pub(super) ratio: f64,
    pub(super) absolute: f64,
}

/// What one error of the canary, and one of stable, multiplies the bet on `psi` by.
pub(super) fn factors(canary: f64, stable: f64, psi: f64, tolerated: f64) -> (f64, f64) {
    let expected = canary * tolerated + stable;
    let claimed = canary * psi + stable;
    (psi * expected / (tolerated * claimed), expected / claimed)
}

/// Rare events. Given the errors of both arms together, whatever their rate is at the moment, how
/// many of them should the canary have?
pub(super) fn rare(exposed: Exposed, psi: f64, tolerated: Tolerated) -> f64 {
    let Exposed { canary_errors, stable_errors, canary, stable } = exposed;
    if canary <= 0.0 || stable <= 0.0 {
        return 0.0;
    }
    let (up, down) = factors(canary, stable, psi, tolerated.ratio);
    canary_errors * up.ln() + stable_errors * down.ln() - canary * tolerated.absolute * (up - 1.0)
}

/// Frequent events: exact for any rate, by Fisher's noncentral hypergeometric distribution. `psi`
/// and `tolerated` are odds ratios.
pub(super) fn frequent(canary: Counts, stable: Counts, psi: &[f64], tolerated: f64) -> Vec<f64> {
    let urn = Urn::new(canary, stable);
    if canary.requests == 0 || stable.requests == 0 || urn.lowest >= urn.highest {
        return vec![0.0; psi.len()];
    }
    let drawn = f64::from(canary.errors.min(canary.requests));
    let base = urn.ln_sum(tolerated);
    let claim = |psi: &f64| drawn * (psi / tolerated).ln() - urn.ln_sum(*psi) + base;
    psi.iter().map(claim).collect()
}

/// The ways in which the bad requests may be spread over the arms.
struct Urn {
    canary: f64,
    stable: f64,
    bad: f64,
    lowest: f64,
    highest: f64,
}

impl Urn {
    fn new(canary: Counts, stable: Counts) -> Self {
        let errors = canary.errors.min(canary.requests);
        let bad = f64::from(errors) + f64::from(stable.errors.min(stable.requests));
        let (canary, stable) = (f64::from(canary.requests), f64::from(stable.requests));
        Self { canary, stable, bad, lowest: (bad - stable).max(0.0), highest: bad.min(canary) }
    }

    /// `ln` of the sum over `j` of `C(canary, j) C(stable, bad - j) odds^j`. It goes from the largest
    /// term outwards until the terms no longer matter: a few dozen of them.
    fn ln_sum(&self, odds: f64) -> f64 {
        const NEGLIGIBLE: f64 = 1e-18;
        let mode = self.mode(odds);
        let mut sum = 1.0;
        let (mut term, mut at) = (1.0, mode);
        while at < self.highest && term > NEGLIGIBLE * sum {
            term *= self.up(at) * odds;
            at += 1.0;
            sum += term;
        }
        (term, at) = (1.0, mode);
        while at > self.lowest && term > NEGLIGIBLE * sum {
            at -= 1.0;
            term /= self.up(at) * odds;
            sum += term;
        }
        ln_choose(self.canary, mode)
            + ln_choose(self.stable, self.bad - mode)
            + mode * odds.ln()
            + sum.ln()
    }

    /// The term at `j + 1` over the term at `j`, but for the odds.
    fn up(&self, j: f64) -> f64 {
        (self.canary - j) * (self.bad - j) / ((j + 1.0) * (self.stable - self.bad + j + 1.0))
    }

    /// Where the terms are largest: where the ratio of neighbours passes 1.
    fn mode(&self, odds: f64) -> f64 {
        // (canary - j)(bad - j) odds = (j + 1)(stable - bad + j + 1), a quadratic equation in j.
        let a = odds - 1.0;
        let b = -(odds * (self.canary + self.bad) + self.stable - self.bad + 2.0);
        let c = odds * self.canary * self.bad - (self.stable - self.bad + 1.0);
        let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
        // This form of the smaller root stands when `a` is 0.
        let j = 2.0 * c / (root - b);
        j.ceil().clamp(self.lowest, self.highest)
    }
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

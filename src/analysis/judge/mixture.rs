//! A bettor that spreads its wealth over several bets and moves a little of it at every step.
//!
//! In: the logarithms of e-values, one a bet. Out: its wealth. All is in log space: the e-value of
//! one interval overflows at a few thousand requests a minute.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A fixed-share mixture of `N` bets.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture<const N: usize> {
    /// Natural logarithm of its wealth, which begins with 1.
    pub ln_wealth: f64,
    /// How the wealth is spread; the sum is 1.
    pub weights: [f64; N],
}

impl<const N: usize> Mixture<N> {
    /// A wealth of 1, spread like this.
    pub fn new(prior: [f64; N]) -> Self {
        Self { ln_wealth: 0.0, weights: prior }
    }

    /// Settles the bets: `ln_e` are the logarithms of their e-values. Then `share` of the wealth is
    /// spread anew like `prior`, so that a bet that lost long ago may still win. No step gains more
    /// than `cap`.
    pub fn step(&mut self, prior: &[f64; N], ln_e: &[f64; N], share: f64, cap: f64) {
        let highest = ln_e.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut won = self.weights;
        for (weight, ln) in won.iter_mut().zip(ln_e) {
            *weight *= (ln - highest).exp();
        }
        let sum: f64 = won.iter().sum();
        for ((weight, won), prior) in self.weights.iter_mut().zip(won).zip(prior) {
            *weight = (1.0 - share) * won / sum + share * prior;
        }
        self.ln_wealth += (highest + sum.ln()).min(cap);
    }
}

/// As stored: the wealth, then the weights.
impl<const N: usize> Serialize for Mixture<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::once(&self.ln_wealth).chain(&self.weights))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Mixture<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = Vec::<f64>::deserialize(deserializer)?;
        let wrong = || {
            let found = format!("found {} numbers", numbers.len());
            de::Error::custom(format!("{found}, allowed are a wealth and {N} weights with sum 1"))
        };
        let (ln_wealth, weights) = numbers.split_first().ok_or_else(wrong)?;
        let weights: [f64; N] = weights.try_into().map_err(|_| wrong())?;
        let sum: f64 = weights.iter().sum();
        let sound = (sum - 1.0).abs() < 1e-6 && weights.iter().all(|weight| *weight >= 0.0);
        if sound { Ok(Self { ln_wealth: *ln_wealth, weights }) } else { Err(wrong()) }
    }
}

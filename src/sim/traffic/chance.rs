//! Chance that can be repeated.
//!
//! In: a seed. Out: numbers, and counts drawn from a Poisson or binomial distribution.

use super::number;

/// Up to this mean counts are drawn exactly, above it from the normal distribution.
const EXACT: f64 = 200.0;

/// A generator: `SplitMix64`.
pub(super) struct Chance(u64);

// === impl Chance ===

impl Chance {
    /// The stream of these numbers, unlike that of any others.
    pub(super) fn of(parts: [u64; 4]) -> Self {
        let mixed = parts.into_iter().fold(0, |state: u64, part| Self(state ^ part).next());
        Self(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly between 0 and 1, neither included.
    fn uniform(&mut self) -> f64 {
        (number(self.next() >> 12) + 0.5) / number(1 << 52)
    }

    /// From the standard normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// How many events there are, if there are `mean` on average.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > EXACT {
            return rounded(mean + mean.sqrt() * self.normal());
        }
        let mut left = self.uniform();
        let mut chance = (-mean).exp();
        let mut count = 0;
        // The bound ends the search where the rest of the distribution is lost in rounding.
        while left > chance && count < 1000 {
            left -= chance;
            count += 1;
            chance *= mean / number(count);
        }
        count
    }

    /// How many of `count` there are, if each is with this probability.
    pub(super) fn binomial(&mut self, count: u64, probability: f64) -> u64 {
        if count == 0 || probability <= 0.0 {
            return 0;
        }
        if probability >= 1.0 {
            return count;
        }
        if probability > 0.5 {
            return count - self.binomial(count, 1.0 - probability);
        }
        let mean = number(count) * probability;
        if mean > EXACT {
            let deviation = (mean * (1.0 - probability)).sqrt();
            return rounded(mean + deviation * self.normal()).min(count);
        }
        let odds = probability / (1.0 - probability);
        let mut left = self.uniform();
        let mut chance = (number(count) * (1.0 - probability).ln()).exp();
        let mut found = 0;
        while left > chance && found < count {
            left -= chance;
            chance *= odds * number(count - found) / number(found + 1);
            found += 1;
        }
        found
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, not below 0")]
fn rounded(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// A number for a text (FNV-1a), the same on every machine.
pub(super) fn hash<'t>(texts: impl IntoIterator<Item = &'t str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

//! Chance, from a seed.

use std::f64::consts::TAU;

/// xoshiro256++.
pub struct Random([u64; 4]);

impl Random {
    pub fn new(seed: u64) -> Self {
        // splitmix64 spreads the seed.
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Between 0 and 1, neither of them.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    pub fn poisson(&mut self, mean: f64) -> u32 {
        let (mut left, mut count) = (mean, 0);
        // In parts, so that exp(-part) does not underflow.
        while left > 0.0 {
            let part = left.min(30.0);
            left -= part;
            let floor = (-part).exp();
            let mut product = self.uniform();
            while product > floor {
                count += 1;
                product *= self.uniform();
            }
        }
        count
    }

    /// From 1 on, with this mean.
    pub fn geometric(&mut self, mean: f64) -> u32 {
        if mean <= 1.0 { 1 } else { 1 + floor(self.uniform().ln() / (1.0 - 1.0 / mean).ln()) }
    }

    pub fn binomial(&mut self, n: u32, p: f64) -> u32 {
        if p <= 0.0 || n == 0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        // From one success to the next.
        let (skip, mut at, mut count) = ((1.0 - p).ln(), 0_u32, 0);
        loop {
            at = at.saturating_add(1 + floor(self.uniform().ln() / skip));
            if at > n {
                return count;
            }
            count += 1;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub fn floor(value: f64) -> u32 {
    value as u32
}

/// The exponential of a process that forgets over `memory` seconds; its median is 1.
pub struct Wander {
    at: f64,
    keep: f64,
    sd: f64,
}

impl Wander {
    pub fn new(sd: f64, memory: f64, random: &mut Random) -> Self {
        Self { at: sd * random.normal(), keep: (-1.0 / memory).exp(), sd }
    }

    /// One second later.
    pub fn step(&mut self, random: &mut Random) -> f64 {
        if self.sd > 0.0 {
            self.at = self.keep * self.at
                + self.sd * (1.0 - self.keep * self.keep).sqrt() * random.normal();
        }
        self.at.exp()
    }
}

//! Chance with a seed that is printed.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator of small numbers, as good as this needs (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// From `E2E_SEED`, else from the clock; the seed is printed.
    pub fn seeded() -> Self {
        let seed = std::env::var("E2E_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
        let seed = seed.unwrap_or_else(clock);
        eprintln!("E2E_SEED={seed}");
        Self(seed)
    }

    /// Between 0 and `end`, `end` left out.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

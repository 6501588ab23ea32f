//! The judges: golden values of others, and what must hold for any counts.

mod budget;
mod golden;
mod latency;
mod properties;
mod sentences;
mod state;

use super::{Counts, Params, counts::Interval, parameters::Sampling};

/// The parameters of the reference: 1 % false alarms, a tenth more is tolerated, scrapes of 15 s.
fn params() -> Params {
    Params {
        alpha: 0.01,
        ratio: 1.1,
        absolute: 0.0,
        min_requests: 100,
        release_seconds: 1800.0,
        sampling: Sampling::Scraped,
    }
}

fn counts(requests: u32, errors: u32) -> Counts {
    Counts { requests, errors }
}

fn interval(canary: Counts, stable: Counts) -> Interval {
    Interval { seconds: 15.0, canary, stable, minute: Vec::new() }
}

//! What became of the users' requests, and whether each version had its share.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use crate::load::{Outcome, Sample};

/// Time after a change of the weights in which the proxies may still follow the old ones.
const SETTLE: Duration = Duration::from_secs(1);

/// Requests that a stretch of time must have for its share to be judged.
const ENOUGH: usize = 50;

/// Standard deviations by which a share may differ from the weight: more happens by chance in less
/// than one of a million stretches.
const BAND: f64 = 4.9;

/// A weight of the new version, in percent, from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// From when on.
    pub since: Instant,
    /// The weight in percent.
    pub percent: u8,
}

/// How many requests had the new version's answer while it had a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The weight in percent.
    pub percent: u8,
    /// Requests that a version answered.
    pub requests: usize,
    /// Those that the new one answered.
    pub new: usize,
}

impl Share {
    /// Whether the weight explains the share: exactly at 0 and 100, within the band of a binomial
    /// distribution between.
    pub fn is_plausible(&self) -> bool {
        let (n, p) = (self.requests as f64, f64::from(self.percent) / 100.0);
        // Half a request for the step from a continuous to a counted number.
        let band = BAND * (n * p * (1.0 - p)).sqrt() + 0.5;
        (self.new as f64 - n * p).abs() <= band
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.new as f64 * 100.0 / self.requests.max(1) as f64;
        write!(f, "{part:.1} % of {} at weight {}", self.requests, self.percent)
    }
}

/// The shares of the version `new` in each stretch of time between two changes of its weight.
pub fn shares(samples: &[Sample], weights: &[Weight], new: &str) -> Vec<Share> {
    let ends = weights.iter().skip(1).map(|weight| Some(weight.since)).chain([None]);
    let stretches = weights.iter().zip(ends);
    let shares = stretches.map(|(weight, end)| {
        let begin = weight.since + SETTLE;
        let within =
            |sample: &&Sample| sample.began >= begin && end.is_none_or(|end| sample.ended <= end);
        let mut share = Share { percent: weight.percent, requests: 0, new: 0 };
        for sample in samples.iter().filter(within) {
            let (Outcome::Served(version) | Outcome::AppError(version)) = &sample.outcome else {
                continue;
            };
            share.requests += 1;
            share.new += usize::from(version == new);
        }
        share
    });
    shares.filter(|share| share.requests >= ENOUGH).collect()
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// All that were sent.
    pub sent: usize,
    /// Errors that the application itself answered.
    pub app_errors: usize,
    /// Those that were lost, by what was seen instead of an answer.
    pub lost: BTreeMap<String, usize>,
    /// Answers by version.
    pub versions: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts.
    pub fn of(samples: &[Sample]) -> Self {
        let mut tally = Self { sent: samples.len(), ..Self::default() };
        for sample in samples {
            match &sample.outcome {
                Outcome::Served(version) => {
                    *tally.versions.entry(version.clone()).or_default() += 1;
                }
                Outcome::AppError(version) => {
                    *tally.versions.entry(version.clone()).or_default() += 1;
                    tally.app_errors += 1;
                }
                Outcome::Lost(why) => *tally.lost.entry(why.clone()).or_default() += 1,
            }
        }
        tally
    }

    /// How many were lost.
    pub fn failed(&self) -> usize {
        self.lost.values().sum()
    }
}

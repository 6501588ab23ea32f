//! What an engineer writes, and what the judges make of it.
//!
//! In: `tolerate`, `falseAlarms`, `minRequests`, `release`, `sampling`. Out: [`Params`], or a sentence
//! for each field that is wrong.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{analysis::text::number, api::Duration};

/// The parameters of a comparison, as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Parameters {
    /// How much worse the canary may be.
    pub tolerate: Tolerate,
    /// Share of healthy releases that may alarm; default 1%.
    pub false_alarms: Share,
    /// Requests that each arm must have seen before the canary can pass; default 100. A failing
    /// canary is found before that.
    pub min_requests: u32,
    /// How long the release takes, roughly; default 30m. Evidence fades over that time.
    pub release: Duration,
    /// How the two arms are sampled; default scraped.
    pub sampling: Sampling,
}

/// How much worse than stable the canary may be: `ratio` times stable's rate, plus `absolute`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tolerate {
    /// Times stable's rate; 1.1 by default, 1.2 for latency, where it is the ratio of the odds.
    pub ratio: f64,
    /// A share of requests on top of that, such as 0.001; default 0. Not for latency.
    pub absolute: f64,
}

/// How the two arms are sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sampling {
    /// Each pod at its own instant, as Prometheus does: for up to one interval an incident may show
    /// in one arm only.
    #[default]
    Scraped,
    /// All pods at the same instant.
    Together,
}

/// A share, written `1%` or `0.01`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl Default for Parameters {
    fn default() -> Self {
        Self {
            tolerate: Tolerate::default(),
            false_alarms: Share(0.01),
            min_requests: 100,
            release: Duration::from_secs(1800),
            sampling: Sampling::default(),
        }
    }
}

impl Default for Tolerate {
    fn default() -> Self {
        Self { ratio: 1.1, absolute: 0.0 }
    }
}

impl Parameters {
    /// The parameters for one of `metrics` comparisons that share the false alarms of one release.
    ///
    /// # Errors
    /// A sentence for each field that is wrong.
    pub fn check(&self, metrics: u32) -> Result<Params, Vec<String>> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, found: &str, allowed: &str| {
            wrong.push(format!("{field}: found {found}; allowed is {allowed}"));
        };
        let Tolerate { ratio, absolute } = self.tolerate;
        if !(1.0..=10.0).contains(&ratio) {
            let allowed = "a number from 1 (no worse than stable) to 10 (ten times as bad)";
            refuse("tolerate.ratio", &number(ratio), allowed);
        }
        if !(0.0..=0.5).contains(&absolute) {
            let allowed = "a share of requests from 0 to 0.5, such as 0.001";
            refuse("tolerate.absolute", &number(absolute), allowed);
        }
        if !(0.0001..=0.2).contains(&self.false_alarms.0) {
            let allowed = "a share of releases from 0.01% to 20%";
            refuse("falseAlarms", &self.false_alarms.to_string(), allowed);
        }
        if self.min_requests == 0 {
            refuse("minRequests", "0", "a number of requests from 1, such as 100");
        }
        if !(60.0..=7.0 * 86_400.0).contains(&self.release.as_secs_f64()) {
            refuse("release", &self.release.to_string(), "a duration from 1m to 7d");
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Params {
            alpha: self.false_alarms.0 / f64::from(metrics.max(1)),
            ratio,
            absolute,
            min_requests: self.min_requests,
            release_seconds: self.release.as_secs_f64(),
            sampling: self.sampling,
        })
    }
}

/// Parameters that have been checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// The chance with which a healthy canary may alarm.
    pub alpha: f64,
    /// Times stable's rate that is tolerated.
    pub ratio: f64,
    /// A share of requests that is tolerated on top.
    pub absolute: f64,
    /// Requests that each arm must have seen before the canary can pass.
    pub min_requests: u32,
    /// How long a release takes, roughly.
    pub release_seconds: f64,
    /// How the arms are sampled.
    pub sampling: Sampling,
}

impl Params {
    /// Natural logarithm of the evidence at which the alarm is raised.
    pub fn ln_needed(&self) -> f64 {
        -self.alpha.ln()
    }

    /// The most that one interval may add. No single scrape condemns a canary: it takes two, or
    /// three when an incident may show in one arm a scrape before it does in the other.
    pub(super) fn ln_cap(&self) -> f64 {
        let share = match self.sampling {
            Sampling::Together => 0.75,
            Sampling::Scraped => 0.45,
        };
        share * self.ln_needed()
    }

    /// How much of the wealth is spread anew after so many seconds.
    pub(super) fn share(&self, seconds: f64) -> f64 {
        (seconds / self.release_seconds).clamp(0.0, 0.5)
    }
}

// === impl Share ===

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (digits, unit) = text.strip_suffix('%').map_or((text, 1.0), |rest| (rest, 100.0));
        match digits.trim().parse::<f64>() {
            Ok(share) if share.is_finite() && share >= 0.0 => Ok(Self(share / unit)),
            _ => Err(format!("found `{text}`, allowed is a share such as 1% or 0.01")),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // 0.014 * 100 is 1.4000000000000001.
        let percent = (self.0 * 1e12).round() / 1e10;
        write!(f, "{}%", number(percent))
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Number(share)) => Ok(Self(share)),
            Ok(Written::Text(text)) => text.parse().map_err(de::Error::custom),
            Err(_) => Err(de::Error::custom("allowed is a share such as 1% or 0.01")),
        }
    }
}

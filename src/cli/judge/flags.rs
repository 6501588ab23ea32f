//! The flags of `kubectl sluice judge`: parsing and nothing else.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    analysis::judge::parameters::{Parameters, Sampling, Share, Tolerate},
    api::Duration,
};

/// Columns and exit codes as `--help` shows them.
pub const HELP: &str = "\
Columns of FILE, a CSV with a head, or JSON: a list of objects, or an object a line
  time       end of the interval: 2026-11-21T03:00:15Z, or seconds
  arm        canary or stable
  pod        name of the pod; optional, but without it nothing is known of bursts
  requests   requests that ended within the interval
  errors     those of them that failed; optional beside buckets
  le_0.25    those that took at most 0.25 s; a column for each bound, as in Prometheus
Counts are those of one interval, no running totals. A row is one pod, or one arm, in one interval.

Exit codes:
  0  nothing shows that the canary is worse
  1  an error, such as a file that is wrong
  2  wrong usage
  4  the canary is worse: roll back
  5  a person decides: not enough data, a marginal score, or an incident that stable shares";

/// Flags of `kubectl sluice judge`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub struct Flags {
    /// Counts by time, arm and pod: a CSV or JSON file, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which judge
    #[arg(long, value_enum, value_name = "JUDGE", default_value = "compare")]
    pub judge: Judge,
    /// Judges only this, where FILE has errors and buckets
    #[arg(long, value_enum, value_name = "METRIC")]
    pub metric: Option<Metric>,
    /// How many times stable's rate the canary may have; for latency, how many times the odds of
    /// being above a bound [default: 1.1, for latency 1.2]
    #[arg(long, value_name = "TIMES")]
    pub tolerate_ratio: Option<f64>,
    /// Share of requests that may fail on top of that, such as 0.1%
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub tolerate_absolute: Share,
    /// Share of healthy releases that may be rolled back
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    pub false_alarms: Share,
    /// Requests that each arm must have seen before the canary can pass
    #[arg(long, value_name = "REQUESTS", default_value_t = 100)]
    pub min_requests: u32,
    /// How long a release takes, roughly
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    pub release: Duration,
    /// How the two arms were sampled
    #[arg(long, value_enum, value_name = "WAY", default_value = "scraped")]
    pub sampling: Sampled,
    /// Share of requests that must be good, such as 99.9%: with it, an incident that stable shares
    /// holds the release
    #[arg(long, value_name = "SHARE")]
    pub objective: Option<Share>,
    /// How many times too fast the objective's error budget may burn
    #[arg(long, value_name = "TIMES", default_value_t = 14.4, requires = "objective")]
    pub burn: f64,
}

/// The judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// After every interval, with the false alarms that were asked for
    Compare,
    /// Once, at the end, as Kayenta does; looked at after every interval it alarms more often
    MannWhitney,
}

/// What can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Metric {
    /// The column errors
    Errors,
    /// The columns `le_BOUND`
    Latency,
}

/// How the two arms were sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sampled {
    /// Each pod at its own instant, as Prometheus does
    Scraped,
    /// All pods at the same instant
    Together,
}

impl Flags {
    /// The parameters in words, for errors or for latency.
    pub fn parameters(&self, metric: Metric) -> Parameters {
        let (ratio, absolute) = match metric {
            Metric::Errors => (1.1, self.tolerate_absolute.0),
            Metric::Latency => (1.2, 0.0),
        };
        Parameters {
            tolerate: Tolerate { ratio: self.tolerate_ratio.unwrap_or(ratio), absolute },
            false_alarms: self.false_alarms,
            min_requests: self.min_requests,
            release: self.release,
            sampling: match self.sampling {
                Sampled::Scraped => Sampling::Scraped,
                Sampled::Together => Sampling::Together,
            },
        }
    }
}

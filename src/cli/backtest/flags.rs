//! The flags of `kubectl sluice backtest`: parsing and nothing else.

use std::{path::PathBuf, str::FromStr};

use clap::Args;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::{
    analysis::judge::parameters::Share,
    api::{Duration, Header},
    cli::{args::Format, manifests::Argument},
};

/// Times and exit codes as `--help` shows them.
pub const HELP: &str = "\
Times: 2026-11-14T03:00:00Z, 2026-11-14 (midnight UTC), 7d (ago), now.

Examples:
  kubectl sluice backtest rollout.yaml templates.yaml --prometheus-url http://localhost:9090
  kubectl sluice backtest --requests 'http_requests_total{app=\"shop\"}' \\
    --errors 'http_requests_total{app=\"shop\",code=~\"5..\"}' \\
    --prometheus-url http://localhost:9090 --quiet 14d..now \\
    --bad 2026-11-18T10:00:00Z..2026-11-18T10:40:00Z --report backtest.html

Exit codes:
  0  the report is there
  1  an error, such as a Prometheus that does not answer, or no data
  2  wrong usage";

/// Flags of `kubectl sluice backtest`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub struct Flags {
    /// Manifests with the comparison to replay: a Rollout with its templates, or a template; files,
    /// folders, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "requests")]
    pub files: Vec<PathBuf>,
    /// Name of the metric, where FILE has several comparisons
    #[arg(long, value_name = "NAME", conflicts_with = "requests")]
    pub metric: Option<String>,
    /// Value of an argument of the template; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub arg: Vec<Argument>,
    /// Instead of FILE: counter of requests, as a selector without a function and a range
    #[arg(long, value_name = "SELECTOR", conflicts_with = "files")]
    pub requests: Option<String>,
    /// Counter of the failed ones; default: those of --requests with a `response_code` of 5xx or a
    /// `grpc_response_status` of the server
    #[arg(long, value_name = "SELECTOR", requires = "requests")]
    pub errors: Option<String>,

    /// Address of Prometheus, such as <http://localhost:9090>; default: the metric's
    #[arg(long, value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// HTTP header for Prometheus; may be given several times
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<Header>,

    /// A quiet time, in which releases are pretended; may be given several times, and `none` leaves
    /// them out
    #[arg(long, value_name = "FROM..TO", default_value = "7d..now")]
    pub quiet: Vec<Quiet>,
    /// Share of stable's pods that are pretended to be the canary; at least one pod
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub weight: Share,
    /// A bad release: from its first pod to its end; may be given several times
    #[arg(long, value_name = "FROM..TO")]
    pub bad: Vec<Span>,
    /// Label whose value tells revisions apart in a bad release; default: the metric's. Without such a
    /// label new pods are the canary
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Its value for the canary of a bad release; default: the one that is new
    #[arg(long, value_name = "VALUE", requires = "bad")]
    pub canary: Option<String>,
    /// Its value for stable; default: the one that was there before
    #[arg(long, value_name = "VALUE", requires = "bad")]
    pub stable: Option<String>,

    /// How many times stable's errors the canary may have [default: the metric's, or 1.1]
    #[arg(long, value_name = "TIMES")]
    pub tolerate_ratio: Option<f64>,
    /// Share of requests that may fail on top of that [default: the metric's, or 0%]
    #[arg(long, value_name = "SHARE")]
    pub tolerate_absolute: Option<Share>,
    /// Share of healthy releases that may be rolled back [default: the metric's, or 1%]
    #[arg(long, value_name = "SHARE")]
    pub false_alarms: Option<Share>,
    /// How long a release takes, and each of the pretended ones [default: the metric's, or 30m]
    #[arg(long, value_name = "DURATION")]
    pub release: Option<Duration>,

    /// Reads the values at these steps (`query_range`) instead of all samples: for long times, or a
    /// Prometheus that answers no more
    #[arg(long, value_name = "DURATION")]
    pub step: Option<Duration>,
    /// The most samples to read
    #[arg(long, value_name = "SAMPLES", default_value_t = 100_000_000)]
    pub max_points: u64,
    /// The longest time to read
    #[arg(long, value_name = "DURATION", default_value = "30m")]
    pub timeout: Duration,
    /// Writes the report with its plot: a page to *.html, the plot alone to *.svg
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// So long ago.
    Ago(SignedDuration),
    /// At this instant.
    At(Timestamp),
}

/// A time from one instant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: Time,
    to: Time,
}

/// What `--quiet` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quiet {
    /// No pretended releases.
    None,
    /// Pretended releases in this time.
    Span(Span),
}

impl Time {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH),
            Self::At(at) => at,
        }
    }
}

impl Span {
    /// The instants.
    ///
    /// # Errors
    /// It ends before it begins, or in the future.
    pub fn at(self, now: Timestamp) -> Result<(Timestamp, Timestamp), String> {
        let (from, to) = (self.from.at(now), self.to.at(now));
        if from >= to || to > now {
            return Err(format!(
                "found {from}..{to}, allowed is a time that begins before it ends, and ends by now"
            ));
        }
        Ok((from, to))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Ago(SignedDuration::ZERO));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
        if let Some(at) = text.parse::<Date>().ok().and_then(midnight) {
            return Ok(Self::At(at));
        }
        let ago = text.parse::<Duration>().ok();
        let ago = ago.and_then(|ago| SignedDuration::try_from(ago.0).ok());
        ago.map(Self::Ago).ok_or_else(|| {
            format!(
                "found `{text}`, allowed is a time such as 2026-11-14T03:00:00Z, 2026-11-14, 7d (ago) or now"
            )
        })
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or_else(|| {
            format!(
                "found `{text}`, allowed is FROM..TO, such as 7d..now or 2026-11-14..2026-11-21"
            )
        })?;
        Ok(Self { from: from.parse()?, to: to.parse()? })
    }
}

impl FromStr for Quiet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::Span).map_err(|error: String| format!("{error}, or none"))
    }
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or_else(|| {
        format!("found `{text}`, allowed is NAME: VALUE, such as X-Scope-OrgID: shop")
    })?;
    let value = Some(value.trim().to_owned());
    Ok(Header { name: name.trim().to_owned(), value, secret_key_ref: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_or_ago() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, from, to) in [
            ("7d..now", "2026-11-14T12:00:00Z", "2026-11-21T12:00:00Z"),
            ("2026-11-14..2026-11-21", "2026-11-14T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("2026-11-14T03:00:00Z..1h30m", "2026-11-14T03:00:00Z", "2026-11-21T10:30:00Z"),
        ] {
            let (begins, ends) = text.parse::<Span>().unwrap().at(now).unwrap();
            assert_eq!((begins.to_string(), ends.to_string()), (from.to_owned(), to.to_owned()));
        }
        for text in ["now..7d", "1d..2030-01-01"] {
            let wrong = text.parse::<Span>().unwrap().at(now).unwrap_err();
            assert!(wrong.contains("ends by now"), "{wrong}");
        }
        for text in ["7d", "yesterday..now", "7d..", ""] {
            assert!(text.parse::<Span>().unwrap_err().contains("allowed is"), "{text}");
        }
        assert_eq!("none".parse::<Quiet>(), Ok(Quiet::None));
    }
}

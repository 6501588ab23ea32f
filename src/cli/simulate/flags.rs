//! The flags of `sluice simulate`: parsing and nothing else.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};

use crate::{
    api::Duration,
    sim::{
        scenario::{Percent, Users, Version},
        traffic,
    },
};

/// Share of requests that fail in an incident that does not say it.
const INCIDENT_ERRORS: f64 = 0.2;

/// The exit codes as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  promoted
  1  an error, such as a manifest that is wrong
  2  wrong usage
  3  stuck, or an invalid spec
  4  rolled back
  5  waiting for a person
  6  not ended within --limit";

/// Flags of `sluice simulate`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub struct Flags {
    /// Manifests: files, folders (*.yaml, *.yml, *.json), or - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The Rollout to release, where there are several
    #[arg(long, value_name = "NAME")]
    pub rollout: Option<String>,
    /// Namespace of objects that name none; default: `default`
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Image of the new version; default: the present one with `-new` after its tag
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Share of requests that the new version answers with an error, such as 5%
    #[arg(long, value_name = "SHARE")]
    pub canary_errors: Option<Percent>,
    /// How long after a pod became ready these errors begin
    #[arg(long, value_name = "DURATION", requires = "canary_errors")]
    pub errors_after: Option<Duration>,
    /// Factor on the new version's latency, such as x2
    #[arg(long, value_name = "FACTOR")]
    pub canary_latency: Option<Factor>,
    /// How long after they became ready pods of the new version crash
    #[arg(long, value_name = "DURATION")]
    pub crash_after: Option<Duration>,
    /// Pods of the new version never become ready
    #[arg(long)]
    pub never_ready: bool,
    /// How long pods of the new version take to become ready
    #[arg(long, value_name = "DURATION")]
    pub startup: Option<Duration>,

    /// Users' requests to each VirtualService, such as 500/min or 10/s
    #[arg(long, value_name = "RATE", default_value = "600/min")]
    pub requests: Rate,
    /// Share of requests that any version answers with an error
    #[arg(long, value_name = "SHARE", default_value = "0.1%")]
    pub errors: Percent,
    /// A time at which all versions fail, counted from the start of the release, such as
    /// 10m..15m:20%; without a share, 20 % of requests. May be given several times
    #[arg(long, value_name = "FROM..TO[:SHARE]")]
    pub incident: Vec<Incident>,
    /// What chance is made of; the same seed gives the same story
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// When a person promotes a pause that waits for one, or `never`
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub promote_after: Patience,
    /// The longest time that the release may take, in simulated time
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub limit: Duration,
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// The formats of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON document
    Json,
}

/// A factor above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

/// Requests in a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(pub f64);

/// A time at which all versions fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident(pub traffic::Incident);

/// When a person promotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Nobody is there.
    Never,
    /// After this time.
    After(Duration),
}

impl Flags {
    /// How the new version behaves.
    pub fn version(&self) -> Version {
        Version {
            errors: self.canary_errors,
            latency: self.canary_latency.map(|factor| factor.0),
            errors_after: self.errors_after,
            startup: self.startup,
            crash_after: self.crash_after,
            never_ready: self.never_ready,
        }
    }

    /// What users do.
    pub fn users(&self) -> Users {
        Users {
            requests_per_minute: Some(self.requests.0),
            errors: Some(self.errors),
            ..Users::default()
        }
    }
}

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix('x').unwrap_or(text).parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite() && *number > 0.0);
        number
            .map(Self)
            .ok_or_else(|| format!("found `{text}`, allowed is a factor above 0, such as x2"))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("found `{text}`, allowed is a rate such as 500/min or 10/s");
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let per_minute = match unit {
            "s" => 60.0,
            "min" => 1.0,
            "h" => 1.0 / 60.0,
            _ => return Err(wrong()),
        };
        let number = number.parse::<f64>().ok();
        let number = number.filter(|number| (0.0..=1e7).contains(number)).ok_or_else(wrong)?;
        Ok(Self(number * per_minute))
    }
}

impl FromStr for Incident {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("found `{text}`, allowed is FROM..TO or FROM..TO:SHARE, such as 10m..15m:20%")
        };
        let (span, share) = match text.split_once(':') {
            Some((span, share)) => (span, share.parse::<Percent>()?.0),
            None => (text, INCIDENT_ERRORS),
        };
        let (from, to) = span.split_once("..").ok_or_else(wrong)?;
        let time = |text: &str| text.parse::<Duration>().map(|time| time.0);
        let (from, to) = (time(from)?, time(to)?);
        if from >= to {
            return Err(wrong());
        }
        Ok(Self(traffic::Incident { from, to, errors: share, latency: 1.0 }))
    }
}

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        text.parse().map(Self::After).map_err(|error: String| format!("{error}, or `never`"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(line: &str) -> Result<Flags, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        Ok(cli.flags)
    }

    #[test]
    fn reads_every_flag() {
        let flags = parse(
            "x a.yaml - --rollout web -n shop --image web:2 --canary-errors 5% --errors-after 5m \
             --canary-latency x2 --crash-after 2m --never-ready --startup 20s --requests 500/min \
             --errors 0.1% --incident 10m..15m --incident 1h..2h:50% --seed 7 --promote-after never \
             --limit 2h -o json",
        )
        .unwrap();
        assert_eq!(flags.version().latency, Some(2.0));
        assert_eq!(flags.users().requests_per_minute, Some(500.0));
        assert!((flags.incident[1].0.errors - 0.5).abs() < 1e-9);
        assert_eq!(flags.promote_after, Patience::Never);
        assert_eq!(parse("x a").unwrap().promote_after, Patience::After(Duration::from_secs(300)));
    }

    #[test]
    fn wrong_values_are_named_with_what_is_allowed() {
        for (line, part) in [
            ("x", "required"),
            ("x a --canary-errors 5", "such as 5%"),
            ("x a --canary-errors 120%", "from 0% to 100%"),
            ("x a --errors-after 5m", "--canary-errors"),
            ("x a --canary-latency 0", "such as x2"),
            ("x a --requests 500", "such as 500/min"),
            ("x a --requests 5/day", "such as 500/min"),
            ("x a --incident 10m", "such as 10m..15m:20%"),
            ("x a --incident 15m..10m", "such as 10m..15m:20%"),
            ("x a --incident 1m..2m:5", "such as 5%"),
            ("x a --promote-after later", "or `never`"),
            ("x a --crash-after soon", "a duration such as"),
            ("x a -o xml", "json"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn rates_count_by_the_minute() {
        for (text, rate) in [("500/min", 500.0), ("10/s", 600.0), ("600/h", 10.0)] {
            assert!((text.parse::<Rate>().unwrap().0 - rate).abs() < 1e-9, "{text}");
        }
    }
}

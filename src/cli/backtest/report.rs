//! What a backtest found, as text and as JSON. Pure.

use jiff::Timestamp;
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

use crate::{
    analysis::judge::words::{grouped, time},
    cli::style::{Paint, Style},
};

/// False alarms that are told one by one.
const TOLD: usize = 5;

/// How sure the upper end is.
const SURE: f64 = 0.95;

/// What a backtest found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Where the comparison is written.
    pub metric: String,
    /// Counter of requests.
    pub requests: String,
    /// Counter of errors, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<String>,
    /// Distance of two scrapes, in seconds.
    pub scrape_seconds: f64,
    /// Samples that were read.
    pub samples: u64,
    /// Share of healthy releases that may be rolled back.
    pub false_alarms: f64,
    /// The quiet time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// The bad releases.
    pub bad: Vec<Bad>,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// Pretended releases of a quiet time.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quiet {
    /// From and to.
    pub spans: Vec<(Timestamp, Timestamp)>,
    /// How long each release was, in seconds.
    pub release_seconds: f64,
    /// How many there were.
    pub releases: usize,
    /// How many times have none, and why.
    pub left_out: Vec<(&'static str, usize)>,
    /// How canary and stable were made, in words.
    pub split: String,
    /// Requests a minute.
    pub requests_per_minute: f64,
    /// Share of them that failed.
    pub error_share: f64,
    /// What each judge rolled back.
    pub judges: Vec<Alarms>,
    /// Each release: when, share of errors, and who alarmed.
    pub timeline: Vec<Moment>,
    /// What cannot be found at this traffic; empty when a doubling can.
    pub outlook: String,
}

/// What a judge rolled back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarms {
    /// The judge.
    pub judge: String,
    /// Pretended releases that it would have rolled back.
    pub rolled_back: usize,
    /// Their share.
    pub share: f64,
    /// The share is at most this, with 95 %.
    pub at_most: f64,
}

/// A pretended release.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// When it began.
    pub at: Timestamp,
    /// Share of failed requests of both arms.
    pub error_share: f64,
    /// The judges that rolled back, by their index.
    pub alarms: Vec<usize>,
    /// What ours had found when it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A bad release.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bad {
    /// From.
    pub from: Timestamp,
    /// To.
    pub to: Timestamp,
    /// Which one the canary was.
    pub canary: String,
    /// Which one stable was.
    pub stable: String,
    /// The canary's first request.
    pub first_request: Timestamp,
    /// Requests of the canary, and the failed ones.
    pub canary_requests: (u64, u64),
    /// Requests of stable meanwhile.
    pub stable_requests: (u64, u64),
    /// When each judge would have rolled back.
    pub judges: Vec<Caught>,
    /// Share of errors a minute, of canary and stable.
    pub minutes: Vec<(f64, f64)>,
    /// What ours found, in words.
    pub message: String,
}

/// When a judge would have rolled back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caught {
    /// The judge.
    pub judge: String,
    /// Seconds from the canary's first request; nothing when it would not have.
    pub after_seconds: Option<f64>,
    /// Requests of the canary that failed until then.
    pub failed_until: u64,
}

impl Alarms {
    /// So many of so many.
    pub fn of(judge: String, rolled_back: usize, releases: usize) -> Self {
        let share = real(rolled_back) / real(releases.max(1));
        Self { judge, rolled_back, share, at_most: at_most(rolled_back, releases) }
    }
}

/// The upper end of Clopper and Pearson's interval.
fn at_most(found: usize, of: usize) -> f64 {
    let beta = Beta::new(real(found) + 1.0, real(of.saturating_sub(found)));
    beta.map_or(1.0, |beta| beta.inverse_cdf(SURE))
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// `0.12 %`.
pub fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = if percent >= 10.0 {
        0
    } else if percent >= 1.0 {
        1
    } else {
        2
    };
    format!("{percent:.digits$} %")
}

/// `2026-11-18 10:00Z`.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// `1 release`, `7 releases`.
fn releases(number: usize) -> String {
    format!("{} {}", grouped(number as u64), if number == 1 { "release" } else { "releases" })
}

impl Report {
    /// For people.
    pub fn text(&self, style: Style) -> String {
        let mut text = Text { text: String::new(), style };
        text.say(Paint::Bold, &self.metric);
        text.say(Paint::Dim, &self.read());
        for note in &self.notes {
            text.say(Paint::Wait, &format!("Note: {note}"));
        }
        if let Some(quiet) = &self.quiet {
            self.quiet(quiet, &mut text);
        }
        for bad in &self.bad {
            told(bad, &mut text);
        }
        text.text
    }

    /// What was read.
    pub fn read(&self) -> String {
        let errors = self.errors.iter().map(|errors| format!(" and {errors}"));
        format!(
            "{}{}: {} samples, scraped every {}",
            self.requests,
            errors.collect::<String>(),
            grouped(self.samples),
            time(self.scrape_seconds)
        )
    }

    fn quiet(&self, quiet: &Quiet, text: &mut Text) {
        text.say(Paint::Plain, "");
        text.say(Paint::Bold, &format!("Quiet: {}", quiet.title()));
        text.say(Paint::Plain, &format!("  {}", quiet.about()));
        if quiet.releases == 0 {
            return;
        }
        text.say(
            Paint::Dim,
            &format!("  {:<40}{:>12}{:>9}   at most (95 %)", "", "rolled back", "share"),
        );
        for alarms in &quiet.judges {
            let paint = if alarms.share > self.false_alarms { Paint::Bad } else { Paint::Good };
            let share = percent(alarms.share);
            let share = text.style.paint(paint, &format!("{share:>9}"));
            let (judge, number, most) =
                (&alarms.judge, alarms.rolled_back, percent(alarms.at_most));
            text.say(Paint::Plain, &format!("  {judge:<40}{number:>12}{share}   {most}"));
        }
        let ours = quiet.timeline.iter().filter(|moment| !moment.message.is_empty());
        for moment in ours.clone().take(TOLD) {
            text.say(Paint::Wait, &format!("  {}: {}", clock(moment.at), moment.message));
        }
        let more = ours.count().saturating_sub(TOLD);
        if more > 0 {
            text.say(Paint::Dim, &format!("  and {more} more of Sluice's: -o json has them all"));
        }
        if !quiet.outlook.is_empty() {
            text.say(Paint::Wait, &format!("  {}", quiet.outlook));
        }
    }
}

impl Quiet {
    /// How many releases of which time.
    pub fn title(&self) -> String {
        let spans =
            self.spans.iter().map(|(from, to)| format!("{} to {}", clock(*from), clock(*to)));
        format!(
            "{} of {} pretended, {}",
            releases(self.releases),
            time(self.release_seconds),
            spans.collect::<Vec<_>>().join(", ")
        )
    }

    /// Traffic, how arms were made, and what was left out.
    pub fn about(&self) -> String {
        let rate = crate::analysis::judge::words::rounded(self.requests_per_minute);
        let share = percent(self.error_share);
        let left: Vec<String> =
            self.left_out.iter().map(|(why, number)| format!("{number} left out: {why}")).collect();
        let mut parts = vec![format!("{rate} requests a minute, {share} of them failed")];
        parts.push(self.split.clone());
        parts.extend(left);
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }
}

impl Bad {
    /// When it was, and of whom.
    pub fn title(&self) -> String {
        let (from, to) = (clock(self.from), clock(self.to));
        format!("Bad: {from} to {to}, canary {}, stable {}", self.canary, self.stable)
    }

    /// What was counted.
    pub fn about(&self) -> String {
        let part = |(requests, failed): (u64, u64)| {
            format!("{} of {} failed", grouped(failed), grouped(requests))
        };
        let (canary, stable) = (part(self.canary_requests), part(self.stable_requests));
        format!("canary {canary}, stable {stable}, since the canary's first request")
    }
}

impl Caught {
    /// `45 s`, or `not found`.
    pub fn found(&self) -> String {
        self.after_seconds.map_or_else(|| "not found".to_owned(), time)
    }
}

fn told(bad: &Bad, text: &mut Text) {
    text.say(Paint::Plain, "");
    text.say(Paint::Bold, &bad.title());
    text.say(Paint::Plain, &format!("  {}", bad.about()));
    text.say(Paint::Dim, &format!("  {:<40}{:>12}   failed until then", "", "found after"));
    for caught in &bad.judges {
        let paint = if caught.after_seconds.is_some() { Paint::Good } else { Paint::Bad };
        let found = text.style.paint(paint, &format!("{:>12}", caught.found()));
        let failed = grouped(caught.failed_until);
        text.say(Paint::Plain, &format!("  {:<40}{found}   {failed}", caught.judge));
    }
    if !bad.message.is_empty() {
        text.say(Paint::Plain, &format!("  {}", bad.message));
    }
}

/// Lines as they come.
struct Text {
    text: String,
    style: Style,
}

impl Text {
    fn say(&mut self, paint: Paint, line: &str) {
        self.text.push_str(&self.style.paint(paint, line));
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_of_some_is_no_proof_of_none() {
        // The rule of three: 3 of 300.
        let alarms = Alarms::of("a".to_owned(), 0, 300);
        assert!((0.0095..0.0105).contains(&alarms.at_most), "{alarms:?}");
        let alarms = Alarms::of("a".to_owned(), 3, 3);
        assert!((alarms.share, alarms.at_most) == (1.0, 1.0), "{alarms:?}");
        assert!(Alarms::of("a".to_owned(), 0, 0).at_most >= 1.0);
    }
}

//! A release of the past as the judges see it, real or pretended. Pure.
//!
//! In: series, each told to be of the canary or of stable. Out: when each judge would have rolled back.

use crate::analysis::{
    compare::{
        intervals::{Asked, Known, intervals},
        samples::{Arms, Counter, Holds, counters},
    },
    judge::{
        Counts, Finding, Params, Totals,
        counts::{Interval, State, step},
        others::{Minute, RULES},
    },
    provider::prometheus::Series,
};

/// The label by which an arm is told here: a colon is in no label of Prometheus'.
const ARM: &str = ":arm";

/// Which arm a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The canary.
    Canary,
    /// Stable.
    Stable,
}

/// A release, cut into intervals by the reading that releases have.
#[derive(Clone, Debug)]
pub struct Release {
    /// Each with its end, in milliseconds since 1970; those before the release as well.
    pub intervals: Vec<(i64, Interval)>,
    /// Distance of two scrapes, in milliseconds.
    pub scrape: i64,
}

/// What one judge says of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The judge.
    pub name: String,
    /// Seconds from the canary's first request until it rolls back; nothing when it does not.
    pub after: Option<f64>,
    /// Failed requests of the canary until then, or until the end.
    pub failed: u64,
    /// What ours had found by then.
    pub finding: Option<Finding>,
}

/// When it was, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Where the samples begin.
    pub from: i64,
    /// When the release began.
    pub began: i64,
    /// Its end.
    pub to: i64,
}

/// The names of the judges, ours first.
pub fn judges() -> Vec<String> {
    let others = RULES.iter().map(|rule| rule.name());
    std::iter::once("Sluice, compare".to_owned()).chain(others).collect()
}

/// The series as counters of the arms that `arm` tells them to be.
pub fn told(series: &[(Holds, Series)], arm: impl Fn(&Series) -> Option<Arm>) -> Vec<Counter> {
    let arms =
        Arms { label: ARM.to_owned(), canary: "canary".to_owned(), stable: "stable".to_owned() };
    let mut all = Vec::new();
    for (holds, series) in series {
        let Some(arm) = arm(series) else { continue };
        let mut series = series.clone();
        let value = if arm == Arm::Canary { &arms.canary } else { &arms.stable };
        series.labels.insert(ARM.to_owned(), value.clone());
        all.extend(counters(&[series], &arms, *holds));
    }
    all
}

impl Release {
    /// Cuts the counters into intervals.
    pub fn of(counters: &[Counter], times: Times) -> Self {
        let Times { from, began, to } = times;
        let counted = intervals(counters, &Known::default(), Asked { from, began, now: to });
        let mut end = counted.known.read_until.unwrap_or(to);
        let mut intervals = Vec::new();
        for interval in counted.intervals.into_iter().rev() {
            let length = milliseconds(interval.seconds);
            intervals.push((end, interval));
            end -= length;
        }
        intervals.reverse();
        Self { intervals, scrape: counted.scrape }
    }

    /// The intervals from the canary's first request on.
    fn of_canary(&self) -> &[(i64, Interval)] {
        let first = self.intervals.iter().position(|(_, interval)| interval.canary.requests > 0);
        first.and_then(|first| self.intervals.get(first..)).unwrap_or_default()
    }

    /// When the canary's first interval began.
    pub fn begins(&self) -> Option<i64> {
        let (end, interval) = self.of_canary().first()?;
        Some(end - milliseconds(interval.seconds))
    }

    /// Both arms since the canary's first request.
    pub fn totals(&self) -> (Totals, Totals) {
        self.of_canary().iter().fold(<(Totals, Totals)>::default(), |(canary, stable), (_, one)| {
            (canary.and(one.canary), stable.and(one.stable))
        })
    }

    /// Minutes since the canary's first request.
    pub fn minutes(&self) -> Vec<Minute> {
        let (mut minutes, mut minute, mut seconds) = (Vec::new(), Minute::default(), 0.0);
        for (_, interval) in self.of_canary() {
            add(&mut minute.canary, interval.canary);
            add(&mut minute.stable, interval.stable);
            seconds += interval.seconds;
            // A gap of scrapes is as many minutes, the requests in the first.
            while seconds > 59.5 {
                minutes.push(std::mem::take(&mut minute));
                seconds -= 60.0;
            }
        }
        minutes
    }

    /// What each judge says, in the order of [`judges`].
    pub fn judged(&self, params: &Params) -> Vec<Said> {
        let minutes = self.minutes();
        let others = RULES.iter().map(|rule| {
            let found = rule.alarm(&minutes);
            let until = minutes.iter().take(found.unwrap_or(minutes.len()));
            Said {
                name: rule.name(),
                after: found.and_then(|n| u32::try_from(n).ok()).map(|n| f64::from(n) * 60.0),
                failed: until.map(|minute| u64::from(minute.canary.errors)).sum(),
                finding: None,
            }
        });
        std::iter::once(self.ours(params)).chain(others).collect()
    }

    fn ours(&self, params: &Params) -> Said {
        let mut said =
            Said { name: judges().swap_remove(0), after: None, failed: 0, finding: None };
        let begins = self.begins().unwrap_or(i64::MAX);
        let mut state = State::default();
        for (end, interval) in &self.intervals {
            let finding;
            (state, finding) = step(&state, interval, params);
            said.failed += u64::from(interval.canary.errors);
            if state.alarmed {
                said.after = Some(seconds(end - begins));
                said.finding = Some(finding);
                break;
            }
        }
        said
    }
}

fn add(sum: &mut Counts, more: Counts) {
    sum.requests = sum.requests.saturating_add(more.requests);
    sum.errors = sum.errors.saturating_add(more.errors);
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times of this era are exact in a double")]
pub fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

//! Ours, and the rules of others, as far as a release of half an hour needs them. Each says at which
//! second it would have rolled back.
//!
//! The others are flattered: exact windows, no delay, and an empty window is no failure for Argo.

use sluice::analysis::judge::{
    Counts, Params,
    counts::{State, step},
    mann_whitney::{Class, Rules, classify},
    parameters::Parameters,
};

use super::traffic::{Release, SECONDS};

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judge {
    /// `compare`, at scrapes of so many seconds.
    Sluice(usize),
    /// Success of the last minute at least this; the fourth failure aborts.
    Argo(f64),
    /// Success of the last minute at least 99 %; five failed checks roll back at the next one.
    Flagger,
    /// Mann-Whitney on the errors a minute since the beginning, every five minutes.
    Kayenta,
}

pub const JUDGES: [Judge; 5] =
    [Judge::Sluice(15), Judge::Argo(0.95), Judge::Argo(0.99), Judge::Flagger, Judge::Kayenta];

impl Judge {
    pub fn name(self) -> String {
        match self {
            Self::Sluice(every) => format!("Sluice, {every} s scrapes"),
            Self::Argo(least) => format!("Argo >= {:.0} %, 60 s, failureLimit 3", least * 100.0),
            Self::Flagger => "Flagger 99 %, 1 m, threshold 5".to_owned(),
            Self::Kayenta => "Kayenta, every 5 min".to_owned(),
        }
    }

    pub fn alarm(self, release: &Release, skew: i32) -> Option<usize> {
        match self {
            Self::Sluice(every) => sluice(release, every, skew, &params()),
            Self::Argo(least) => argo(release, least),
            Self::Flagger => flagger(release),
            Self::Kayenta => kayenta(release),
        }
    }
}

/// What people get who write nothing.
pub fn params() -> Params {
    Parameters::default().check(1).expect("the defaults are sound")
}

fn sluice(release: &Release, every: usize, skew: i32, params: &Params) -> Option<usize> {
    let mut state = State::default();
    for minute in &release.history {
        state = step(&state, minute, params).0;
    }
    for (scrape, interval) in release.scrapes(every, skew).iter().enumerate() {
        state = step(&state, interval, params).0;
        if state.alarmed {
            return Some((scrape + 1) * every);
        }
    }
    None
}

fn success(counts: Counts) -> Option<f64> {
    let requests = f64::from(counts.requests);
    (counts.requests > 0).then(|| 1.0 - f64::from(counts.errors) / requests)
}

fn minutes() -> impl Iterator<Item = usize> {
    (1..=SECONDS / 60).map(|minute| minute * 60)
}

fn argo(release: &Release, least: f64) -> Option<usize> {
    let failed = |end: &usize| success(release.canary(end - 60, *end)).is_some_and(|s| s < least);
    minutes().filter(failed).nth(3)
}

fn flagger(release: &Release) -> Option<usize> {
    let failed = |end: &usize| success(release.canary(end - 60, *end)).is_none_or(|s| s < 0.99);
    minutes().filter(failed).nth(4).map(|end| end + 60)
}

fn kayenta(release: &Release) -> Option<usize> {
    let rate = |counts: Counts| success(counts).map_or(f64::NAN, |success| 1.0 - success);
    let (mut canary, mut stable) = (Vec::new(), Vec::new());
    for end in minutes() {
        canary.push(rate(release.canary(end - 60, end)));
        stable.push(rate(release.stable(end - 60, end)));
        if end % 300 == 0 && classify(&canary, &stable, &Rules::default()) == Class::High {
            return Some(end);
        }
    }
    None
}

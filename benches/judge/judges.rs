//! Ours, and the rules of others, on a release of half an hour. Each says at which second it would
//! have rolled back.

use sluice::analysis::judge::{
    Params,
    counts::{State, step},
    others::{Minute, RULES, Rule},
    parameters::Parameters,
};

use super::traffic::{Release, SECONDS};

/// A judge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judge {
    /// `compare`, at scrapes of so many seconds.
    Sluice(usize),
    /// A rule of others.
    Other(Rule),
}

pub const JUDGES: [Judge; 5] = [
    Judge::Sluice(15),
    Judge::Other(RULES[0]),
    Judge::Other(RULES[1]),
    Judge::Other(RULES[2]),
    Judge::Other(RULES[3]),
];

impl Judge {
    pub fn name(self) -> String {
        match self {
            Self::Sluice(every) => format!("Sluice, {every} s scrapes"),
            Self::Other(rule) => rule.name(),
        }
    }

    pub fn alarm(self, release: &Release, skew: i32) -> Option<usize> {
        match self {
            Self::Sluice(every) => sluice(release, every, skew, &params()),
            Self::Other(rule) => rule.alarm(&minutes(release)).map(|minute| minute * 60),
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

fn minutes(release: &Release) -> Vec<Minute> {
    let minute = |end: usize| Minute {
        canary: release.canary(end - 60, end),
        stable: release.stable(end - 60, end),
    };
    (1..=SECONDS / 60).map(|minute| minute * 60).map(minute).collect()
}

//! The rules that people use elsewhere, to stand beside ours.
//!
//! In: minutes of both arms. Out: after how many of them a rule rolls back. The rules are flattered:
//! exact minutes, no delay, and for Argo Rollouts an empty minute is no failure.

use super::{
    Counts,
    mann_whitney::{Class, Rules, classify},
};

/// What both arms counted in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// The canary.
    pub canary: Counts,
    /// Stable.
    pub stable: Counts,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Argo Rollouts: success of the last minute at least this; the fourth failure aborts
    /// (`failureLimit: 3`).
    Argo(f64),
    /// Flagger: success of the last minute at least 99 %, and some requests; five failed checks roll
    /// back at the next one.
    Flagger,
    /// Kayenta: Mann-Whitney on the errors a minute since the beginning, every five minutes.
    Kayenta,
}

/// The rules as people have them.
pub const RULES: [Rule; 4] = [Rule::Argo(0.95), Rule::Argo(0.99), Rule::Flagger, Rule::Kayenta];

impl Rule {
    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Self::Argo(least) => format!("Argo >= {:.0} %, 60 s, failureLimit 3", least * 100.0),
            Self::Flagger => "Flagger 99 %, 1 m, threshold 5".to_owned(),
            Self::Kayenta => "Kayenta, every 5 min".to_owned(),
        }
    }

    /// After how many minutes it rolls back; nothing when it does not.
    pub fn alarm(self, minutes: &[Minute]) -> Option<usize> {
        let success: Vec<Option<f64>> = minutes.iter().map(|m| success(m.canary)).collect();
        let failures = |failed: &dyn Fn(Option<f64>) -> bool, number: usize| {
            let mut all = success.iter().enumerate().filter(|(_, success)| failed(**success));
            all.nth(number - 1).map(|(index, _)| index + 1)
        };
        match self {
            Self::Argo(least) => failures(&|success| success.is_some_and(|s| s < least), 4),
            Self::Flagger => failures(&|success| success.is_none_or(|s| s < 0.99), 5)
                .map(|minute| minute + 1)
                .filter(|minute| *minute <= minutes.len()),
            Self::Kayenta => kayenta(minutes),
        }
    }
}

fn success(counts: Counts) -> Option<f64> {
    let requests = f64::from(counts.requests);
    (counts.requests > 0).then(|| 1.0 - f64::from(counts.errors) / requests)
}

fn kayenta(minutes: &[Minute]) -> Option<usize> {
    let rate = |counts: Counts| success(counts).map_or(f64::NAN, |success| 1.0 - success);
    let canary: Vec<f64> = minutes.iter().map(|minute| rate(minute.canary)).collect();
    let stable: Vec<f64> = minutes.iter().map(|minute| rate(minute.stable)).collect();
    let mut looks = (5..=minutes.len()).step_by(5);
    looks.find(|end| {
        let values = (canary.get(..*end), stable.get(..*end));
        let (Some(canary), Some(stable)) = values else { return false };
        classify(canary, stable, &Rules::default()) == Class::High
    })
}

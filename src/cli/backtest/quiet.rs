//! Pretended releases: some pods of a quiet time are called the canary, and nothing else about them
//! is. What rolls such a release back is a false alarm. Pure.
//!
//! In: samples of a time before and during the release. Out: the release, or why there is none. Real
//! pods differ, pause and fail in bursts as they do, so that chance is not made up. Where one target
//! counts for all, requests are dealt out instead: that tears bursts apart, and is said.

use std::collections::{BTreeMap, BTreeSet};

use super::release::{Arm, Release, Times, told};
use crate::analysis::{
    compare::samples::{Counter, Holds, growths, scrapes},
    judge::{Counts, counts::Interval},
    provider::prometheus::Series,
};

/// How arms were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// By pods.
    Pods,
    /// By requests.
    Requests,
}

/// Why a time has no pretended release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// There were no samples, or no requests.
    NoRequests,
    /// No pod was there from the beginning to the end.
    PodsChanged,
    /// It touches a bad release.
    Bad,
}

impl LeftOut {
    /// In words, behind "3 left out: ".
    pub fn why(self) -> &'static str {
        match self {
            Self::NoRequests => "no requests",
            Self::PodsChanged => "pods came and went",
            Self::Bad => "in a bad release",
        }
    }
}

/// A pretended release.
#[derive(Clone, Debug)]
pub struct Pretended {
    /// What the judges see.
    pub release: Release,
    /// How the arms were made.
    pub split: Split,
    /// Pods that were there all the time, and those of them that are the canary.
    pub pods: (usize, usize),
    /// Requests of both arms.
    pub all: Counts,
}

/// Pretends the `number`th release: the pods take turns.
///
/// # Errors
/// Why there is none.
pub fn pretend(
    series: &[(Holds, Series)],
    times: Times,
    weight: f64,
    number: usize,
) -> Result<Pretended, LeftOut> {
    let stable = told(series, |_| Some(Arm::Stable));
    let Some(reporter) = reporter(&stable, times) else { return Err(LeftOut::NoRequests) };
    let stable: Vec<Counter> =
        stable.into_iter().filter(|counter| counter.reporter == reporter).collect();
    let busy = busy(&stable, times);
    if busy.is_empty() {
        return Err(LeftOut::NoRequests);
    }
    let there = there(&stable, times);
    let pods: Vec<&String> = busy.keys().filter(|pod| there.contains(*pod)).collect();
    if busy.len() == 1 && pods.len() == 1 {
        let release = dealt(Release::of(&stable, times), times.began, weight, number);
        return Ok(done(release, times, Split::Requests, (1, 0)));
    }
    if pods.len() < 2 {
        return Err(LeftOut::PodsChanged);
    }
    let canaries = canaries(pods.len(), weight);
    let chosen: BTreeSet<&String> =
        (0..canaries).map(|each| pods[(number * canaries + each) % pods.len()]).collect();
    let split: Vec<Counter> = stable
        .iter()
        .cloned()
        .map(|mut counter| {
            if chosen.contains(&counter.target) {
                counter.arm = crate::analysis::compare::samples::Arm::Canary;
            }
            counter
        })
        .collect();
    let release = Release::of(&split, times);
    Ok(done(release, times, Split::Pods, (pods.len(), canaries)))
}

fn done(release: Release, times: Times, split: Split, pods: (usize, usize)) -> Pretended {
    let mut all = Counts::default();
    for (_, interval) in release.intervals.iter().filter(|(end, _)| *end > times.began) {
        all.requests += interval.canary.requests + interval.stable.requests;
        all.errors += interval.canary.errors + interval.stable.errors;
    }
    Pretended { release, split, pods, all }
}

/// Whose counts tell most pods apart, among those who count most requests.
fn reporter(counters: &[Counter], times: Times) -> Option<String> {
    let all: BTreeSet<&str> = counters.iter().map(|counter| counter.reporter.as_str()).collect();
    let of = |name: &&str| {
        let mine = counters.iter().filter(|counter| counter.reporter == **name);
        let busy = busy(&mine.cloned().collect::<Vec<_>>(), times);
        (busy.len(), busy.values().sum::<u64>())
    };
    let all: Vec<(&str, (usize, u64))> = all.into_iter().map(|name| (name, of(&name))).collect();
    let most = all.iter().map(|(_, (_, requests))| *requests).max().unwrap_or(0);
    let enough = all.into_iter().filter(|(_, (_, requests))| requests * 10 >= most * 8);
    let best = enough.max_by_key(|(name, (pods, _))| (*pods, *name == "destination"));
    best.map(|(name, _)| name.to_owned())
}

/// The requests of each target during the release.
fn busy(counters: &[Counter], times: Times) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let scrape = crate::analysis::compare::samples::scrape_interval(counters).unwrap_or(0);
    for growth in growths(counters, times.from, scrape) {
        if growth.at > times.began && growth.requests > 0 {
            *found.entry(growth.target).or_insert(0) += u64::from(growth.requests);
        }
    }
    found
}

/// The targets that are scraped from the beginning of the release to its end.
fn there(counters: &[Counter], times: Times) -> BTreeSet<String> {
    let scrape = crate::analysis::compare::samples::scrape_interval(counters).unwrap_or(0);
    let late = (2 * scrape).max(60_000);
    let all = scrapes(counters).into_iter().filter(|(_, at)| {
        at.first().is_some_and(|first| *first <= times.began + late)
            && at.last().is_some_and(|last| *last + late >= times.to)
    });
    all.map(|(target, _)| target.to_owned()).collect()
}

/// So many pods are the canary: the share that was asked for, less than half.
fn canaries(pods: usize, weight: f64) -> usize {
    let most = pods.saturating_sub(1) / 2;
    let mut canaries = 1;
    let share = |canaries: usize| real(canaries) / real(pods);
    while canaries < most && share(canaries) + 0.5 / real(pods) < weight {
        canaries += 1;
    }
    canaries
}

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Deals the requests of stable out to both arms, by chance that can be repeated.
fn dealt(mut release: Release, began: i64, weight: f64, seed: usize) -> Release {
    let mut chance = Chance(seed as u64);
    for (_, interval) in release.intervals.iter_mut().filter(|(end, _)| *end > began) {
        let Counts { requests, errors } = interval.stable;
        let failed = chance.binomial(errors, weight);
        let good = chance.binomial(requests - errors, weight);
        let canary = Counts { requests: good + failed, errors: failed };
        let stable =
            Counts { requests: requests - canary.requests, errors: errors - canary.errors };
        *interval = Interval { canary, stable, ..interval.clone() };
    }
    release
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let (high, all) = ((mixed >> 11) as f64, (1_u64 << 53) as f64);
        (high + 0.5) / all
    }

    /// How many of `number` are drawn.
    fn binomial(&mut self, number: u32, share: f64) -> u32 {
        let skip = (-share).ln_1p();
        let (mut at, mut count) = (0_u32, 0);
        loop {
            // From one that is drawn to the next.
            let gap = (self.uniform().ln() / skip).floor();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast of a float saturates"
            )]
            let gap = gap as u32;
            at = at.saturating_add(gap).saturating_add(1);
            if at > number {
                return count;
            }
            count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_is_never_the_larger_part() {
        for (pods, weight, expected) in
            [(2, 0.1, 1), (3, 0.9, 1), (10, 0.1, 1), (10, 0.3, 3), (10, 0.5, 4), (40, 0.1, 4)]
        {
            assert_eq!(canaries(pods, weight), expected, "{pods} {weight}");
        }
    }

    #[test]
    fn requests_are_dealt_out_in_their_share() {
        let mut chance = Chance(7);
        let drawn: u32 = (0..200).map(|_| chance.binomial(1000, 0.1)).sum();
        assert!((19_000..21_000).contains(&drawn), "{drawn}");
        assert_eq!(chance.binomial(0, 0.5), 0);
    }
}

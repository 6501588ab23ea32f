//! Series to growths: how many requests, and how many failed ones, each scrape found.
//!
//! In: raw samples of counters. Out: what each scrape added, at its own time. Nothing is
//! extrapolated, and nothing is summed before it is told by how much it grew: a counter that began
//! anew, or came and went, would vanish in a sum.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::provider::prometheus::Series;

/// One of the two revisions that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// The newest revision.
    Canary,
    /// The stable one.
    Stable,
}

/// How the revisions are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arms {
    /// The label.
    pub label: String,
    /// Its value for the canary.
    pub canary: String,
    /// Its value for stable.
    pub stable: String,
}

/// What series count.
#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    /// Requests; their labels say which of them failed.
    Both,
    /// Requests.
    Requests,
    /// Failed requests.
    Errors,
    /// Buckets of a histogram, with these bounds as `le` has them. Those of `+Inf` hold all requests;
    /// their labels say which of them failed.
    Buckets(Vec<f64>),
}

/// One counter of one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// Whose requests.
    pub arm: Arm,
    /// Which end counts, as the label `reporter` says; empty without it.
    pub reporter: String,
    /// What is scraped: a pod.
    pub target: String,
    /// Whether it counts requests.
    pub requests: bool,
    /// Whether it counts failed ones.
    pub errors: bool,
    /// The bound that its requests are within, by its index; nothing unless it is a bucket.
    pub within: Option<usize>,
    /// Its samples in the order of time, each with its milliseconds since 1970.
    pub samples: Vec<(i64, f64)>,
}

/// What one scrape added to one counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// When it was scraped, in milliseconds since 1970.
    pub at: i64,
    /// Whose requests.
    pub arm: Arm,
    /// What was scraped.
    pub target: String,
    /// Requests that were added.
    pub requests: u32,
    /// Failed ones that were added.
    pub errors: u32,
    /// Those within a bound that were added, with the bound's index.
    pub within: Option<(usize, u32)>,
}

/// The counters of the two revisions among these series.
pub fn counters(series: &[Series], arms: &Arms, holds: &Holds) -> Vec<Counter> {
    let counter = |series: &Series| {
        let label = |name: &str| series.labels.get(name).map(String::as_str).unwrap_or_default();
        let arm = match label(&arms.label) {
            revision if revision == arms.canary => Arm::Canary,
            revision if revision == arms.stable => Arm::Stable,
            _ => return None,
        };
        let failed = has_failed(label("response_code"), label("grpc_response_status"));
        let (requests, errors, within) = match holds {
            Holds::Both => (true, failed, None),
            Holds::Requests => (true, false, None),
            Holds::Errors => (false, true, None),
            Holds::Buckets(bounds) => {
                let le: f64 = label("le").parse().ok()?;
                // `100`, `100.0` and `1e+02` are one bound.
                let is = |bound: &f64| (le / bound - 1.0).abs() < 1e-9;
                let within = bounds.iter().position(is);
                if within.is_none() && le.is_finite() {
                    return None;
                }
                (within.is_none(), within.is_none() && failed, within)
            }
        };
        let target = [label("pod"), label("instance")].into_iter().find(|name| !name.is_empty());
        let samples = series.samples.iter().filter(|(_, value)| value.is_finite());
        Some(Counter {
            arm,
            reporter: label("reporter").to_owned(),
            target: target.unwrap_or_default().to_owned(),
            requests,
            errors,
            within,
            samples: samples.map(|(at, value)| (milliseconds(*at), *value)).collect(),
        })
    };
    series.iter().filter_map(counter).collect()
}

/// 5xx, and the codes of gRPC by which a server says that it is to blame. No answer at all is 0.
fn has_failed(code: &str, grpc: &str) -> bool {
    code.starts_with('5') || code == "0" || matches!(grpc, "2" | "4" | "8" | "13" | "14" | "15")
}

/// Distance of two scrapes: the median of those found. Nothing when no target was scraped twice.
pub fn scrape_interval(counters: &[Counter]) -> Option<i64> {
    let mut distances: Vec<i64> = counters
        .iter()
        .flat_map(|counter| counter.samples.windows(2).map(|two| two[1].0 - two[0].0))
        .filter(|distance| *distance > 0)
        .collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied()
}

/// When each target was scraped, as far as its counters show it.
pub fn scrapes(counters: &[Counter]) -> BTreeMap<&str, BTreeSet<i64>> {
    let mut scrapes: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for counter in counters {
        let times = counter.samples.iter().map(|(at, _)| *at);
        scrapes.entry(&counter.target).or_default().extend(times);
    }
    scrapes
}

/// What each scrape added, in the order of time. `from` is where the samples were cut off, `scrape`
/// the distance of two of them.
///
/// The first sample of a series that was not there before counts in full when its target was, or when
/// the target is new beside others that are not: a series begins with 0, and the first failures of a
/// pod are the first sample of its series. Of series that are all new, as after an outage of
/// Prometheus, nobody knows since when they count.
pub fn growths(counters: &[Counter], from: i64, scrape: i64) -> Vec<Growth> {
    let scrapes = scrapes(counters);
    let begins = |target: &str| scrapes.get(target).and_then(|times| times.first().copied());
    let earliest = scrapes.values().filter_map(|times| times.first()).min().copied();
    // Targets that are scraped from the same moment on begin up to one scrape apart.
    let late = scrape + scrape / 2;
    let mut growths = Vec::new();
    for counter in counters {
        let Some(&(first, _)) = counter.samples.first() else { continue };
        let cut_off = first <= from + late;
        let target_is_older = begins(&counter.target).is_some_and(|begins| begins < first);
        let others_are_older = earliest.is_some_and(|earliest| earliest + late < first);
        let mut last = (!cut_off && (target_is_older || others_are_older)).then_some(0.0);
        for &(at, value) in &counter.samples {
            let grown = match last {
                None => 0.0,
                // A counter that fell began anew: all that it shows came since.
                Some(last) if value < last => value,
                Some(last) => value - last,
            };
            last = Some(value);
            let grown = whole(grown);
            if grown > 0 {
                growths.push(Growth {
                    at,
                    arm: counter.arm,
                    target: counter.target.clone(),
                    requests: if counter.requests { grown } else { 0 },
                    errors: if counter.errors { grown } else { 0 },
                    within: counter.within.map(|bound| (bound, grown)),
                });
            }
        }
    }
    growths.sort_by(|one, two| (one.at, &one.target).cmp(&(two.at, &two.target)));
    growths
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

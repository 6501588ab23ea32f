//! Growths to intervals: what both revisions counted between two scrapes, each scrape once.
//!
//! In: counters, and up to when they were read before. Out: the intervals since, and up to when they
//! are read now. An interval ends when every target that is scraped has been scraped once in it; one
//! that is late is waited for half a scrape more, and counts in the next.

use std::collections::{BTreeMap, BTreeSet};

use super::samples::{Arm, Counter, Growth, growths, scrape_interval, scrapes};
use crate::analysis::judge::{Counts, Totals, counts::Interval, dispersion::told_since};

/// Distance of two scrapes of which nothing is known, in milliseconds.
const UNKNOWN_SCRAPE: i64 = 60_000;

/// How far back an incident is looked for, and how much of that is the present, in milliseconds.
const INCIDENT: (i64, i64) = (120_000, 30_000);

/// How much growth before an interval must be known: a minute, or an incident.
pub const BEFORE: i64 = INCIDENT.0;

/// What was read before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Up to when, in milliseconds since 1970; nothing before the first look.
    pub read_until: Option<i64>,
    /// Seconds of samples.
    pub seconds: f64,
    /// Whose counts; empty when that is not decided.
    pub reporter: String,
}

/// When it was asked, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where the samples begin.
    pub from: i64,
    /// When the comparison began: what the canary counted before is another story.
    pub began: i64,
    /// Now.
    pub now: i64,
}

/// What the samples say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// The intervals that are complete, in the order of time.
    pub intervals: Vec<Interval>,
    /// What is read now.
    pub known: Known,
    /// When a scrape last found a request to the canary since the beginning.
    pub canary_seen: Option<i64>,
    /// Distance of two scrapes.
    pub scrape: i64,
    /// The last two minutes, and the last half of one, up to what is read.
    pub recent: Recent,
}

/// The time in which an incident shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Canary and stable over two minutes.
    pub long: (Totals, Totals),
    /// Canary and stable over the last half minute.
    pub short: (Totals, Totals),
}

/// Cuts what the counters hold into intervals.
pub fn intervals(counters: &[Counter], known: &Known, asked: Asked) -> Counted {
    let scrape = scrape_interval(counters).unwrap_or(UNKNOWN_SCRAPE);
    let reporter = reporter(counters, known, asked, scrape);
    let of = |reporter: &str| -> Vec<Counter> {
        counters.iter().filter(|counter| counter.reporter == reporter).cloned().collect()
    };
    let counting = of(&reporter);
    let grown = growths(&counting, asked.from, scrape);
    let apart = told_apart(counters, &reporter, &grown, asked.from, scrape);
    let times = scrapes(&counting);
    let first = times.values().filter_map(|times| times.first()).min().copied();
    let (mut at, mut seconds) = (known.read_until.or(first), known.seconds);
    let mut intervals = Vec::new();
    let mut canary_seen = None;
    while let Some(from) = at {
        let Some(to) = end(&times, from, scrape, asked.now) else { break };
        let mut interval = Interval { seconds: between(from, to), ..Interval::default() };
        for growth in within(&grown, from, to) {
            match growth.arm {
                Arm::Stable => add(&mut interval.stable, growth),
                Arm::Canary if growth.at > asked.began => {
                    add(&mut interval.canary, growth);
                    canary_seen = Some(growth.at);
                }
                Arm::Canary => {}
            }
        }
        bounded(&mut interval.canary);
        bounded(&mut interval.stable);
        let end = seconds + interval.seconds;
        interval.minute = minute(&apart, (seconds, end), to);
        seconds = end;
        intervals.push(interval);
        at = Some(to);
    }
    Counted {
        intervals,
        known: Known { read_until: at, seconds, reporter },
        canary_seen,
        scrape,
        recent: recent(&grown, at.unwrap_or(asked.now), asked.began),
    }
}

/// When the interval that began at `from` ends; nothing while it goes on.
fn end(times: &BTreeMap<&str, BTreeSet<i64>>, from: i64, scrape: i64, now: i64) -> Option<i64> {
    let patience = scrape + scrape / 2;
    let mut end = None;
    for times in times.values() {
        let Some(last) = times.range(..=from).next_back() else { continue };
        if from - last >= patience {
            continue;
        }
        match times.range(from + 1..).next().filter(|next| **next <= from + patience) {
            Some(next) => end = end.max(Some(*next)),
            // It may still come. One that does not is gone, or missed a scrape.
            None if now < from + patience => return None,
            None => {}
        }
    }
    // After a gap, or with nothing but new targets, the next scrape of any.
    let any = || times.values().filter_map(|times| times.range(from + 1..).next()).min().copied();
    end.or_else(any)
}

/// Whose counts are taken. A proxy that sends sees the requests that reach nobody, one that receives
/// does not; but not everybody who sends has a proxy.
fn reporter(counters: &[Counter], known: &Known, asked: Asked, scrape: i64) -> String {
    if !known.reporter.is_empty() {
        return known.reporter.clone();
    }
    let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
    let all: BTreeSet<&str> = counters.iter().map(|counter| counter.reporter.as_str()).collect();
    for name in all {
        let of = counters.iter().filter(|counter| counter.reporter == name).cloned();
        let grown = growths(&of.collect::<Vec<_>>(), asked.from, scrape);
        requests.insert(name, grown.iter().map(|growth| u64::from(growth.requests)).sum());
    }
    let most = requests.values().max().copied().unwrap_or(0);
    // A few scrapes more or less are no difference.
    let enough = |name: &&str| requests.get(name).is_some_and(|found| found * 10 >= most * 8);
    let preferred = ["source", "waypoint", "destination", ""].into_iter();
    let mut all = preferred.chain(requests.keys().copied());
    all.find(enough).unwrap_or_default().to_owned()
}

/// Growths of stable that tell one pod from the next. A gateway counts for all pods at once; the pods'
/// own counts tell more, unless they miss the failures that it sees.
fn told_apart(
    counters: &[Counter],
    counting: &str,
    grown: &[Growth],
    from: i64,
    scrape: i64,
) -> Vec<Growth> {
    let stable = |grown: &[Growth]| -> Vec<Growth> {
        grown.iter().filter(|growth| growth.arm == Arm::Stable).cloned().collect()
    };
    let errors = |grown: &[Growth]| -> u64 { grown.iter().map(|g| u64::from(g.errors)).sum() };
    let own = stable(grown);
    let of_pods = counters.iter().filter(|counter| counter.reporter == "destination").cloned();
    let of_pods = stable(&growths(&of_pods.collect::<Vec<_>>(), from, scrape));
    let better = counting != "destination"
        && targets(&of_pods) > targets(&own)
        && errors(&of_pods) * 10 >= errors(&own) * 8;
    if better { of_pods } else { own }
}

fn targets(grown: &[Growth]) -> usize {
    grown.iter().map(|growth| growth.target.as_str()).collect::<BTreeSet<_>>().len()
}

/// Stable pod by pod since its pods were last told apart, when it is time; of an only one, scrape by
/// scrape.
fn minute(stable: &[Growth], (from, to): (f64, f64), at: i64) -> Vec<Counts> {
    let alone = targets(stable) < 2;
    let Some(since) = told_since(from, to) else { return Vec::new() };
    if alone && to < 59.5 {
        return Vec::new();
    }
    // The parts of the first minute are too short for an only pod.
    let since = if alone { since.min(to - 60.0).max(0.0) } else { since };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let begun = at - ((to - since) * 1000.0).round() as i64;
    let mut parts: BTreeMap<(&str, i64), Counts> = BTreeMap::new();
    for growth in within(stable, begun, at) {
        let part = if alone { growth.at } else { 0 };
        add(parts.entry((&growth.target, part)).or_default(), growth);
    }
    let parts = parts.into_values().map(|mut counts| {
        bounded(&mut counts);
        counts
    });
    parts.collect()
}

fn recent(grown: &[Growth], to: i64, began: i64) -> Recent {
    let over = |length: i64| {
        let (mut canary, mut stable) = (Totals::default(), Totals::default());
        for growth in within(grown, to - length, to) {
            let counts = Counts { requests: growth.requests, errors: growth.errors };
            match growth.arm {
                Arm::Stable => stable = stable.and(counts),
                Arm::Canary if growth.at > began => canary = canary.and(counts),
                Arm::Canary => {}
            }
        }
        (canary, stable)
    };
    Recent { long: over(INCIDENT.0), short: over(INCIDENT.1) }
}

/// The growths after `from`, up to `to`.
fn within(grown: &[Growth], from: i64, to: i64) -> &[Growth] {
    let place = |at: i64| grown.partition_point(|growth| growth.at <= at);
    grown.get(place(from)..place(to)).unwrap_or_default()
}

fn add(counts: &mut Counts, growth: &Growth) {
    counts.requests = counts.requests.saturating_add(growth.requests);
    counts.errors = counts.errors.saturating_add(growth.errors);
}

/// Two counters are not read at one instant: one that is ahead must not show more failures than
/// requests.
fn bounded(counts: &mut Counts) {
    counts.errors = counts.errors.min(counts.requests);
}

fn between(from: i64, to: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times of this era are exact in a double")]
    let milliseconds = (to - from) as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests;

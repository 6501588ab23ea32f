//! Growths to intervals: what both revisions counted between two scrapes, each scrape once.
//!
//! In: counters, and up to when they were read before. Out: the intervals since, and up to when they
//! are read now. An interval ends when every target that is scraped has been scraped once in it; one
//! that is late is waited for half a scrape more, and counts in the next.

use std::collections::{BTreeMap, BTreeSet};

use super::samples::{Arm, Counter, Growth, growths, scrape_interval, scrapes};
use super::tally::Tally;
use crate::analysis::judge::{
    Totals, budget::Windows, counts::Interval, dispersion::told_since, latency,
};

/// Distance of two scrapes of which nothing is known, in milliseconds.
const UNKNOWN_SCRAPE: i64 = 60_000;

/// How far back an incident is looked for, and how much of that is the present, in milliseconds.
pub const INCIDENT: (i64, i64) = (120_000, 30_000);

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
    /// How far back the recent past goes, and how much of that is the present.
    pub recent: (i64, i64),
    /// How many bounds of a histogram there are.
    pub bounds: usize,
}

/// What the samples say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// The intervals that are complete, in the order of time.
    pub intervals: Vec<Interval>,
    /// The same, of a histogram.
    pub slow: Vec<latency::Interval>,
    /// What is read now.
    pub known: Known,
    /// When a scrape last found a request to the canary since the beginning.
    pub canary_seen: Option<i64>,
    /// Distance of two scrapes.
    pub scrape: i64,
    /// Failed requests of late, up to what is read.
    pub recent: Windows,
    /// Requests above each bound, of late.
    pub recent_slow: Vec<Windows>,
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
    let own = growths(&of("destination"), asked.from, scrape);
    let apart = told_apart(&reporter, &grown, &own);
    // The targets here are the pods that serve, where a proxy that sends is counted by as well.
    let served = if ["destination", ""].contains(&reporter.as_str()) { &grown } else { &own };
    let times = scrapes(&counting);
    let first = times.values().filter_map(|times| times.first()).min().copied();
    let (mut at, mut seconds) = (known.read_until.or(first), known.seconds);
    let mut counted = Counted { scrape, ..Counted::default() };
    let nothing = || Tally::new(asked.bounds);
    while let Some(from) = at {
        let Some(to) = end(&times, from, scrape, asked.now) else { break };
        let (mut canary, mut stable) = (nothing(), nothing());
        for growth in within(&grown, from, to) {
            match growth.arm {
                Arm::Stable => stable.add(growth),
                Arm::Canary if growth.at > asked.began => {
                    canary.add(growth);
                    counted.canary_seen = Some(growth.at);
                }
                Arm::Canary => {}
            }
        }
        let length = between(from, to);
        let minute = minute(&apart, (seconds, seconds + length), to, asked.bounds);
        if asked.bounds > 0 {
            counted.slow.push(latency::Interval {
                seconds: length,
                canary: canary.slow(),
                stable: stable.slow(),
                minute: minute.iter().map(Tally::slow).collect(),
                pods: pods(served, from, to),
            });
        }
        counted.intervals.push(Interval {
            seconds: length,
            canary: canary.counts(),
            stable: stable.counts(),
            minute: minute.iter().map(Tally::counts).collect(),
        });
        seconds += length;
        at = Some(to);
    }
    let (recent, recent_slow) = recent(&grown, at.unwrap_or(asked.now), asked);
    Counted { known: Known { read_until: at, seconds, reporter }, recent, recent_slow, ..counted }
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
fn told_apart(counting: &str, grown: &[Growth], own: &[Growth]) -> Vec<Growth> {
    let stable = |grown: &[Growth]| -> Vec<Growth> {
        grown.iter().filter(|growth| growth.arm == Arm::Stable).cloned().collect()
    };
    let errors = |grown: &[Growth]| -> u64 { grown.iter().map(|g| u64::from(g.errors)).sum() };
    let (counted, own) = (stable(grown), stable(own));
    let better = counting != "destination"
        && targets(&own) > targets(&counted)
        && errors(&own) * 10 >= errors(&counted) * 8;
    if better { own } else { counted }
}

/// How many pods of each served requests between two times.
fn pods(served: &[Growth], from: i64, to: i64) -> latency::Pods {
    let of = |arm: Arm| {
        let busy = within(served, from, to)
            .iter()
            .filter(|growth| growth.arm == arm && growth.requests > 0);
        let targets: BTreeSet<&str> = busy.map(|growth| growth.target.as_str()).collect();
        u32::try_from(targets.len()).unwrap_or(u32::MAX)
    };
    latency::Pods { canary: of(Arm::Canary), stable: of(Arm::Stable) }
}

fn targets(grown: &[Growth]) -> usize {
    grown.iter().map(|growth| growth.target.as_str()).collect::<BTreeSet<_>>().len()
}

/// Stable pod by pod since its pods were last told apart, when it is time; of an only one, scrape by
/// scrape.
fn minute(stable: &[Growth], (from, to): (f64, f64), at: i64, bounds: usize) -> Vec<Tally> {
    let alone = targets(stable) < 2;
    let Some(since) = told_since(from, to) else { return Vec::new() };
    if alone && to < 59.5 {
        return Vec::new();
    }
    // The parts of the first minute are too short for an only pod.
    let since = if alone { since.min(to - 60.0).max(0.0) } else { since };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
    let begun = at - ((to - since) * 1000.0).round() as i64;
    let mut parts: BTreeMap<(&str, i64), Tally> = BTreeMap::new();
    for growth in within(stable, begun, at) {
        let part = if alone { growth.at } else { 0 };
        let part = parts.entry((&growth.target, part));
        part.or_insert_with(|| Tally::new(bounds)).add(growth);
    }
    parts.into_values().collect()
}

/// The windows that end at `to`: of failed requests, and of those above each bound.
fn recent(grown: &[Growth], to: i64, asked: Asked) -> (Windows, Vec<Windows>) {
    let over = |length: i64| {
        let (mut canary, mut stable) = (Tally::new(asked.bounds), Tally::new(asked.bounds));
        for growth in within(grown, to - length, to) {
            match growth.arm {
                Arm::Stable => stable.add(growth),
                Arm::Canary if growth.at > asked.began => canary.add(growth),
                Arm::Canary => {}
            }
        }
        (canary, stable)
    };
    let (long, short) = (over(asked.recent.0), over(asked.recent.1));
    let windows = |of: &dyn Fn(&Tally) -> Totals| Windows {
        long: (of(&long.0), of(&long.1)),
        short: (of(&short.0), of(&short.1)),
    };
    let slow = (0..asked.bounds).map(|bound| windows(&|tally| tally.above(bound)));
    (windows(&Tally::failed), slow.collect())
}

/// The growths after `from`, up to `to`.
fn within(grown: &[Growth], from: i64, to: i64) -> &[Growth] {
    let place = |at: i64| grown.partition_point(|growth| growth.at <= at);
    grown.get(place(from)..place(to)).unwrap_or_default()
}

fn between(from: i64, to: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times of this era are exact in a double")]
    let milliseconds = (to - from) as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests;

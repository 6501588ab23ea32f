//! Compares canary and stable by raw samples of counters.
//!
//! In: what an engineer wrote, what a comparison has found so far, and samples. Out: what it finds
//! now, in words. [`mod@rules`] checks what was written, [`query`] says what to ask for, [`samples`] makes
//! growths of series, [`intervals`] makes intervals of growths, and the [judges](super::judge) do the
//! rest. [`series`] is apart: it compares the values of a query.

pub mod intervals;
pub mod query;
pub mod rules;
pub mod samples;
pub mod series;
mod tally;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::intervals::{Counted, Known};
pub use self::rules::rules;
use self::rules::{Judge, Rules};
use super::judge::{
    self, Finding,
    budget::{self, Windows},
    counts, latency, slo,
    words::{Report, Subject, burning, report},
};
use super::verdict::{Counts, Judged, judged, no_data};
use crate::api::{
    Compare, ComparedRequests, Comparison, ComparisonFinding, Duration, Metric, Verdict,
};

/// The shortest time without a scrape that is silence, in milliseconds.
const SILENCE: i64 = 60_000;

/// How often chance looks as bad, 1 in so many, when a healthy canary is in doubt.
const DOUBT: f64 = 4.0;

/// What was read before, for the next look.
pub fn known(comparison: Option<&Comparison>) -> Known {
    let Some(comparison) = comparison else { return Known::default() };
    Known {
        read_until: comparison.read_until.map(Timestamp::as_millisecond),
        seconds: comparison.read_seconds,
        reporter: comparison.reporter.clone(),
    }
}

/// Takes what was counted into account. Returns what is found, and the verdict on this look.
pub fn look(
    metric: &Metric,
    compare: &Compare,
    sharing: u32,
    before: Option<&Comparison>,
    counted: &Counted,
    now: Timestamp,
) -> (Option<Comparison>, Judged) {
    let rules = match rules(compare, sharing) {
        Ok(rules) => rules,
        Err(wrong) => return (None, judged(Verdict::Error, String::new(), &wrong.join("; "))),
    };
    let memory = before.map(|before| &before.memory);
    let said = match &rules.judge {
        Judge::Latency(bounds) => slow(memory, counted, bounds, &rules),
        Judge::Slo(objective, limit, _) => burns(memory, counted, objective, *limit, &rules),
        Judge::Errors | Judge::MannWhitney(_) => errors(memory, counted, &rules),
    };
    let found = said.found;
    let canary_seen = counted.canary_seen.and_then(|at| Timestamp::from_millisecond(at).ok());
    let mut next = Comparison {
        finding: ComparisonFinding::NotEnoughData,
        canary: requests(found.canary),
        stable: requests(found.stable),
        min_requests: u64::from(rules.params.min_requests),
        in_doubt: found.ln_evidence >= DOUBT.ln(),
        scrape_interval: scrape_interval(counted.scrape),
        read_until: counted.known.read_until.and_then(|at| Timestamp::from_millisecond(at).ok()),
        canary_seen: canary_seen.or_else(|| before.and_then(|before| before.canary_seen)),
        read_seconds: counted.known.seconds,
        reporter: counted.known.reporter.clone(),
        memory: said.memory.clone(),
    };
    let silence = silence(&next, counted.scrape, now);
    let judged;
    (next.finding, judged) = verdict(metric, &said, silence);
    (Some(next), judged)
}

/// What a judge says after a look.
struct Said {
    found: Finding,
    words: Report,
    /// What both revisions suffer from, if they do.
    incident: Option<String>,
    memory: BTreeMap<String, Value>,
}

fn errors(memory: Option<&BTreeMap<String, Value>>, counted: &Counted, rules: &Rules) -> Said {
    let mut state: counts::State = remembered(memory).unwrap_or_default();
    for interval in &counted.intervals {
        state = counts::step(&state, interval, &rules.params).0;
    }
    let found = counts::finding(&state, &rules.params);
    Said {
        words: report(&found, &rules.params, &Subject::Errors),
        incident: incident(&counted.recent, 0.0, rules, "failed"),
        found,
        memory: memory_of(&state),
    }
}

fn slow(
    memory: Option<&BTreeMap<String, Value>>,
    counted: &Counted,
    bounds: &[Duration],
    rules: &Rules,
) -> Said {
    let remembered: Option<latency::State> = remembered(memory);
    let mut state = remembered
        .filter(|state| state.bounds.len() == bounds.len())
        .unwrap_or_else(|| latency::State::new(bounds.len()));
    for interval in &counted.slow {
        state = latency::step(&state, interval, &rules.params).0;
    }
    let found = latency::finding(&state, &rules.params);
    let words = |at: usize| {
        let than = bounds.get(at).map(ToString::to_string).unwrap_or_default();
        let found = latency::finding_at(&state, at, &rules.params);
        report(&found, &rules.params, &Subject::Slower { than })
    };
    let mut said = words(state.loudest());
    // What one bound cannot show another may.
    let mut telling = state.bounds.iter().enumerate().filter(|(_, bound)| bound.is_telling());
    if telling.any(|(at, _)| words(at).blind.is_empty()) {
        said.blind.clear();
    }
    // Some requests are always slow: more of them than stable has had in all is an incident.
    let slower = || {
        let all = state.bounds.iter().zip(&counted.recent_slow).zip(bounds);
        all.rev().find_map(|((bound, windows), than)| {
            incident(windows, bound.usual(), rules, &format!("took longer than {than}"))
        })
    };
    Said {
        words: said,
        incident: incident(&counted.recent, 0.0, rules, "failed").or_else(slower),
        found,
        memory: memory_of(&state),
    }
}

fn burns(
    memory: Option<&BTreeMap<String, Value>>,
    counted: &Counted,
    objective: &slo::Objective,
    limit: f64,
    rules: &Rules,
) -> Said {
    let mut state: budget::State = remembered(memory).unwrap_or_default();
    for interval in &counted.intervals {
        state = budget::step(&state, interval, limit, &rules.params);
    }
    let both = budget::look(&mut state, &counted.recent, limit);
    let found = budget::finding(&state, limit, &rules.params);
    Said {
        words: burning(&found, objective, limit, &rules.params),
        incident: both.then(|| {
            let found = suffering(&counted.recent.short, "failed");
            format!("{found}; both burn their budget, so that nobody is blamed for it")
        }),
        found,
        memory: memory_of(&state),
    }
}

fn verdict(metric: &Metric, said: &Said, silence: Option<String>) -> (ComparisonFinding, Judged) {
    let Said { found, words, .. } = said;
    let value = format!(
        "canary {}/{}, stable {}/{}",
        found.canary.errors, found.canary.requests, found.stable.errors, found.stable.requests
    );
    match (found.verdict, &said.incident, silence) {
        (judge::Verdict::Worse, ..) => {
            (ComparisonFinding::Worse, judged(Verdict::Failed, value, &words.found))
        }
        (_, Some(incident), _) => {
            let held =
                judged(Verdict::Inconclusive, value, &format!("shared incident: {incident}"));
            (ComparisonFinding::SharedIncident, Judged { counts: Counts::NoData, ..held })
        }
        (_, None, Some(silence)) => {
            (ComparisonFinding::NotEnoughData, no_data(metric, value, silence))
        }
        (judge::Verdict::NotEnoughData, None, None) => {
            (ComparisonFinding::NotEnoughData, no_data(metric, value, words.line()))
        }
        (judge::Verdict::NotWorse, None, None) => {
            (ComparisonFinding::NotWorse, judged(Verdict::Successful, value, &words.line()))
        }
    }
}

/// What both revisions suffer from, if they do: over two minutes as well as at their end, and by more
/// than is usual.
fn incident(windows: &Windows, usual: f64, rules: &Rules, what: &str) -> Option<String> {
    let Windows { long, short } = windows;
    let limit = usual + rules.incident;
    let burns = |long, short| rules.incident < 1.0 && slo::burns(long, short, limit);
    (burns(long.0, short.0) && burns(long.1, short.1))
        .then(|| format!("{}; the canary is no worse than stable", suffering(short, what)))
}

fn suffering((canary, stable): &(judge::Totals, judge::Totals), what: &str) -> String {
    let share = |totals: &judge::Totals| match 100.0 * totals.rate() {
        share if share < 9.95 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    };
    format!(
        "{} of the canary's latest requests and {} of stable's {what}",
        share(canary),
        share(stable)
    )
}

/// Why nothing new is known, if so: silence is no pass.
fn silence(next: &Comparison, scrape: i64, now: Timestamp) -> Option<String> {
    let older = |at: Timestamp, limit: i64| now.as_millisecond() - at.as_millisecond() > limit;
    let clock = |at: Timestamp| at.strftime("%H:%M:%SZ").to_string();
    match (next.read_until, next.canary_seen) {
        (None, _) => Some("no samples of either revision".to_owned()),
        (Some(at), _) if older(at, SILENCE.max(3 * scrape)) => {
            Some(format!("no complete scrape since {}", clock(at)))
        }
        (_, Some(at)) if older(at, (2 * SILENCE).max(4 * scrape)) => {
            Some(format!("no request of the canary since {}", clock(at)))
        }
        _ => None,
    }
}

fn scrape_interval(milliseconds: i64) -> Duration {
    Duration(std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)))
}

fn requests(totals: judge::Totals) -> ComparedRequests {
    ComparedRequests { requests: totals.requests, errors: totals.errors }
}

/// What cannot be read is of another version: the comparison begins anew.
fn remembered<S: DeserializeOwned>(memory: Option<&BTreeMap<String, Value>>) -> Option<S> {
    let memory = Value::Object(memory?.clone().into_iter().collect());
    serde_json::from_value(memory).ok()
}

fn memory_of(state: &impl Serialize) -> BTreeMap<String, Value> {
    match serde_json::to_value(state) {
        Ok(Value::Object(memory)) => memory.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests;

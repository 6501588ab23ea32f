//! Compares canary and stable by raw samples of counters.
//!
//! In: what an engineer wrote, what a comparison has found so far, and samples. Out: what it finds
//! now, in words. [`samples`] makes growths of series, [`intervals`] makes intervals of growths, and
//! the [judges](super::judge) do the rest. [`query`] says what to ask for.

pub mod intervals;
pub mod query;
pub mod samples;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use self::intervals::{Counted, Known, Recent};
use super::judge::{
    self, Finding,
    counts::{State, finding, step},
    parameters::{Parameters, Params, Share, Tolerate},
    slo,
    words::{Subject, report},
};
use super::verdict::{Counts, Judged, judged, no_data};
use crate::api::{
    Compare, ComparedRequests, Comparison, ComparisonFinding, Duration, Metric, Verdict,
};

/// The shortest time without a scrape that is silence, in milliseconds.
const SILENCE: i64 = 60_000;

/// Failed requests from which on a share is an incident, as far as nobody says otherwise.
const INCIDENT: Share = Share(0.05);

/// How often chance looks as bad, 1 in so many, when a healthy canary is in doubt.
const DOUBT: f64 = 4.0;

/// What was written, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// For the judge.
    pub params: Params,
    /// The share of failed requests from which on it is an incident.
    pub incident: f64,
}

/// Checks what was written, for one of `sharing` comparisons that share their false alarms.
///
/// # Errors
/// A sentence for each field that is wrong.
pub fn rules(compare: &Compare, sharing: u32) -> Result<Rules, Vec<String>> {
    let mut wrong = Vec::new();
    let mut share = |field: &str, text: Option<&str>, default: Share| {
        let share = text.map_or(Ok(default), str::parse::<Share>);
        share.unwrap_or_else(|error| {
            wrong.push(format!("{field}: {error}"));
            default
        })
    };
    let defaults = Parameters::default();
    let false_alarms = share("falseAlarms", compare.false_alarms.as_deref(), defaults.false_alarms);
    let incident = share("incident", compare.incident.as_deref(), INCIDENT);
    if !(0.001..=1.0).contains(&incident.0) {
        wrong.push(format!("incident: found {incident}; allowed is a share from 0.1% to 100%"));
    }
    let parameters = Parameters {
        tolerate: Tolerate { ratio: compare.tolerate.ratio, absolute: compare.tolerate.absolute },
        false_alarms,
        min_requests: u32::try_from(compare.min_requests).unwrap_or(0),
        release: compare.release.unwrap_or(defaults.release),
        ..defaults
    };
    match parameters.check(sharing) {
        Ok(params) if wrong.is_empty() => Ok(Rules { params, incident: incident.0 }),
        Ok(_) => Err(wrong),
        Err(more) => Err(wrong.into_iter().chain(more).collect()),
    }
}

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
    // What cannot be read is of another version: the comparison begins anew.
    let memory = before.map(|before| Value::Object(before.memory.clone().into_iter().collect()));
    let mut state: State =
        memory.and_then(|memory| serde_json::from_value(memory).ok()).unwrap_or_default();
    for interval in &counted.intervals {
        state = step(&state, interval, &rules.params).0;
    }
    let found = finding(&state, &rules.params);
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
        memory: memory_of(&state),
    };
    let silence = silence(&next, counted.scrape, now);
    let judged = verdict(metric, &rules, &found, counted, silence, &mut next.finding);
    (Some(next), judged)
}

fn verdict(
    metric: &Metric,
    rules: &Rules,
    found: &Finding,
    counted: &Counted,
    silence: Option<String>,
    says: &mut ComparisonFinding,
) -> Judged {
    let words = report(found, &rules.params, &Subject::Errors);
    let value = format!(
        "canary {}/{}, stable {}/{}",
        found.canary.errors, found.canary.requests, found.stable.errors, found.stable.requests
    );
    let incident = incident(&counted.recent, rules.incident);
    match (found.verdict, incident, silence) {
        (judge::Verdict::Worse, ..) => {
            *says = ComparisonFinding::Worse;
            judged(Verdict::Failed, value, &words.found)
        }
        (_, Some(incident), _) => {
            *says = ComparisonFinding::SharedIncident;
            let message =
                format!("shared incident: {incident}; the canary is no worse than stable");
            let held = judged(Verdict::Inconclusive, value, &message);
            Judged { counts: Counts::NoData, ..held }
        }
        (_, None, Some(silence)) => no_data(metric, value, silence),
        (judge::Verdict::NotEnoughData, None, None) => no_data(metric, value, words.line()),
        (judge::Verdict::NotWorse, None, None) => {
            *says = ComparisonFinding::NotWorse;
            judged(Verdict::Successful, value, &words.line())
        }
    }
}

/// What both revisions suffer from, if they do: over two minutes as well as at their end.
fn incident(recent: &Recent, limit: f64) -> Option<String> {
    let burns = |long, short| limit < 1.0 && slo::burns(long, short, limit);
    let (long, short) = (recent.long, recent.short);
    if !burns(long.0, short.0) || !burns(long.1, short.1) {
        return None;
    }
    let share = |totals: judge::Totals| format!("{:.0} %", 100.0 * totals.rate());
    Some(format!(
        "{} of the canary's latest requests and {} of stable's failed",
        share(short.0),
        share(short.1)
    ))
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

fn memory_of(state: &State) -> BTreeMap<String, Value> {
    match serde_json::to_value(state) {
        Ok(Value::Object(memory)) => memory.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests;

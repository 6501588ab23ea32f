//! What to ask Prometheus for.
//!
//! In: a comparison as written. Out: the same with all defaults put in, and its queries: selectors
//! with a range, whose answers are raw samples.

use std::time::Duration;

use super::intervals::{BEFORE, Known};
use super::samples::Holds;
use crate::analysis::template::{ResolveError, Subject, invalid};
use crate::api::{Compare, Metric};

/// The label by which Istio's metrics tell revisions apart.
const LABEL: &str = "destination_canonical_revision";

/// How far back the first look goes: stable's past shows how its errors come.
pub const FIRST: Duration = Duration::from_mins(30);

/// How far back the first look goes when that is too much to answer.
pub const FIRST_SHORT: Duration = Duration::from_mins(6);

/// How far back any look goes, however long nobody has looked.
const LONGEST: i64 = 3_600_000;

/// More than two scrapes, in milliseconds: what a growth begins with.
const SCRAPES: i64 = 150_000;

/// The metric with what a comparison leaves out: the revisions, and Istio's counter.
///
/// # Errors
/// There is no stable revision yet.
pub fn filled(path: &str, metric: Metric, subject: &Subject) -> Result<Metric, ResolveError> {
    let mut metric = metric;
    let prometheus = metric.provider.prometheus.as_mut();
    let Some(compare) = prometheus.and_then(|prometheus| prometheus.compare.as_mut()) else {
        return Ok(metric);
    };
    let Some(stable) = subject.stable else {
        let path = format!("{path}.provider.prometheus.compare");
        let found = "a comparison, but there is no stable revision yet";
        return Err(invalid(path, found, "one from the second release on"));
    };
    compare.canary.get_or_insert_with(|| subject.latest.to_owned());
    compare.stable.get_or_insert_with(|| stable.to_owned());
    compare.label.get_or_insert_with(|| LABEL.to_owned());
    let namespace = || subject.rollout["metadata"]["namespace"].as_str().unwrap_or("default");
    compare.requests.get_or_insert_with(|| istio_requests(namespace()));
    Ok(metric)
}

/// Istio's counter of the requests to a namespace.
pub fn istio_requests(namespace: &str) -> String {
    format!("istio_requests_total{{destination_workload_namespace=\"{namespace}\"}}")
}

/// Checks a counter as written.
///
/// # Errors
/// What was found instead of a selector.
pub fn check(text: &str) -> Result<(), &'static str> {
    let bare: String = text.split('"').step_by(2).collect();
    let text = text.trim();
    if text.is_empty() {
        Err("nothing")
    } else if bare.contains('(') || bare.contains(')') {
        Err("a function or parentheses")
    } else if bare.contains('[') {
        Err("a range")
    } else if text.ends_with("}}") {
        Err("an argument at the end, without braces behind it")
    } else {
        Ok(())
    }
}

/// The queries of a comparison, over so much time, with what their series count. Placeholders stay.
pub fn queries(compare: &Compare, range: Duration) -> Vec<(String, Holds)> {
    let of = |text: &str| format!("{}[{}s]", selector(text, compare), range.as_secs().max(1));
    let Some(requests) = &compare.requests else { return Vec::new() };
    match &compare.errors {
        None => vec![(of(requests), Holds::Both)],
        // In this order: the later answer holds all scrapes of the earlier one.
        Some(errors) => vec![(of(requests), Holds::Requests), (of(errors), Holds::Errors)],
    }
}

/// The counter, of the two revisions alone.
fn selector(text: &str, compare: &Compare) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let label = compare.label.as_deref().unwrap_or(LABEL);
    let matcher = format!("{label}=~\"{}|{}\"", value(&compare.canary), value(&compare.stable));
    let text = text.trim();
    let Some(matchers) = text.strip_suffix('}') else { return format!("{text}{{{matcher}}}") };
    let matchers = matchers.trim_end().trim_end_matches(',');
    let comma = if matchers.ends_with('{') { "" } else { "," };
    format!("{matchers}{comma}{matcher}}}")
}

/// How much time to ask for.
pub fn range(known: &Known, now: i64) -> Duration {
    let Some(read_until) = known.read_until else { return FIRST };
    let range = (now - read_until).max(0) + BEFORE + SCRAPES;
    Duration::from_millis(u64::try_from(range.min(LONGEST)).unwrap_or(0))
}

/// The texts of a comparison in which placeholders stand.
pub fn texts(compare: &Compare) -> impl Iterator<Item = &str> {
    let texts = [&compare.requests, &compare.errors, &compare.canary, &compare.stable];
    texts.into_iter().filter_map(|text| text.as_deref())
}

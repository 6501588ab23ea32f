//! What to ask Prometheus for.
//!
//! In: a comparison as written. Out: the same with all defaults put in, and its queries: selectors
//! with a range, whose answers are raw samples.

use std::time::Duration;

use super::intervals::Known;
use super::samples::Holds;
use crate::analysis::arguments::{plain_values, substitute};
use crate::analysis::template::{ResolveError, Subject, invalid};
use crate::api::{AnalysisArgument, Compare, CompareLatency, Duration as Written, Metric};

/// The label by which Istio's metrics tell revisions apart.
const LABEL: &str = "destination_canonical_revision";

/// Istio's histogram of latency.
const HISTOGRAM: &str = "istio_request_duration_milliseconds";

/// Bounds of Istio's histogram that are compared, in milliseconds.
const BOUNDS: [u64; 5] = [50, 100, 250, 500, 1000];

/// Bounds that one comparison may have.
pub const MOST_BOUNDS: usize = 6;

/// How far back the first look goes: stable's past shows how its errors come.
pub const FIRST: Duration = Duration::from_mins(30);

/// How far back the first look goes when that is too much to answer.
pub const FIRST_SHORT: Duration = Duration::from_mins(6);

/// How far back any look goes, however long nobody has looked.
const LONGEST: i64 = 3_600_000;

/// More than two scrapes, in milliseconds: what a growth begins with.
const SCRAPES: i64 = 150_000;

/// The metric with what a comparison leaves out: the revisions, Istio's counter, and the objective
/// where an argument says it.
///
/// # Errors
/// There is no stable revision yet, or no such argument.
pub fn filled(
    path: &str,
    metric: Metric,
    args: &[AnalysisArgument],
    subject: &Subject,
) -> Result<Metric, ResolveError> {
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
    if let Some(slo) = &mut compare.slo {
        slo.objective = substitute(&slo.objective, &plain_values(args)).map_err(|error| {
            let path = format!("{path}.provider.prometheus.compare.slo.objective");
            invalid(path, error.to_string(), "a share such as 99.9%, or an argument that is one")
        })?;
    }
    compare.canary.get_or_insert_with(|| subject.latest.to_owned());
    compare.stable.get_or_insert_with(|| stable.to_owned());
    compare.label.get_or_insert_with(|| LABEL.to_owned());
    let namespace = subject.rollout["metadata"]["namespace"].as_str().unwrap_or("default");
    if let Some(latency) = &mut compare.latency {
        latency.bounds = bounds(latency);
        latency.histogram.get_or_insert_with(|| of_namespace(HISTOGRAM, namespace));
    } else if compare.mann_whitney.is_none() {
        compare.requests.get_or_insert_with(|| istio_requests(namespace));
    }
    Ok(metric)
}

/// Istio's counter of the requests to a namespace.
pub fn istio_requests(namespace: &str) -> String {
    of_namespace("istio_requests_total", namespace)
}

fn of_namespace(name: &str, namespace: &str) -> String {
    format!("{name}{{destination_workload_namespace=\"{namespace}\"}}")
}

/// The bounds as written, or those that fit Istio.
pub fn bounds(latency: &CompareLatency) -> Vec<Written> {
    if !latency.bounds.is_empty() {
        return latency.bounds.clone();
    }
    BOUNDS.map(|bound| Written(Duration::from_millis(bound))).to_vec()
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

/// Checks a histogram as written: its name says its unit, so that no argument stands for it.
///
/// # Errors
/// What was found instead of a selector.
pub fn check_histogram(text: &str) -> Result<(), &'static str> {
    if text.trim().starts_with('{') { Err("no name") } else { check(text) }
}

/// The queries of a comparison, over so much time, with what their series count. Placeholders stay.
pub fn queries(compare: &Compare, range: Duration) -> Vec<(String, Holds)> {
    let over = |selector: String| format!("{selector}[{}s]", range.as_secs().max(1));
    let of = |text: &str| over(selector(text, &revisions(compare)));
    if let Some(latency) = &compare.latency {
        let histogram = latency.histogram.as_deref().unwrap_or(HISTOGRAM);
        let (query, bounds) = buckets(histogram, &bounds(latency), compare);
        return vec![(over(query), Holds::Buckets(bounds))];
    }
    let Some(requests) = &compare.requests else { return Vec::new() };
    match &compare.errors {
        None => vec![(of(requests), Holds::Both)],
        // In this order: the later answer holds all scrapes of the earlier one.
        Some(errors) => vec![(of(requests), Holds::Requests), (of(errors), Holds::Errors)],
    }
}

/// The buckets of these bounds and of `+Inf`, and the bounds in the unit of the histogram, which its
/// name says.
fn buckets(histogram: &str, bounds: &[Written], compare: &Compare) -> (String, Vec<f64>) {
    let histogram = histogram.trim();
    let (name, matchers) = histogram.split_once('{').unwrap_or((histogram, "}"));
    let name = name.trim_end().trim_end_matches("_bucket");
    let unit = if name.ends_with("_milliseconds") { 1000.0 } else { 1.0 };
    // To the microsecond: 1000 times 0.07 is not 70.
    let in_unit = |bound: &Written| (bound.as_secs_f64() * unit * 1e6).round() / 1e6;
    let bounds: Vec<f64> = bounds.iter().map(in_unit).collect();
    // As Prometheus 2 stores a bound, and as Prometheus 3 does.
    let spelled = bounds.iter().map(|bound| match bound.to_string() {
        whole if !whole.contains('.') => format!("{whole}|{whole}.0"),
        fraction => fraction,
    });
    let spelled: Vec<String> = spelled.chain(["[+]Inf".to_owned()]).collect();
    let le = format!("{},le=~\"{}\"", revisions(compare), spelled.join("|"));
    (selector(&format!("{name}_bucket{{{matchers}"), &le), bounds)
}

fn revisions(compare: &Compare) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    let label = compare.label.as_deref().unwrap_or(LABEL);
    format!("{label}=~\"{}|{}\"", value(&compare.canary), value(&compare.stable))
}

/// The counter, of what else matches alone.
fn selector(text: &str, matcher: &str) -> String {
    let text = text.trim();
    let Some(matchers) = text.strip_suffix('}') else { return format!("{text}{{{matcher}}}") };
    let matchers = matchers.trim_end().trim_end_matches(',');
    let comma = if matchers.ends_with('{') { "" } else { "," };
    format!("{matchers}{comma}{matcher}}}")
}

/// How much time to ask for. `recent` is how far back the recent past goes, which is a minute at
/// least: pods are told apart over that.
pub fn range(known: &Known, now: i64, recent: i64) -> Duration {
    let Some(read_until) = known.read_until else { return FIRST };
    let range = (now - read_until).max(0) + recent + SCRAPES;
    Duration::from_millis(u64::try_from(range.min(LONGEST)).unwrap_or(0))
}

/// The texts of a comparison in which placeholders stand.
pub fn texts(compare: &Compare) -> impl Iterator<Item = &str> {
    let histogram = compare.latency.as_ref().and_then(|latency| latency.histogram.as_ref());
    let texts = [&compare.requests, &compare.errors, &compare.canary, &compare.stable];
    texts.into_iter().filter_map(Option::as_ref).chain(histogram).map(String::as_str)
}

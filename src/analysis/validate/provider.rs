//! What a provider may contain.
//!
//! In: a query or a Job, in its place. Out: nothing, or the first thing that is wrong.

use serde_json::Value;

use super::{known, no_secrets};
use crate::analysis::arguments::{plain_values, substitute};
use crate::analysis::compare::{query, rules::rules};
use crate::analysis::template::{ResolveError, invalid};
use crate::api::{AnalysisArgument, Compare, JobProvider, PrometheusProvider};

/// Most points of one series that Prometheus returns.
const MAX_POINTS: f64 = 11_000.0;

/// Checks a query.
pub(super) fn prometheus(
    path: &str,
    provider: &PrometheusProvider,
    args: &[AnalysisArgument],
) -> Result<(), ResolveError> {
    let of_query = provider.compare.as_ref().is_none_or(|found| found.mann_whitney.is_some());
    if let Some(found) = &provider.compare {
        if !(of_query || provider.query.is_empty()) || provider.range.is_some() {
            return Err(invalid(path, "a query or range beside compare", "one of query, compare"));
        }
        compare(&format!("{path}.compare"), found, args)?;
    }
    if !of_query {
        // The comparison makes its own.
    } else if provider.query.trim().is_empty() {
        return Err(invalid(format!("{path}.query"), "an empty query", "PromQL, or compare"));
    }
    known(&format!("{path}.query"), &provider.query, args)?;
    if let Some(address) = &provider.address {
        let path = format!("{path}.address");
        known(&path, address, args)?;
        let filled = substitute(address, &plain_values(args)).unwrap_or_default();
        let is_url = filled.starts_with("http://") || filled.starts_with("https://");
        // An address from a Secret is known when it is measured.
        if !is_url && !filled.is_empty() {
            return Err(invalid(
                path,
                "an address without a scheme",
                "http://HOST or https://HOST",
            ));
        }
    }
    for (index, header) in provider.headers.iter().enumerate() {
        let path = format!("{path}.headers[{index}]");
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if header.name.is_empty() || !header.name.chars().all(token) {
            let found = format!("`{}`", header.name);
            return Err(invalid(format!("{path}.name"), found, "the name of an HTTP header"));
        }
        if header.value.is_some() == header.secret_key_ref.is_some() {
            return Err(invalid(path, "none or several values", "one of value, secretKeyRef"));
        }
        known(&format!("{path}.value"), header.value.as_deref().unwrap_or_default(), args)?;
    }
    if let Some(how) = &provider.authentication
        && how.bearer.is_some() == how.basic.is_some()
    {
        let path = format!("{path}.authentication");
        return Err(invalid(path, "none or several ways", "exactly one of bearer, basic"));
    }
    if provider.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        return Err(invalid(format!("{path}.timeout"), "0s", "more than 0s"));
    }
    let Some(range) = &provider.range else {
        return Ok(());
    };
    let (step, lookback) = (range.step.as_secs_f64(), range.lookback.as_secs_f64());
    if step <= 0.0 || lookback / step > MAX_POINTS {
        let found = format!("lookback {} in steps of {}", range.lookback, range.step);
        let allowed = format!("a step that gives at most {MAX_POINTS} points");
        return Err(invalid(format!("{path}.range"), found, allowed));
    }
    Ok(())
}

/// Checks a comparison, with its defaults put in.
fn compare(path: &str, compare: &Compare, args: &[AnalysisArgument]) -> Result<(), ResolveError> {
    let histogram = compare.latency.as_ref().map(|latency| &latency.histogram);
    let counters = match (histogram, &compare.mann_whitney) {
        (Some(histogram), _) => Some(("latency.histogram", histogram)),
        (None, Some(_)) => None,
        (None, None) => Some(("requests", &compare.requests)),
    };
    let revisions = [("canary", &compare.canary), ("stable", &compare.stable)];
    for (field, text) in counters.into_iter().chain(revisions) {
        // Only a Rollout knows its revisions.
        if text.is_none() {
            let allowed = "a value, in a run that is no Rollout's";
            return Err(invalid(format!("{path}.{field}"), "nothing", allowed));
        }
    }
    for text in query::texts(compare) {
        known(path, text, args)?;
    }
    for (field, text) in [("requests", &compare.requests), ("errors", &compare.errors)] {
        let checked = text.as_deref().map_or(Ok(()), query::check);
        checked.map_err(|found| {
            let allowed =
                "a selector of a counter, such as http_requests_total{namespace=\"shop\"}";
            invalid(format!("{path}.{field}"), found, allowed)
        })?;
    }
    let checked = histogram.and_then(Option::as_deref).map_or(Ok(()), query::check_histogram);
    checked.map_err(|found| {
        let allowed = "a selector of a histogram, such as http_duration_seconds{job=\"shop\"}";
        invalid(format!("{path}.latency.histogram"), found, allowed)
    })?;
    match rules(compare, 1) {
        Ok(_) => Ok(()),
        Err(wrong) => {
            let first = wrong.into_iter().next().unwrap_or_default();
            let (field, rest) = first.split_once(": found ").unwrap_or(("", &first));
            let (found, allowed) = rest
                .split_once("; allowed is ")
                .or_else(|| rest.split_once(", allowed is "))
                .unwrap_or((rest, "another value"));
            Err(invalid(format!("{path}.{field}"), found, allowed))
        }
    }
}

/// Checks a Job.
pub(super) fn job(
    path: &str,
    provider: &JobProvider,
    args: &[AnalysisArgument],
) -> Result<(), ResolveError> {
    let containers = provider
        .spec
        .get("template")
        .and_then(|template| template.get("spec"))
        .and_then(|spec| spec.get("containers"))
        .and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        return Err(invalid(
            format!("{path}.spec.template.spec.containers"),
            "no containers",
            "at least one",
        ));
    }
    for (field, object) in [("metadata", &provider.metadata), ("spec", &provider.spec)] {
        for (key, value) in object {
            check_json(&format!("{path}.{field}.{key}"), value, args)?;
        }
    }
    Ok(())
}

fn check_json(path: &str, value: &Value, args: &[AnalysisArgument]) -> Result<(), ResolveError> {
    match value {
        Value::String(text) => {
            let allowed = "env.valueFrom.secretKeyRef in the container: in the Job a secret would \
                           be readable by all";
            no_secrets(path, text, args, allowed)?;
            known(path, text, args)
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_json(&format!("{path}[{index}]"), item, args)),
        Value::Object(object) => object
            .iter()
            .try_for_each(|(key, item)| check_json(&format!("{path}.{key}"), item, args)),
        _ => Ok(()),
    }
}

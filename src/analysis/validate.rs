//! What a run may contain.
//!
//! In: metrics and arguments, from templates or from a run made by hand. Out: nothing, or the first
//! thing that is wrong. What the CRDs' own rules refuse is refused here as well, because a template
//! may be older than they are.

mod provider;

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use super::arguments::{placeholders, plain_values, secret_arguments, substitute};
use super::condition::{Condition, ConditionError};
use super::template::{ResolveError, argument_names, invalid};
use crate::api::{AnalysisArgument, AnalysisRunSpec, Count, Duration, Metric, Threshold};

/// Most metrics in one run.
pub const MAX_METRICS: usize = 50;
/// Most arguments in one run.
pub const MAX_ARGUMENTS: usize = 100;
/// Shortest time between two measurements: a run is no load generator.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Checks a run, such as one made by hand.
///
/// # Errors
///
/// The first thing that is wrong; the field begins with `spec.`.
pub fn validate(spec: &AnalysisRunSpec) -> Result<(), ResolveError> {
    let mut names = BTreeSet::new();
    for (index, argument) in spec.args.iter().enumerate() {
        let path = format!("spec.args[{index}]");
        if !names.insert(&argument.name) {
            let found = format!("a second \"{}\"", argument.name);
            return Err(invalid(format!("{path}.name"), found, "each name once"));
        }
        let from = argument.value_from.as_ref();
        let secret = from.is_some_and(|from| {
            from.secret_key_ref.is_some()
                && from.field_ref.is_none()
                && from.pod_template_hash_value.is_none()
        });
        if argument.value.is_some() == from.is_some() || (from.is_some() && !secret) {
            return Err(invalid(
                path,
                format!("argument \"{}\" without a value of its own", argument.name),
                "in a run exactly one of value, valueFrom.secretKeyRef",
            ));
        }
    }
    if spec.metrics.is_empty() || spec.metrics.len() > MAX_METRICS {
        let found = format!("{} metrics", spec.metrics.len());
        return Err(invalid("spec.metrics", found, format!("1 to {MAX_METRICS}")));
    }
    let paths: Vec<_> =
        (0..spec.metrics.len()).map(|index| format!("spec.metrics[{index}]")).collect();
    metrics(paths.iter().map(String::as_str).zip(&spec.metrics), &spec.args)?;
    for (index, each) in spec.dry_run.iter().enumerate() {
        Pattern::compile(&format!("spec.dryRun[{index}].metricName"), &each.metric_name)?;
    }
    for (index, each) in spec.measurement_retention.iter().enumerate() {
        let path = format!("spec.measurementRetention[{index}]");
        Pattern::compile(&format!("{path}.metricName"), &each.metric_name)?;
        retention_limit(&path, each.limit)?;
    }
    Ok(())
}

/// A regular expression that matches a metric's name as a whole.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn compile(path: &str, text: &str) -> Result<Self, ResolveError> {
        RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build().map(Self).map_err(
            |error| {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                let found = format!("`{text}`, which is not a regular expression ({reason})");
                invalid(path, found, "one that matches names of metrics, such as `latency-.*`")
            },
        )
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

pub(super) fn retention_limit(path: &str, limit: i32) -> Result<(), ResolveError> {
    if (1..=100).contains(&limit) {
        return Ok(());
    }
    Err(invalid(format!("{path}.limit"), limit.to_string(), "1 to 100"))
}

/// Checks metrics in their places, and that no name is there twice.
pub(super) fn metrics<'m>(
    placed: impl IntoIterator<Item = (&'m str, &'m Metric)>,
    args: &[AnalysisArgument],
) -> Result<(), ResolveError> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, metric) in placed {
        if let Some(first) = names.insert(&metric.name, path) {
            return Err(invalid(
                format!("{path}.name"),
                format!("\"{}\" a second time (first in {first})", metric.name),
                "each name once in a run",
            ));
        }
        check_metric(path, metric, args)?;
    }
    Ok(())
}

fn check_metric(
    path: &str,
    metric: &Metric,
    args: &[AnalysisArgument],
) -> Result<(), ResolveError> {
    if metric.name.is_empty() || metric.name.len() > 63 {
        let found = format!("a name of {} bytes", metric.name.len());
        return Err(invalid(format!("{path}.name"), found, "1 to 63"));
    }
    check_counting(path, metric)?;
    let judged = check_judging(path, metric, args)?;
    match (&metric.provider.prometheus, &metric.provider.job) {
        (Some(prometheus), None) => {
            if judged && prometheus.compare.is_some() {
                return Err(invalid(
                    format!("{path}.provider.prometheus.compare"),
                    "a comparison beside a condition or threshold",
                    "neither, because the comparison is the judge",
                ));
            }
            provider::prometheus(&format!("{path}.provider.prometheus"), prometheus, args)
        }
        (None, Some(job)) => {
            if judged {
                return Err(invalid(
                    format!("{path}.provider.job"),
                    "a Job beside a condition or threshold",
                    "neither, because a Job passes when it succeeds",
                ));
            }
            provider::job(&format!("{path}.provider.job"), job, args)
        }
        _ => Err(invalid(
            format!("{path}.provider"),
            "none or several providers",
            "exactly one of prometheus, job",
        )),
    }
}

/// Interval, count and limits: that the metric can end as it says.
fn check_counting(path: &str, metric: &Metric) -> Result<(), ResolveError> {
    if let Some(count @ Count::Argument(_)) = &metric.count {
        let allowed = "in a run a number: arguments are put in when it is made from templates";
        return Err(invalid(format!("{path}.count"), count.to_string(), allowed));
    }
    let count = metric.count.as_ref().and_then(Count::number);
    if let Some(interval) = metric.interval.filter(|interval| *interval < MIN_INTERVAL) {
        let allowed = format!("at least {MIN_INTERVAL}");
        return Err(invalid(format!("{path}.interval"), interval.to_string(), allowed));
    }
    let limits = [
        ("count", count, 1),
        ("consecutiveSuccessLimit", metric.consecutive_success_limit, 1),
        ("failureLimit", Some(metric.failure_limit), 0),
        ("inconclusiveLimit", Some(metric.inconclusive_limit), 0),
        ("consecutiveErrorLimit", Some(metric.consecutive_error_limit), 0),
    ];
    for (field, value, least) in limits {
        if let Some(value) = value.filter(|value| *value < least) {
            let allowed = format!("at least {least}");
            return Err(invalid(format!("{path}.{field}"), value.to_string(), allowed));
        }
    }
    let wanted = metric.consecutive_success_limit;
    if metric.interval.is_none() {
        for (field, value) in [("count", count), ("consecutiveSuccessLimit", wanted)] {
            if let Some(value) = value.filter(|value| *value > 1) {
                let found = format!("{value} without an interval");
                return Err(invalid(
                    format!("{path}.{field}"),
                    found,
                    "1, or more with an interval",
                ));
            }
        }
    }
    if let (Some(wanted), Some(count)) = (wanted, count)
        && wanted > count
    {
        let found = format!("{wanted}, which cannot be reached in {count} measurements");
        let field = format!("{path}.consecutiveSuccessLimit");
        return Err(invalid(field, found, "at most count"));
    }
    Ok(())
}

/// Conditions and threshold; true when there are any.
fn check_judging(
    path: &str,
    metric: &Metric,
    args: &[AnalysisArgument],
) -> Result<bool, ResolveError> {
    let conditions = [
        ("successCondition", &metric.success_condition),
        ("failureCondition", &metric.failure_condition),
    ];
    let mut any = false;
    for (field, text) in conditions {
        let Some(text) = text else { continue };
        any = true;
        let path = format!("{path}.{field}");
        no_secrets(&path, text, args, "a value: a secret would show in messages")?;
        let text = substitute(text, &plain_values(args))
            .map_err(|error| unknown(&path, &error.to_string(), args))?;
        Condition::compile(&text).map_err(|error| match error {
            ConditionError::Refused { found, allowed } => invalid(path, found, allowed),
            other => invalid(
                path,
                strip_found(&other.to_string()),
                "a CEL expression over `result` such as `result[0] >= 0.95`",
            ),
        })?;
    }
    let Some(Threshold { min, max }) = metric.threshold else {
        return Ok(any);
    };
    let path = format!("{path}.threshold");
    if any {
        return Err(invalid(path, "a threshold beside a condition", "one of them"));
    }
    let bounds = || min.into_iter().chain(max);
    if bounds().count() == 0 || bounds().any(|bound| !bound.is_finite()) {
        return Err(invalid(path, "no bound that is a number", "min, max or both"));
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(invalid(path, "a min above max", "min at most max"));
    }
    Ok(true)
}

/// Every placeholder of the text names an argument.
fn known(path: &str, text: &str, args: &[AnalysisArgument]) -> Result<(), ResolveError> {
    let names = placeholders(text).map_err(|error| unknown(path, &error.to_string(), args))?;
    match names.iter().find(|name| !args.iter().any(|argument| argument.name == **name)) {
        None => Ok(()),
        Some(name) => Err(unknown(path, &format!("{{{{args.{name}}}}}"), args)),
    }
}

fn unknown(path: &str, found: &str, args: &[AnalysisArgument]) -> ResolveError {
    let found = strip_found(found);
    let found = found.split_once(", allowed").map_or(found, |(found, _)| found);
    invalid(path, found, format!("{{{{args.NAME}}}} with the names {}", argument_names(args)))
}

fn strip_found(text: &str) -> &str {
    text.strip_prefix("found ").unwrap_or(text)
}

fn no_secrets(
    path: &str,
    text: &str,
    args: &[AnalysisArgument],
    allowed: &str,
) -> Result<(), ResolveError> {
    let secrets = secret_arguments(args);
    let used = placeholders(text).unwrap_or_default();
    match used.iter().find(|name| secrets.contains_key(**name)) {
        None => Ok(()),
        Some(name) => {
            let found = format!("{{{{args.{name}}}}}, which stands for a secret");
            Err(invalid(path, found, allowed))
        }
    }
}

//! The verdict on one measurement.
//!
//! In: a metric, its arguments, and what the provider read. Out: a verdict with the value and a
//! sentence. The rules are Argo Rollouts' (`successCondition` alone: true passes, else fails;
//! `failureCondition` alone: true fails, else passes; both: failure wins, neither is inconclusive;
//! none: a value passes), with two changes: an empty answer is *no data* and the metric says what
//! that means, and NaN never passes by accident.

use std::collections::BTreeMap;

use super::arguments::substitute;
use super::compare::{
    intervals::Counted,
    series::{self, Pair},
};
use super::condition::{Condition, Outcome, Sample};
use super::text::{MESSAGE_BYTES, VALUE_BYTES, bounded, number, numbers};
use crate::api::{Metric, OnNoData, Threshold, Verdict};

/// What a provider read. Its texts are redacted: no secret is in them.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// One number; it may be NaN or infinite.
    Scalar {
        /// The number.
        value: f64,
        /// What the provider adds, such as Prometheus's warnings; often empty.
        note: String,
    },
    /// Several numbers. An empty list is no data.
    Vector {
        /// The numbers.
        values: Vec<f64>,
        /// What the provider adds; often empty.
        note: String,
    },
    /// What a comparison has counted. It is [`compare::look`](super::compare::look) that judges it.
    Counted(Box<Counted>),
    /// The values of a query for both revisions.
    Pairs(Vec<Pair>),
    /// The provider answered, but has no value. Why, or empty.
    NoData(String),
    /// The provider could not be asked, or its answer could not be read. Why.
    Error(String),
    /// The Job has not ended.
    JobRunning {
        /// Its name.
        name: String,
    },
    /// The Job has succeeded.
    JobSucceeded {
        /// Its name.
        name: String,
        /// What it says, or empty.
        message: String,
    },
    /// The Job has failed.
    JobFailed {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
    /// The Job cannot start: that says nothing about the revision, so that a person decides.
    JobUnstartable {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
}

impl Reading {
    /// One number without a note.
    pub fn scalar(value: f64) -> Self {
        let note = String::new();
        Self::Scalar { value, note }
    }

    /// Several numbers without a note.
    pub fn vector(values: impl Into<Vec<f64>>) -> Self {
        let (values, note) = (values.into(), String::new());
        Self::Vector { values, note }
    }

    /// The Job that the reading is about.
    pub fn job_name(&self) -> Option<&str> {
        match self {
            Self::JobRunning { name }
            | Self::JobSucceeded { name, .. }
            | Self::JobFailed { name, .. }
            | Self::JobUnstartable { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// How a measurement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Under its verdict.
    Verdict,
    /// As missing data, which counts neither way.
    NoData,
}

/// A judged measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict: Running, Successful, Failed, Inconclusive or Error.
    pub verdict: Verdict,
    /// Whether it counts under that verdict. Missing data that is waited for is Inconclusive but
    /// does not count.
    pub counts: Counts,
    /// The value as text, or empty.
    pub value: String,
    /// Why, in a sentence; empty when there is nothing to say.
    pub message: String,
}

/// Judges one measurement. `args` are the values of arguments that are no secrets.
///
/// A condition that cannot be evaluated is an `Error`. A bound compared with NaN is no data; a
/// condition that passes only because comparisons with NaN are false is no data as well, unless it
/// speaks of NaN itself (`isNaN`, `default`).
pub fn judge(metric: &Metric, args: &BTreeMap<String, String>, reading: &Reading) -> Judged {
    let (sample, value, note) = match reading {
        Reading::Scalar { value, note } => (Sample::Scalar(*value), number(*value), note),
        Reading::Vector { values, note } if values.is_empty() => {
            return no_data(metric, String::new(), with_note("the answer is empty", note));
        }
        Reading::Vector { values, note } => (Sample::Vector(values), numbers(values), note),
        Reading::Counted(_) => return no_data(metric, String::new(), String::new()),
        Reading::Pairs(pairs) => return series::judge(metric, pairs),
        Reading::NoData(why) => return no_data(metric, String::new(), why.clone()),
        Reading::Error(why) => return judged(Verdict::Error, String::new(), why),
        Reading::JobRunning { .. } => return judged(Verdict::Running, String::new(), ""),
        Reading::JobSucceeded { message, .. } => {
            return judged(Verdict::Successful, String::new(), message);
        }
        Reading::JobFailed { name, message } => {
            let message = format!("Job {name} failed: {message}");
            return judged(Verdict::Failed, String::new(), &message);
        }
        Reading::JobUnstartable { name, message } => {
            let message = format!("Job {name} cannot start: {message}");
            return judged(Verdict::Inconclusive, String::new(), &message);
        }
    };
    let value = bounded(&value, VALUE_BYTES);
    match measure(metric, args, sample, &value) {
        Ok(Found::Verdict(verdict, message)) => judged(verdict, value, &with_note(&message, note)),
        Ok(Found::NoData(why)) => no_data(metric, value, with_note(&why, note)),
        Err(why) => judged(Verdict::Error, value, &with_note(&why, note)),
    }
}

enum Found {
    Verdict(Verdict, String),
    NoData(String),
}

fn measure(
    metric: &Metric,
    args: &BTreeMap<String, String>,
    sample: Sample,
    value: &str,
) -> Result<Found, String> {
    if let Some(threshold) = metric.threshold {
        return Ok(within(threshold, sample, value));
    }
    let failure = evaluate("failureCondition", metric.failure_condition.as_deref(), args, sample)?;
    let success = evaluate("successCondition", metric.success_condition.as_deref(), args, sample)?;
    if let Some((failure, text)) = &failure
        && failure.holds
    {
        let message = format!("{value} meets the failureCondition {text}");
        return Ok(Found::Verdict(Verdict::Failed, message));
    }
    if let Some((success, text)) = &success
        && !success.holds
    {
        return Ok(if failure.is_some() {
            let message = "meets neither the successCondition nor the failureCondition";
            Found::Verdict(Verdict::Inconclusive, format!("{value} {message}"))
        } else {
            Found::Verdict(Verdict::Failed, format!("{value} does not meet {text}"))
        });
    }
    let answers = || [&failure, &success].into_iter().flatten();
    let unjudged = answers().count() == 0 && values(&sample).iter().any(|value| value.is_nan());
    if unjudged || answers().any(|(outcome, _)| outcome.by_accident) {
        return Ok(nan_is_no_data());
    }
    Ok(Found::Verdict(Verdict::Successful, String::new()))
}

fn nan_is_no_data() -> Found {
    Found::NoData("the value is NaN, as 0/0 is".to_owned())
}

/// What a condition answers, with its text; nothing when there is no condition.
fn evaluate(
    field: &str,
    text: Option<&str>,
    args: &BTreeMap<String, String>,
    sample: Sample,
) -> Result<Option<(Outcome, String)>, String> {
    let Some(text) = text else { return Ok(None) };
    let filled = substitute(text, args).map_err(|error| format!("{field}: {error}"))?;
    Condition::compile(&filled)
        .and_then(|condition| condition.evaluate(sample))
        .map(|outcome| Some((outcome, filled)))
        .map_err(|error| format!("{field}: {error}"))
}

fn values<'s>(sample: &'s Sample) -> &'s [f64] {
    match sample {
        Sample::Scalar(value) => std::slice::from_ref(value),
        Sample::Vector(values) => values,
    }
}

/// Every value within the bounds passes. One that is outside fails, even beside a NaN.
fn within(threshold: Threshold, sample: Sample, value: &str) -> Found {
    let Threshold { min, max } = threshold;
    let values = values(&sample);
    let outside = values
        .iter()
        .find(|value| min.is_some_and(|min| **value < min) || max.is_some_and(|max| **value > max));
    if let Some(outside) = outside {
        let bounds = match (min, max) {
            (Some(min), Some(max)) => format!("{} to {}", number(min), number(max)),
            (Some(min), None) => format!("min {}", number(min)),
            (None, max) => format!("max {}", number(max.unwrap_or(f64::INFINITY))),
        };
        let of = if values.len() > 1 { format!(" (of {value})") } else { String::new() };
        let message = format!("{}{of} is not within {bounds}", number(*outside));
        return Found::Verdict(Verdict::Failed, message);
    }
    if values.iter().any(|value| value.is_nan()) {
        return nan_is_no_data();
    }
    Found::Verdict(Verdict::Successful, String::new())
}

/// What missing data means is for the metric to say.
pub(super) fn no_data(metric: &Metric, value: String, why: String) -> Judged {
    let why = if why.is_empty() { "the provider has none".to_owned() } else { why };
    let (verdict, counts, policy) = match metric.on_no_data {
        OnNoData::Wait => (Verdict::Inconclusive, Counts::NoData, "it does not count"),
        OnNoData::Pass => (Verdict::Successful, Counts::Verdict, "it counts as a success"),
        OnNoData::Fail => (Verdict::Failed, Counts::Verdict, "it counts as a failure"),
        OnNoData::Pause => (Verdict::Inconclusive, Counts::Verdict, "a person decides"),
    };
    let message = bounded(&format!("no data: {why}; {policy}"), MESSAGE_BYTES);
    Judged { verdict, counts, value, message }
}

/// A measurement that counts under its verdict.
pub(super) fn judged(verdict: Verdict, value: String, message: &str) -> Judged {
    Judged { verdict, counts: Counts::Verdict, value, message: bounded(message, MESSAGE_BYTES) }
}

fn with_note(message: &str, note: &str) -> String {
    match (message.is_empty(), note.is_empty()) {
        (_, true) => message.to_owned(),
        (true, false) => note.to_owned(),
        (false, false) => format!("{message} ({note})"),
    }
}

#[cfg(test)]
mod tests;

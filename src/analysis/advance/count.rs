//! One metric: counting its measurements, and its verdict.
//!
//! In: a metric's result so far and a measurement. Out: the result with it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{JOB_NAME, Taken};
use crate::analysis::compare::look;
use crate::analysis::text::{MESSAGE_BYTES, bounded, count};
use crate::analysis::verdict::{Counts, Judged, Reading, judge};
use crate::api::{Compare, ComparisonFinding, Count, Measurement, Metric, MetricResult, Verdict};

/// A measurement, the time at which it ended, and how many comparisons the run has.
pub(super) struct Taking<'t> {
    pub(super) taken: &'t Taken,
    pub(super) now: Timestamp,
    pub(super) comparisons: u32,
}

/// The end of a metric: when, and where its Job goes.
pub(super) struct Ended<'j> {
    pub(super) now: Timestamp,
    pub(super) stop_jobs: &'j mut Vec<String>,
}

/// Judges and counts a measurement. News of a metric that has ended, or of a Job that is not the
/// one that was started, changes nothing.
pub(super) fn record(
    metric: &Metric,
    args: &BTreeMap<String, String>,
    result: &mut MetricResult,
    Taking { taken, now, comparisons }: Taking,
    stop_jobs: &mut Vec<String>,
) {
    let job = taken.reading.job_name();
    let ends_itself =
        matches!(taken.reading, Reading::JobSucceeded { .. } | Reading::JobFailed { .. });
    if result.phase.is_final() {
        stop_jobs.extend(job.filter(|_| !ends_itself).map(str::to_owned));
        return;
    }
    let running = running_job(result).map(str::to_owned);
    if let (Some(job), Some(running)) = (job, &running)
        && job != running
    {
        return;
    }
    let judged = match (&taken.reading, compared(metric)) {
        (Reading::Counted(counted), Some(compare)) => {
            let before = result.comparison.as_ref();
            let (next, judged) = look(metric, compare, comparisons, before, counted, now);
            result.comparison = next.or_else(|| result.comparison.take());
            judged
        }
        (reading, _) => judge(metric, args, reading),
    };
    result.phase = Verdict::Running;
    let name = job.map(str::to_owned).or_else(|| running.clone());
    if judged.verdict == Verdict::Running {
        if running.is_none() {
            result.measurements.push(measurement(taken, &judged, None, name));
        }
        return;
    }
    if !ends_itself {
        stop_jobs.extend(name.clone());
    }
    let mut new = measurement(taken, &judged, Some(now), name);
    if running.is_some()
        && let Some(begun) = result.measurements.pop()
    {
        new.started_at = begun.started_at;
    }
    result.measurements.push(new);
    add(result, &judged);
    match assess(metric, result, &judged) {
        Some((verdict, message)) => {
            result.phase = verdict;
            result.message = message;
        }
        None => result.message = unfinished(result, &judged),
    }
}

/// The comparison of a metric, if it is one.
pub(super) fn compared(metric: &Metric) -> Option<&Compare> {
    metric.provider.prometheus.as_ref()?.compare.as_ref()
}

/// Ends a metric without a verdict of its own. One that has ended stays as it is.
pub(super) fn stop(result: &mut MetricResult, reason: &str, Ended { now, stop_jobs }: Ended) {
    if result.phase.is_final() {
        return;
    }
    if let Some(job) = running_job(result) {
        stop_jobs.push(job.to_owned());
    }
    if let Some(last) = result.measurements.last_mut().filter(|last| last.phase == Verdict::Running)
    {
        last.phase = Verdict::Stopped;
        last.finished_at = Some(now);
        "stopped before it ended".clone_into(&mut last.message);
    }
    let seen = match result.count {
        0 => "with 0 observations".to_owned(),
        n => format!("after {}, {} successful", count(n, "measurement"), result.successful),
    };
    let mut besides = String::new();
    for (n, what) in [(result.no_data, "without data"), (result.error, "with an error")] {
        if n > 0 {
            besides = format!("{besides}, {n} {what}");
        }
    }
    result.phase = Verdict::Stopped;
    result.message = bounded(&format!("stopped {seen}{besides}{reason}"), MESSAGE_BYTES);
}

/// The Job of the measurement under way.
pub(super) fn running_job(result: &MetricResult) -> Option<&str> {
    let last = result.measurements.last()?;
    let running = last.phase == Verdict::Running;
    last.metadata.get(JOB_NAME).filter(|_| running).map(String::as_str)
}

/// The number of the next measurement, or of the one under way: it is not counted before it ends.
pub(super) fn next_number(result: &MetricResult) -> u32 {
    let ended = result.count.saturating_add(result.error);
    ended.saturating_add(result.no_data).saturating_add(1)
}

fn measurement(
    taken: &Taken,
    judged: &Judged,
    finished_at: Option<Timestamp>,
    job: Option<String>,
) -> Measurement {
    Measurement {
        phase: judged.verdict,
        value: judged.value.clone(),
        message: judged.message.clone(),
        started_at: Some(taken.started_at),
        finished_at,
        metadata: job.map(|job| (JOB_NAME.to_owned(), job)).into_iter().collect(),
    }
}

fn add(result: &mut MetricResult, judged: &Judged) {
    let one_more = |counter: &mut u32| *counter = counter.saturating_add(1);
    if judged.verdict == Verdict::Error {
        one_more(&mut result.error);
        one_more(&mut result.consecutive_error);
        result.consecutive_success = 0;
        return;
    }
    result.consecutive_error = 0;
    if judged.counts == Counts::NoData {
        one_more(&mut result.no_data);
        return;
    }
    one_more(&mut result.count);
    match judged.verdict {
        Verdict::Successful => {
            one_more(&mut result.successful);
            one_more(&mut result.consecutive_success);
            return;
        }
        Verdict::Failed => one_more(&mut result.failed),
        _ => one_more(&mut result.inconclusive),
    }
    result.consecutive_success = 0;
}

/// The verdict of the metric after a measurement, if it falls now.
fn assess(metric: &Metric, result: &MetricResult, judged: &Judged) -> Option<(Verdict, String)> {
    let limit = |limit: i32| u32::try_from(limit).unwrap_or(0);
    let because = |tail: String| {
        let message = if judged.message.is_empty() { "no reason given" } else { &judged.message };
        format!("{} ({tail})", bounded(message, MESSAGE_BYTES - 60))
    };
    for (verdict, found, tolerated, what) in [
        (Verdict::Failed, result.failed, limit(metric.failure_limit), "failed"),
        (
            Verdict::Inconclusive,
            result.inconclusive,
            limit(metric.inconclusive_limit),
            "inconclusive",
        ),
        (
            Verdict::Error,
            result.consecutive_error,
            limit(metric.consecutive_error_limit),
            "errors in a row",
        ),
    ] {
        if found > tolerated {
            return Some((verdict, because(format!("{found} {what}, {tolerated} tolerated"))));
        }
    }
    let wanted = metric.consecutive_success_limit.map(limit);
    let score =
        || format!("{} of {} successful", result.successful, count(result.count, "measurement"));
    if wanted.is_some_and(|wanted| result.consecutive_success >= wanted) {
        return Some((Verdict::Successful, score()));
    }
    // Without an interval there is one measurement, with one they go on until something ends them.
    let planned = match (metric.count.as_ref().and_then(Count::number), metric.interval) {
        (Some(count), _) => limit(count),
        (None, None) => 1,
        (None, Some(_)) => return None,
    };
    if result.count < planned {
        return None;
    }
    // Limits tolerate bad measurements beside good ones; they do not make a pass out of none.
    Some(match (wanted, result.successful, result.failed) {
        (Some(wanted), ..) => {
            (Verdict::Inconclusive, format!("{}, but not {wanted} in a row", score()))
        }
        (None, 0, 1..) => (Verdict::Failed, because(score())),
        (None, 0, 0) => (Verdict::Inconclusive, because(score())),
        (None, ..) => (Verdict::Successful, score()),
    })
}

/// What a metric that goes on says of its last measurement; nothing when that was good.
fn unfinished(result: &MetricResult, judged: &Judged) -> String {
    let says = result.comparison.as_ref().map(|found| found.finding);
    if judged.counts == Counts::NoData && says != Some(ComparisonFinding::SharedIncident) {
        let times = count(result.no_data, "measurement");
        let message = bounded(&judged.message, MESSAGE_BYTES - 60);
        return format!("{message} ({times} without data)");
    }
    match judged.verdict {
        // A comparison always has something to say.
        Verdict::Successful if result.comparison.is_none() => String::new(),
        _ => bounded(&judged.message, MESSAGE_BYTES),
    }
}

//! A run from its start to its verdict.
//!
//! In: the spec and status of a run, the time, and the measurements taken since. Out: the new
//! status, what to measure now, which Jobs to stop, and when to look again. The same input gives
//! the same output; a status that is final stays as it is.
//!
//! The caller's part, in this order: call [`advance`] without measurements; take what is `due` and
//! call it again with them; stop the Jobs in `stop_jobs`; write the status if it has changed; come
//! back at `next_check` or when a Job changes. After a crash at any point the next pass asks for
//! the same again, and a Job is not run twice, because its name follows from [`Due::number`].
//!
//! Counting follows Argo Rollouts: an interval counts from the end of a measurement; an error does
//! not count, is tried again after 10 seconds or the interval, whichever is shorter, and more than
//! `consecutiveErrorLimit` in a row end the metric. Our changes: what ends without a verdict is
//! Stopped and never Successful; a metric in which no measurement was successful is not Successful
//! either, whatever its limits tolerate; missing data that is waited for does not count.

mod count;
mod retention;

use jiff::Timestamp;

use self::count::{Ended, Taking, record};
use super::arguments::plain_values;
use super::compare::rules::sharing;
use super::text::{bounded, count};
use super::validate::{MIN_INTERVAL, Pattern, validate};
use super::verdict::Reading;
use crate::api::{
    AnalysisRunSpec, AnalysisRunStatus, Duration, Metric, MetricResult, Summary, Verdict,
};

pub use self::retention::MEASUREMENT_BYTES;

/// Key in a measurement's metadata: the name of its Job.
pub const JOB_NAME: &str = "job-name";

/// Time after which an error, or missing data without an interval, is tried again.
pub const RETRY: Duration = Duration::from_secs(10);

/// Time after which a running Job is looked at, should no watch have spoken of it: pods that cannot
/// pull their image do not change their Job.
pub const JOB_CHECK: Duration = Duration::from_secs(10);

/// Longest message of a run, in bytes: a metric's message and its name.
const RUN_MESSAGE_BYTES: usize = 400;

/// A measurement that was taken, or news of a Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Index of the metric in the spec.
    pub metric: usize,
    /// When it began. It ends at the `now` of [`advance`].
    pub started_at: Timestamp,
    /// What was read.
    pub reading: Reading,
}

/// A measurement to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Index of the metric in the spec.
    pub metric: usize,
    /// Running number of the measurement, from 1. A Job is named by it.
    pub number: u32,
    /// The Job that has been started for it: look at it instead of starting one.
    pub running_job: Option<String>,
}

/// What follows from the measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advance {
    /// The new status.
    pub status: AnalysisRunStatus,
    /// What to measure now.
    pub due: Vec<Due>,
    /// Jobs whose outcome does not matter any more. Stop them before the status is written: they
    /// are not named again afterwards.
    pub stop_jobs: Vec<String>,
    /// When something is due next; nothing when the run is final, or all is due now.
    pub next_check: Option<Timestamp>,
}

/// Takes a run forward: counts the measurements, settles each metric and the run, and says what to
/// do next. A run that has not begun is checked first; a wrong one ends as Error, with the reason.
pub fn advance(
    spec: &AnalysisRunSpec,
    status: &AnalysisRunStatus,
    now: Timestamp,
    taken: &[Taken],
) -> Advance {
    if status.phase.is_final() {
        return Advance { status: status.clone(), ..Advance::default() };
    }
    if status.started_at.is_none()
        && let Err(error) = validate(spec)
    {
        let mut status = status.clone();
        status.started_at = Some(now);
        finish(&mut status, now, Verdict::Error, &error.to_string());
        return Advance { status, ..Advance::default() };
    }
    let mut status = begun(spec, status, now);
    let started_at = status.started_at.unwrap_or(now);
    let mut stop_jobs = Vec::new();
    let args = plain_values(&spec.args);
    // A release whose other runs compare as well has fewer false alarms left for this one.
    let of_release = spec.comparisons.and_then(|all| u32::try_from(all).ok()).unwrap_or(1);
    let comparisons = sharing(spec).max(of_release);
    for each in taken {
        let Some(metric) = spec.metrics.get(each.metric) else {
            continue;
        };
        if let Some(result) = status.metric_results.get_mut(each.metric) {
            record(metric, &args, result, Taking { taken: each, now, comparisons }, &mut stop_jobs);
        }
    }
    settle(spec, &mut status, now, &mut stop_jobs);
    retention::trim(spec, &mut status);
    let (due, next_check) = schedule(spec, &status, started_at, now);
    Advance { status, due, stop_jobs, next_check }
}

/// When a finished run may be deleted by its `ttl`; nothing while it runs or without one.
pub fn expires_at(spec: &AnalysisRunSpec, status: &AnalysisRunStatus) -> Option<Timestamp> {
    let completed_at = status.completed_at.filter(|_| status.phase.is_final())?;
    Some(spec.ttl?.after(completed_at))
}

/// The status with a result for each metric, in the order of the spec.
fn begun(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, now: Timestamp) -> AnalysisRunStatus {
    let mut known = status.metric_results.clone();
    let dry_run: Vec<Pattern> = spec
        .dry_run
        .iter()
        .filter_map(|each| Pattern::compile("", &each.metric_name).ok())
        .collect();
    let metric_results = spec.metrics.iter().map(|metric| {
        let at = known.iter().position(|result| result.name == metric.name);
        // What counts is fixed when a metric begins: a later edit of `dryRun` pardons nothing.
        at.map_or_else(
            || MetricResult {
                name: metric.name.clone(),
                dry_run: dry_run.iter().any(|pattern| pattern.matches(&metric.name)),
                ..MetricResult::default()
            },
            |at| known.swap_remove(at),
        )
    });
    AnalysisRunStatus {
        phase: Verdict::Running,
        metric_results: metric_results.collect(),
        started_at: Some(status.started_at.unwrap_or(now)),
        ..status.clone()
    }
}

/// Stops what need not go on, and gives the run its verdict when nothing that counts goes on.
fn settle(
    spec: &AnalysisRunSpec,
    status: &mut AnalysisRunStatus,
    now: Timestamp,
    stop_jobs: &mut Vec<String>,
) {
    let counted = |result: &&MetricResult| !result.dry_run;
    let any_counts = status.metric_results.iter().any(|result| !result.dry_run);
    let bad = status
        .metric_results
        .iter()
        .filter(counted)
        .find(|result| result.phase > Verdict::Stopped)
        .map(|result| format!("metric \"{}\" is {}", result.name, result.phase));
    let done =
        any_counts && status.metric_results.iter().filter(counted).all(|r| r.phase.is_final());
    let reason = match (bad, spec.terminate, done) {
        (Some(bad), ..) => Some(format!(" because {bad}")),
        (None, true, _) => Some(String::new()),
        (None, false, true) => Some(" because all that counts has ended".to_owned()),
        (None, false, false) => None,
    };
    if let Some(reason) = reason {
        for result in &mut status.metric_results {
            count::stop(result, &reason, Ended { now, stop_jobs });
        }
    }
    summarize(status);
    let open = status.metric_results.iter().any(|result| !result.phase.is_final());
    if open {
        status.message = bounded(&waits_for(&status.metric_results), RUN_MESSAGE_BYTES);
        return;
    }
    let (verdict, message) = run_verdict(&status.metric_results, any_counts);
    finish(status, now, verdict, &message);
}

/// The worst verdict of the metrics that count, and why.
fn run_verdict(results: &[MetricResult], any_counts: bool) -> (Verdict, String) {
    if !any_counts {
        // A dry run decides nothing, so that all of them pass; but stopped is not passed.
        let stopped = results.iter().any(|result| result.phase == Verdict::Stopped);
        return if stopped {
            (Verdict::Stopped, "stopped; all metrics are dry runs".to_owned())
        } else {
            (Verdict::Successful, "all metrics are dry runs: nothing counts".to_owned())
        };
    }
    let counted = || results.iter().filter(|result| !result.dry_run);
    let worst = counted().map(|result| result.phase).max().unwrap_or_default();
    let mut of_worst = counted().filter(|result| result.phase == worst);
    let message = match (worst, of_worst.next()) {
        (Verdict::Successful, _) | (_, None) => {
            let n = u32::try_from(counted().count()).unwrap_or(u32::MAX);
            format!("{} successful", count(n, "metric"))
        }
        (_, Some(result)) => format!("metric \"{}\": {}", result.name, result.message),
    };
    (worst, message)
}

/// What an unfinished run waits for, where there is something to say.
fn waits_for(results: &[MetricResult]) -> String {
    results
        .iter()
        .filter(|result| !result.dry_run && !result.phase.is_final() && !result.message.is_empty())
        .map(|result| format!("metric \"{}\": {}", result.name, result.message))
        .next()
        .unwrap_or_default()
}

fn finish(status: &mut AnalysisRunStatus, now: Timestamp, verdict: Verdict, message: &str) {
    status.phase = verdict;
    status.message = bounded(message, RUN_MESSAGE_BYTES);
    status.completed_at = Some(now);
}

fn summarize(status: &mut AnalysisRunStatus) {
    let of = |dry_run: bool| {
        let mut summary = Summary::default();
        for result in status.metric_results.iter().filter(|each| each.dry_run == dry_run) {
            summary.count += 1;
            match result.phase {
                Verdict::Pending | Verdict::Running => {}
                Verdict::Successful => summary.successful += 1,
                Verdict::Stopped => summary.stopped += 1,
                Verdict::Inconclusive => summary.inconclusive += 1,
                Verdict::Error => summary.error += 1,
                Verdict::Failed => summary.failed += 1,
            }
        }
        summary
    };
    let dry_run = of(true);
    status.run_summary = of(false);
    status.dry_run_summary = (dry_run.count > 0).then_some(dry_run);
}

/// What is due at `now`, and when the next thing is.
fn schedule(
    spec: &AnalysisRunSpec,
    status: &AnalysisRunStatus,
    started_at: Timestamp,
    now: Timestamp,
) -> (Vec<Due>, Option<Timestamp>) {
    let mut due = Vec::new();
    let mut next_check: Option<Timestamp> = None;
    let mut later = |at: Timestamp| {
        next_check = Some(next_check.map_or(at, |earliest| earliest.min(at)));
    };
    if status.phase.is_final() {
        return (due, None);
    }
    for (index, (metric, result)) in spec.metrics.iter().zip(&status.metric_results).enumerate() {
        if result.phase.is_final() {
            continue;
        }
        let running_job = count::running_job(result).map(str::to_owned);
        let at = if running_job.is_some() {
            later(JOB_CHECK.after(now));
            now
        } else {
            next_at(metric, result, started_at)
        };
        if at <= now {
            due.push(Due { metric: index, number: count::next_number(result), running_job });
        } else {
            later(at);
        }
    }
    (due, next_check)
}

/// When the next measurement of a metric begins.
fn next_at(metric: &Metric, result: &MetricResult, started_at: Timestamp) -> Timestamp {
    let Some(last) = result.measurements.last() else {
        return metric.initial_delay.unwrap_or_default().after(started_at);
    };
    let interval = metric.interval.unwrap_or(RETRY).max(MIN_INTERVAL);
    let pause = if last.phase == Verdict::Error { interval.min(RETRY) } else { interval };
    pause.after(last.finished_at.or(last.started_at).unwrap_or(started_at))
}

#[cfg(test)]
mod tests;

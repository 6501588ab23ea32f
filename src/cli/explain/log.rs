//! The log itself, put together from what the objects remember. Pure.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use serde::Serialize;

use crate::{
    api::{AnalysisRun, MetricResult, Outcome, Reason, ReleaseRecord, Rollout, Verdict},
    cli::{
        age::span,
        state,
        style::{self, Paint},
    },
};

/// How close an Event and what the status remembers of the same thing lie together, in seconds.
const SAME: i64 = 2;

/// One thing that was seen or decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Of what: `release`, `step`, `command`, a reason of an Event, or a metric.
    pub what: String,
    /// In words.
    pub text: String,
    /// How it looks.
    #[serde(skip)]
    pub paint: Paint,
}

impl Entry {
    fn new(at: Timestamp, what: &str, paint: Paint, text: impl Into<String>) -> Self {
        Self { at, what: what.to_owned(), text: text.into(), paint }
    }
}

/// When the newest release began.
pub fn began(rollout: &Rollout) -> Option<Timestamp> {
    Some(rollout.status.as_ref()?.history.first()?.started_at)
}

/// All that is remembered, oldest first.
pub fn entries(rollout: &Rollout, runs: &[AnalysisRun], events: &[Event]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = events.iter().filter_map(event).collect();
    let told = |at: Timestamp, reasons: &[Reason]| {
        let near = |event: &&Event| {
            time(event).is_some_and(|time| (time.as_second() - at.as_second()).abs() <= SAME)
        };
        let is = |event: &Event| {
            reasons.iter().any(|reason| event.reason.as_deref() == Some(&reason.to_string()))
        };
        events.iter().filter(near).any(is)
    };
    let history = rollout.status.as_ref().map_or(&[][..], |status| &status.history);
    for release in history {
        if !told(release.started_at, &[Reason::ReleaseStarted, Reason::ReleaseRetried]) {
            entries.push(start(release));
        }
        let ends = [Reason::ReleaseCompleted, Reason::ReleaseAborted];
        if let Some(end) = release.ended_at.filter(|at| !told(*at, &ends)) {
            entries.push(ending(release, end));
        }
    }
    if let Some(status) = &rollout.status {
        if let Some(step) =
            status.step.as_ref().filter(|_| state::release(rollout) == state::Release::Running)
        {
            let what = state::current_step(rollout).map(|step| state::describe(&step));
            let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
            let number = step.of.min(step.index + 1);
            let text = format!("step {number}/{}{what} began", step.of);
            entries.push(Entry::new(step.started_at, "step", Paint::Plain, text));
        }
        let said = [Reason::CommandAccepted, Reason::CommandRefused];
        if let Some(last) = status.last_command.as_ref().filter(|last| !told(last.at, &said)) {
            let verdict = if last.accepted { "carried out" } else { "refused" };
            let text =
                format!("`{}` by {}: {verdict}: {}", last.verb, state::by(&last.by), last.message);
            entries.push(Entry::new(last.at, "command", Paint::Bold, text));
        }
    }
    entries.extend(runs.iter().flat_map(run));
    // What was measured comes before what was decided on it in the same second.
    let rank = |entry: &Entry| match entry.what.as_str() {
        what if what.starts_with("metric ") => 0,
        "verdict" => 1,
        // The end of one release is the moment at which the next may begin.
        "ReleaseCompleted" => 2,
        _ => 3,
    };
    entries.sort_by_key(|entry| (entry.at.as_second(), rank(entry), entry.at));
    entries
}

fn time(event: &Event) -> Option<Timestamp> {
    let exact = event.event_time.as_ref().map(|time| time.0);
    exact.or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn event(event: &Event) -> Option<Entry> {
    let warning = event.type_.as_deref() == Some("Warning");
    let paint = if warning { Paint::Bad } else { Paint::Plain };
    let what = event.reason.as_deref().unwrap_or_default();
    Some(Entry::new(time(event)?, what, paint, event.note.clone().unwrap_or_default()))
}

fn start(release: &ReleaseRecord) -> Entry {
    let again =
        if release.attempt > 1 { format!(", attempt {}", release.attempt) } else { String::new() };
    let text = format!("revision {} began{again}: {}", release.number, release.images.join(", "));
    Entry::new(release.started_at, "release", Paint::Bold, text)
}

fn ending(release: &ReleaseRecord, at: Timestamp) -> Entry {
    let (outcome, paint) = match release.outcome {
        Some(Outcome::Promoted) => ("is stable", Paint::Good),
        Some(Outcome::Aborted) => ("was rolled back", Paint::Bad),
        Some(Outcome::Superseded) => ("was superseded", Paint::Plain),
        None => ("ended", Paint::Plain),
    };
    let took = span(at.as_second() - release.started_at.as_second());
    let text = format!(
        "revision {} {outcome} after {took}, by {}: {}",
        release.number,
        state::by(&release.by),
        release.reason
    );
    Entry::new(at, "release", paint, text)
}

/// What a run measured and how it judged.
fn run(run: &AnalysisRun) -> Vec<Entry> {
    let Some(status) = &run.status else { return Vec::new() };
    let name = run.name_any();
    let mut entries: Vec<Entry> =
        status.metric_results.iter().flat_map(|metric| measurements(&name, metric)).collect();
    let ended = status.completed_at.filter(|_| status.phase != Verdict::Running);
    if let Some(at) = ended {
        let mut text = format!("AnalysisRun {name}: {}", status.phase);
        if !status.message.is_empty() {
            text = format!("{text}: {}", status.message);
        }
        entries.push(Entry::new(at, "verdict", style::verdict(status.phase), text));
    }
    entries
}

fn measurements(run: &str, metric: &MetricResult) -> Vec<Entry> {
    let mut entries = Vec::new();
    for one in &metric.measurements {
        // One that goes on has nothing to tell yet.
        let Some(at) = one.finished_at else { continue };
        let value = if one.value.is_empty() { "no value" } else { one.value.as_str() };
        let trial = if metric.dry_run { ", dry run" } else { "" };
        let mut text = format!("{value}: {} (AnalysisRun {run}{trial})", one.phase);
        if !one.message.is_empty() {
            text = format!("{text}: {}", one.message);
        }
        let what = format!("metric {}", metric.name);
        entries.push(Entry::new(at, &what, style::verdict(one.phase), text));
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::fixtures::{paused, under};

    #[test]
    fn the_log_is_in_order_and_tells_nothing_twice() {
        let strategy = serde_json::to_value(&paused().spec.strategy).unwrap();
        let change = json!({"history": [{
            "revision": "7f9c", "number": 3, "images": ["shop/checkout:v3"], "attempt": 1,
            "startedAt": "2026-11-21T02:54:00Z",
        }, {
            "revision": "5d4c", "number": 2, "images": ["shop/checkout:v2"], "attempt": 2,
            "startedAt": "2026-11-20T02:00:00Z", "endedAt": "2026-11-20T02:31:00Z",
            "outcome": "Promoted", "by": "ann", "reason": "promote --full",
        }]});
        let rollout = under(&strategy, &paused(), &change);
        let run: AnalysisRun = serde_json::from_value(json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "checkout-7f9c-1"}, "spec": {"metrics": []},
            "status": {"phase": "Failed", "message": "errors failed", "completedAt": "2026-11-21T02:57:01Z",
                "metricResults": [{"name": "errors", "phase": "Failed", "measurements": [
                    {"phase": "Failed", "value": "0.07", "finishedAt": "2026-11-21T02:57:00Z", "message": "0.07 is above 0.01"}]}]},
        }))
        .unwrap();
        let event: Event = serde_json::from_value(json!({
            "metadata": {"name": "e"}, "reason": "ReleaseStarted", "type": "Normal",
            "eventTime": "2026-11-21T02:54:00.500000Z", "note": "revision 3 begins",
        }))
        .unwrap();
        let lines: Vec<String> = entries(&rollout, &[run], &[event])
            .iter()
            .map(|entry| {
                format!("{} {}: {}", entry.at.strftime("%d %H:%M:%S"), entry.what, entry.text)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "20 02:00:00 release: revision 2 began, attempt 2: shop/checkout:v2",
                "20 02:31:00 release: revision 2 is stable after 31m, by ann: promote --full",
                "21 02:54:00 ReleaseStarted: revision 3 begins",
                "21 02:55:00 step: step 2/4 (pause until promoted) began",
                "21 02:57:00 metric errors: 0.07: Failed (AnalysisRun checkout-7f9c-1): 0.07 is above 0.01",
                "21 02:57:01 verdict: AnalysisRun checkout-7f9c-1: Failed: errors failed",
            ]
        );
    }
}

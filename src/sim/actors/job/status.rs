//! A Job's status: how many of its pods are where, and how it ends.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::object::{self, Condition};
use crate::sim::api::{Key, store::second};

/// Pods by where they are. Those that ended are in the status before; pods are counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Neither ended nor being deleted.
    pub active: i64,
    /// Of these, ready.
    pub ready: i64,
    /// Being deleted, and not ended.
    pub terminating: i64,
    /// Succeeded.
    pub succeeded: i64,
    /// Failed.
    pub failed: i64,
}

impl Counts {
    /// What is in the status, and which pods are there now.
    pub fn of(job: &Value, pods: &[(Key, Arc<Value>)]) -> Self {
        let past = |field: &str| job["status"][field].as_i64().unwrap_or(0);
        let mut counts =
            Self { succeeded: past("succeeded"), failed: past("failed"), ..Self::default() };
        for (_, pod) in pods.iter().filter(|(_, pod)| !object::has_ended(pod)) {
            if object::is_deleting(pod) {
                counts.terminating += 1;
            } else {
                counts.active += 1;
                counts.ready += i64::from(object::ready_since(pod).is_some());
            }
        }
        counts
    }

    /// The active pods are deleted: they fail, unless the Job is only suspended.
    pub fn stop(&mut self, suspended: bool, pods: &[(Key, Arc<Value>)]) {
        let placed = |pod: &Value| !object::text(pod, "/spec/nodeName").is_empty();
        let active = pods.iter().filter(|(_, pod)| object::is_active(pod));
        self.terminating += active.filter(|(_, pod)| placed(pod)).map(|_| 1).sum::<i64>();
        if !suspended {
            self.failed += self.active;
        }
        self.active = 0;
        self.ready = 0;
    }
}

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Enough pods succeeded.
    Complete,
    /// More pods failed than may.
    BackoffLimit,
    /// It took too long.
    Deadline,
}

impl End {
    /// Whether it failed.
    pub fn is_failure(self) -> bool {
        self != Self::Complete
    }

    /// The condition that announces the end, and the one that states it.
    fn conditions(self) -> (&'static str, &'static str) {
        if self.is_failure() {
            ("FailureTarget", "Failed")
        } else {
            ("SuccessCriteriaMet", "Complete")
        }
    }

    fn reason(self) -> (&'static str, &'static str) {
        match self {
            Self::Complete => ("CompletionsReached", "Reached expected number of succeeded pods"),
            Self::BackoffLimit => {
                ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
            }
            Self::Deadline => ("DeadlineExceeded", "Job was active longer than specified deadline"),
        }
    }
}

/// When the Job finished, if it did.
pub fn finished_at(job: &Value) -> Option<Timestamp> {
    let mut ends = ["Complete", "Failed"].into_iter();
    let end = ends.find(|kind| object::is_true(job, kind))?;
    let at = object::time(&object::condition(job, end)?["lastTransitionTime"]);
    Some(at.unwrap_or_default())
}

/// The status with its start, which suspending takes back.
pub fn started(job: &Value, suspended: bool, now: Timestamp) -> Value {
    let mut status = object::status(job);
    let was_suspended = object::is_true(job, "Suspended");
    if suspended {
        status.as_object_mut().map(|fields| fields.remove("startTime"));
        let message = "Job suspended";
        let condition =
            Condition { kind: "Suspended", holds: true, reason: "JobSuspended", message };
        object::set_condition(&mut status, &condition, now);
    } else if was_suspended {
        let message = "Job resumed";
        let condition =
            Condition { kind: "Suspended", holds: false, reason: "JobResumed", message };
        object::set_condition(&mut status, &condition, now);
    }
    if !suspended && status["startTime"].is_null() {
        status["startTime"] = json!(second(now));
    }
    status
}

/// When the Job must have ended.
pub fn deadline(job: &Value, status: &Value) -> Option<Timestamp> {
    let seconds = job["spec"]["activeDeadlineSeconds"].as_i64()?;
    Some(object::after(object::time(&status["startTime"])?, seconds))
}

/// How many pods are to be active.
pub fn wanted(job: &Value, counts: &Counts) -> i64 {
    let spec = &job["spec"];
    let parallelism = spec["parallelism"].as_i64().unwrap_or(1);
    match completions(spec) {
        Some(completions) => parallelism.min(completions - counts.succeeded).max(0),
        // A work queue: the first success ends it, and no pod is started after.
        None if counts.succeeded > 0 => counts.active.min(parallelism),
        None => parallelism,
    }
}

/// Absent with an absent parallelism it is 1, else any one success is enough.
fn completions(spec: &Value) -> Option<i64> {
    let both_absent = spec["completions"].is_null() && spec["parallelism"].is_null();
    spec["completions"].as_i64().or_else(|| both_absent.then_some(1))
}

/// How the Job ends, if it does now.
pub fn end(
    job: &Value,
    status: &Value,
    counts: &Counts,
    pods: &[(Key, Arc<Value>)],
    now: Timestamp,
) -> Option<End> {
    if let Some(target) = object::condition(job, "FailureTarget") {
        let deadline = target["reason"] == End::Deadline.reason().0;
        return Some(if deadline { End::Deadline } else { End::BackoffLimit });
    }
    if object::is_true(job, "SuccessCriteriaMet") {
        return Some(End::Complete);
    }
    let limit = job["spec"]["backoffLimit"].as_i64().unwrap_or(6);
    if counts.failed > limit || restarts_exceed(job, pods, limit) {
        return Some(End::BackoffLimit);
    }
    if deadline(job, status).is_some_and(|deadline| deadline <= now) {
        return Some(End::Deadline);
    }
    let complete = match completions(&job["spec"]) {
        Some(completions) => counts.succeeded >= completions,
        None => counts.succeeded > 0,
    };
    (complete && counts.active == 0).then_some(End::Complete)
}

/// With `OnFailure` the restarts of running pods count as failures.
fn restarts_exceed(job: &Value, pods: &[(Key, Arc<Value>)], limit: i64) -> bool {
    if job["spec"]["template"]["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let alive = pods.iter().filter(|(_, pod)| !object::has_ended(pod));
    let containers = alive
        .flat_map(|(_, pod)| pod["status"]["containerStatuses"].as_array().into_iter().flatten());
    let restarts: i64 = containers.filter_map(|each| each["restartCount"].as_i64()).sum();
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}

/// Puts counts and end into the status. The end itself is stated once no pod terminates any more.
pub fn write(status: &mut Value, counts: &Counts, end: Option<End>, now: Timestamp) {
    object::set_counts(
        status,
        &[("active", counts.active), ("succeeded", counts.succeeded), ("failed", counts.failed)],
    );
    status["ready"] = json!(counts.ready);
    status["terminating"] = json!(counts.terminating);
    status["uncountedTerminatedPods"] = json!({});
    let Some(end) = end else { return };
    let (announced, stated) = end.conditions();
    let (reason, message) = end.reason();
    let mut set = |kind| {
        object::set_condition(status, &Condition { kind, holds: true, reason, message }, now);
    };
    set(announced);
    if counts.terminating > 0 {
        return;
    }
    set(stated);
    if !end.is_failure() {
        status["completionTime"] = json!(second(now));
    }
}

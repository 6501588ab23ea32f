//! The Job controller: pods until enough of them succeeded or too many failed.
//!
//! As in Kubernetes each pod carries a finalizer until the Job has counted it, so that none is lost.
//! Counting and freeing happen in one step here, and `uncountedTerminatedPods` stays empty. Not
//! here: indexed completion, `podFailurePolicy`, `successPolicy`, `backoffLimitPerIndex`.

mod status;

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::status::{Counts, End};
use super::{
    cluster::Cluster,
    index::Index,
    object::{self, earlier},
};
use crate::sim::api::{
    Key,
    resource::{JOB, POD},
};

/// What a Job's pods carry until they are counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Seconds until a failed pod is replaced: the first, and the most.
const BACK_OFF_SECONDS: (i64, i64) = (10, 600);

/// Seconds until a refused pod is tried again.
const RETRY_SECONDS: i64 = 5;

/// The Jobs that had failures since their last success: how many, and when the last was.
#[derive(Debug, Default)]
pub struct Jobs {
    failures: BTreeMap<String, (u32, Timestamp)>,
}

type Pods = Vec<(Key, Arc<Value>)>;

impl Jobs {
    /// Looks at a Job. Returns when it is to be looked at again.
    pub fn sync(&mut self, cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
        let job = cluster.get(&JOB, key)?;
        let pods = cluster.controlled(&POD, object::uid(&job));
        if object::is_deleting(&job) {
            self.failures.remove(object::uid(&job));
            release(cluster, &pods);
            return None;
        }
        if let Some(finished) = status::finished_at(&job) {
            self.failures.remove(object::uid(&job));
            release(cluster, &pods);
            return expire(cluster, key, &job, finished);
        }
        self.carry_on(cluster, key, &job, &pods)
    }

    fn carry_on(
        &mut self,
        cluster: &mut Cluster,
        key: &Key,
        job: &Value,
        pods: &Pods,
    ) -> Option<Timestamp> {
        let now = cluster.now;
        let suspended = job["spec"]["suspend"] == true;
        let mut status = status::started(job, suspended, now);
        let mut counts = Counts::of(job, pods);
        let counted = self.count(job, pods, suspended, &mut counts, now);
        let mut due = None;
        let mut end = status::end(job, &status, &counts, pods, now);
        if end.is_none() && !suspended {
            let created;
            (created, due) = self.scale(cluster, key, job, pods, &counts);
            counts.active += created;
            let deadline = status::deadline(job, &status);
            due = earlier(due, deadline);
        }
        if end.is_some_and(End::is_failure) || suspended {
            for (key, _) in pods.iter().filter(|(_, pod)| object::is_active(pod)) {
                cluster.delete(&POD, key);
            }
            counts.stop(suspended, pods);
        }
        status::write(&mut status, &counts, end.take(), now);
        cluster.set_status(&JOB, key, status);
        release(cluster, &counted);
        if suspended || end_is_near(cluster, key) {
            // Those that were just deleted are counted.
            release(cluster, pods);
        }
        due
    }

    /// Counts pods that ended and were not counted yet; returns those.
    fn count(
        &mut self,
        job: &Value,
        pods: &Pods,
        suspended: bool,
        counts: &mut Counts,
        now: Timestamp,
    ) -> Pods {
        let mut counted = Vec::new();
        for (key, pod) in pods {
            if !object::has_finalizer(pod, TRACKING) {
                continue;
            }
            let uid = object::uid(job).to_owned();
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => {
                    counts.succeeded += 1;
                    self.failures.remove(&uid);
                }
                // A pod that is being deleted is replaced at once, and counts as failed.
                Some("Failed") => {
                    counts.failed += 1;
                    self.note_failure(uid, finished(pod).unwrap_or(now));
                }
                _ if object::is_deleting(pod) && !suspended => {
                    counts.failed += 1;
                    self.note_failure(uid, now);
                }
                _ => continue,
            }
            counted.push((key.clone(), pod.clone()));
        }
        counted
    }

    fn note_failure(&mut self, job: String, at: Timestamp) {
        let (count, last) = self.failures.entry(job).or_insert((0, at));
        *count += 1;
        *last = (*last).max(at);
    }

    /// Creates and deletes pods. Returns by how many there are more, and when there is more to do.
    fn scale(
        &self,
        cluster: &mut Cluster,
        key: &Key,
        job: &Value,
        pods: &Pods,
        counts: &Counts,
    ) -> (i64, Option<Timestamp>) {
        let wanted = status::wanted(job, counts);
        if counts.active > wanted {
            let surplus = usize::try_from(counts.active - wanted).unwrap_or(0);
            let mut active: Vec<_> =
                pods.iter().filter(|(_, pod)| object::is_active(pod)).collect();
            active.sort_by_key(|(_, pod)| object::ready_since(pod).is_some());
            for (key, _) in active.into_iter().take(surplus) {
                // Freed first, it does not count as failed.
                cluster.edit(&POD, key, |pod| object::remove_finalizer(pod, TRACKING));
                cluster.delete(&POD, key);
            }
            return (wanted - counts.active, None);
        }
        if counts.active < wanted
            && let Some((failures, last)) = self.failures.get(object::uid(job))
        {
            let (first, most) = BACK_OFF_SECONDS;
            let wait = (first << failures.saturating_sub(1).min(16)).min(most);
            let due = object::after(*last, wait);
            if due > cluster.now {
                return (0, Some(due));
            }
        }
        for created in 0..wanted - counts.active {
            if cluster.create(&POD, &key.0, pod_of(job)).is_err() {
                return (created, Some(object::after(cluster.now, RETRY_SECONDS)));
            }
        }
        ((wanted - counts.active).max(0), None)
    }
}

/// Whether the Job has a condition that tells how it will end, or how it ended.
fn end_is_near(cluster: &Cluster, key: &Key) -> bool {
    let job = cluster.get(&JOB, key);
    job.is_some_and(|job| {
        object::is_true(&job, "FailureTarget") || object::is_true(&job, "SuccessCriteriaMet")
    })
}

fn pod_of(job: &Value) -> Value {
    let mut pod = object::pod_of(&job["spec"]["template"], &JOB, job);
    for prefix in ["", "batch.kubernetes.io/"] {
        pod["metadata"]["labels"][format!("{prefix}controller-uid")] = json!(object::uid(job));
        pod["metadata"]["labels"][format!("{prefix}job-name")] = json!(object::name(job));
    }
    let mut finalizers = pod["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.push(json!(TRACKING));
    pod["metadata"]["finalizers"] = Value::Array(finalizers);
    pod
}

/// Lets pods go that are counted.
fn release(cluster: &mut Cluster, pods: &Pods) {
    for (key, _) in pods {
        cluster.edit(&POD, key, |pod| object::remove_finalizer(pod, TRACKING));
    }
}

/// When the last container of a pod ended.
fn finished(pod: &Value) -> Option<Timestamp> {
    let containers = pod["status"]["containerStatuses"].as_array()?.iter();
    containers.filter_map(|each| object::time(&each["state"]["terminated"]["finishedAt"])).max()
}

/// Deletes a finished Job when its time is over.
fn expire(cluster: &mut Cluster, key: &Key, job: &Value, finished: Timestamp) -> Option<Timestamp> {
    let ttl = job["spec"]["ttlSecondsAfterFinished"].as_i64()?;
    let due = object::later(finished, SignedDuration::from_secs(ttl));
    if due > cluster.now {
        return Some(due);
    }
    cluster.delete_as(&JOB, key, "Foreground");
    None
}

/// Whether a pod waits for a Job that is gone, or that it no longer belongs to.
pub fn is_orphan(index: &Index, pod: &Value) -> bool {
    let owner = object::controller(pod);
    let alive = owner.is_some_and(|owner| index.object(object::text(owner, "/uid")).is_some());
    object::has_finalizer(pod, TRACKING) && !alive
}

/// Lets a pod go whose Job is gone.
pub fn free(cluster: &mut Cluster, key: &Key) {
    let Some(pod) = cluster.get(&POD, key) else { return };
    if is_orphan(cluster.index, &pod) {
        cluster.edit(&POD, key, |pod| object::remove_finalizer(pod, TRACKING));
    }
}

#[cfg(test)]
mod tests;

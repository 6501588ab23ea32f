//! The ReplicaSet controller: as many pods as asked for, and a status that counts them.
//!
//! It adopts no pods. Pods that ended are left to lie and replaced.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    object::{self, Condition},
};
use crate::sim::api::{
    Key, Refusal,
    resource::{POD, REPLICA_SET},
};

/// Until a refused pod is tried again, unless something changes before: at first, and at most. It
/// doubles with each refusal.
const RETRY: (SignedDuration, SignedDuration) =
    (SignedDuration::from_millis(5), SignedDuration::from_secs(1000));

type Pods = Vec<(Key, Arc<Value>)>;

/// The ReplicaSet controller's memory.
#[derive(Debug, Default)]
pub struct ReplicaSets {
    /// How often in a row pods of a ReplicaSet were refused.
    refusals: BTreeMap<Key, u32>,
}

impl ReplicaSets {
    /// Scales a ReplicaSet and writes its status. Returns when it is to be looked at again.
    pub fn sync(&mut self, cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
        let Some(set) = cluster.get(&REPLICA_SET, key) else {
            self.refusals.remove(key);
            return None;
        };
        let mut pods = cluster.controlled(&POD, object::uid(&set));
        pods.retain(|(_, pod)| object::is_active(pod));
        let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
        let mut failure = None;
        if !object::is_deleting(&set) && pods.len() != wanted {
            failure = scale(cluster, key, &set, &pods, wanted).err();
            // Without a failure the changes of the pods bring it back at this instant.
            failure.as_ref()?;
        }
        let retry = self.retry(key, failure.is_some()).map(|wait| object::later(cluster.now, wait));
        let (status, due) = status(cluster, &set, &pods, failure);
        cluster.set_status(&REPLICA_SET, key, status);
        object::earlier(retry, due)
    }

    fn retry(&mut self, key: &Key, refused: bool) -> Option<SignedDuration> {
        if !refused {
            self.refusals.remove(key);
            return None;
        }
        let before = self.refusals.entry(key.clone()).or_default();
        let factor = 1_i32 << (*before).min(30);
        *before += 1;
        Some(RETRY.0.checked_mul(factor).unwrap_or(RETRY.1).min(RETRY.1))
    }
}

fn scale(
    cluster: &mut Cluster,
    key: &Key,
    set: &Value,
    pods: &Pods,
    wanted: usize,
) -> Result<(), Refusal> {
    for _ in pods.len()..wanted {
        let pod = object::pod_of(&set["spec"]["template"], &REPLICA_SET, set);
        cluster.create(&POD, &key.0, pod)?;
    }
    if pods.len() > wanted {
        let on_node = related_by_node(cluster, set);
        let now = cluster.now;
        let mut order: Vec<_> =
            pods.iter().map(|(key, pod)| (preference(pod, &on_node, now), key)).collect();
        order.sort();
        for (_, key) in order.iter().take(pods.len() - wanted) {
            cluster.delete(&POD, key);
        }
    }
    Ok(())
}

/// How many active pods each node has, of this ReplicaSet and of all others of its controller.
fn related_by_node(cluster: &Cluster, set: &Value) -> BTreeMap<String, usize> {
    let mut sets = vec![object::uid(set).to_owned()];
    if let Some(owner) = object::controller(set) {
        let all = cluster.controlled(&REPLICA_SET, object::text(owner, "/uid"));
        sets = all.iter().map(|(_, set)| object::uid(set).to_owned()).collect();
    }
    let mut counts = BTreeMap::new();
    for (_, pod) in sets.iter().flat_map(|uid| cluster.controlled(&POD, uid)) {
        if object::is_active(&pod) {
            *counts.entry(object::text(&pod, "/spec/nodeName").to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

/// Pods that are to go first come first, as `ActivePodsWithRanks` orders them: those on no node,
/// pending, not ready, cheap to delete, on a full node, ready for less time, restarted more often,
/// younger. Ages are compared by their order of magnitude; then the uid decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i64,
    on_node: Reverse<usize>,
    ready_for: u32,
    restarts: Reverse<u64>,
    age: u32,
    uid: String,
}

fn preference(pod: &Value, on_node: &BTreeMap<String, usize>, now: Timestamp) -> Preference {
    let node = object::text(pod, "/spec/nodeName");
    let cost =
        object::text(pod, "/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost");
    let ready_since = object::ready_since(pod);
    let created = object::time(&pod["metadata"]["creationTimestamp"]).unwrap_or(now);
    let restarts = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let restarts = restarts.filter_map(|container| container["restartCount"].as_u64()).max();
    Preference {
        assigned: !node.is_empty(),
        phase: match pod["status"]["phase"].as_str() {
            Some("Running") => 2,
            Some("Unknown") => 1,
            _ => 0,
        },
        ready: ready_since.is_some(),
        cost: cost.parse().unwrap_or(0),
        on_node: Reverse(on_node.get(node).copied().unwrap_or(0)),
        ready_for: magnitude(ready_since.unwrap_or(now), now),
        restarts: Reverse(restarts.unwrap_or(0)),
        age: magnitude(created, now),
        uid: object::uid(pod).to_owned(),
    }
}

fn magnitude(since: Timestamp, now: Timestamp) -> u32 {
    let seconds = u64::try_from(now.as_second() - since.as_second()).unwrap_or(0);
    seconds.checked_ilog2().map_or(0, |log| log + 1)
}

/// The status, and when a pod becomes available next.
fn status(
    cluster: &Cluster,
    set: &Value,
    pods: &Pods,
    failure: Option<Refusal>,
) -> (Value, Option<Timestamp>) {
    let now = cluster.now;
    let least = set["spec"]["minReadySeconds"].as_i64().unwrap_or(0);
    let wanted_labels = set["spec"]["template"]["metadata"]["labels"].as_object();
    let labeled = |pod: &Value| {
        let mut wanted = wanted_labels.into_iter().flatten();
        wanted.all(|(label, value)| object::labels(pod)[label] == *value)
    };
    let (mut full, mut ready, mut available, mut due) = (0, 0, 0, None);
    for (_, pod) in pods {
        full += i64::from(labeled(pod));
        let Some(since) = object::ready_since(pod) else { continue };
        ready += 1;
        let from = object::after(since, least);
        if least == 0 || from <= now {
            available += 1;
        } else {
            due = object::earlier(due, Some(from));
        }
    }
    let mut status = object::status(set);
    let total = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    object::set_counts(
        &mut status,
        &[
            ("fullyLabeledReplicas", full),
            ("readyReplicas", ready),
            ("availableReplicas", available),
        ],
    );
    status["replicas"] = json!(total);
    status["observedGeneration"] = set["metadata"]["generation"].clone();
    let failed = object::condition(set, "ReplicaFailure").is_some();
    match failure {
        // The first message stays, as in Kubernetes: the next would only name another pod.
        Some(_) if failed => {}
        Some(refusal) => {
            let message = &refusal.message;
            let condition =
                Condition { kind: "ReplicaFailure", holds: true, reason: "FailedCreate", message };
            object::set_condition(&mut status, &condition, now);
        }
        None => object::remove_condition(&mut status, "ReplicaFailure"),
    }
    (status, due)
}

#[cfg(test)]
mod tests;

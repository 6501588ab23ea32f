//! A Deployment's status.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    super::{
        cluster::Cluster,
        object::{self, Condition, set_condition},
    },
    margins, replicas, split,
};
use crate::sim::api::{
    Key, eviction,
    resource::{DEPLOYMENT, REPLICA_SET},
    store::second,
};

/// Writes the status. Returns when the deadline for progress is over, if it runs.
pub fn write(cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
    let deployment = cluster.get(&DEPLOYMENT, key)?;
    let sets = cluster.controlled(&REPLICA_SET, object::uid(&deployment));
    let count = |set: &Value, field: &str| set["status"][field].as_i64().unwrap_or(0);
    let sum = |field: &str| sets.iter().map(|(_, set)| count(set, field)).sum::<i64>();
    let (total, ready, available) =
        (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let asked: i64 = sets.iter().map(|(_, set)| replicas(set)).sum();
    let (new, old) = split(&deployment, sets);
    let failure = new.iter().chain(&old).find_map(|(_, set)| failure_of(set));
    let name = new.as_ref().map(|(key, _)| key.1.clone()).unwrap_or_default();
    let updated = new.map_or(0, |(_, set)| count(&set, "replicas"));
    let mut status = object::status(&deployment);
    object::set_counts(
        &mut status,
        &[
            ("replicas", total),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", available),
            ("unavailableReplicas", (asked - available).max(0)),
        ],
    );
    status["observedGeneration"] = deployment["metadata"]["generation"].clone();
    let size = replicas(&deployment);
    let complete = updated == size && total == size && available == size;
    let now = cluster.now;
    set_condition(&mut status, &availability(available >= size - margins(&deployment).1), now);
    match failure {
        Some(failure) if same_failure(&deployment, &failure) => {}
        Some(failure) => eviction::set_condition(&mut status, failure),
        None => object::remove_condition(&mut status, FAILURE),
    }
    let due = progress(&deployment, &mut status, &name, complete, now);
    cluster.set_status(&DEPLOYMENT, key, status);
    due
}

const FAILURE: &str = "ReplicaFailure";

/// That a ReplicaSet gets no pods, as the Deployment says it.
fn failure_of(set: &Value) -> Option<Value> {
    let mut failure = object::condition(set, FAILURE)?.clone();
    failure["lastUpdateTime"] = failure["lastTransitionTime"].clone();
    Some(failure)
}

fn same_failure(deployment: &Value, failure: &Value) -> bool {
    let present = object::condition(deployment, FAILURE);
    present.is_some_and(|present| {
        present["status"] == failure["status"] && present["reason"] == failure["reason"]
    })
}

fn availability(holds: bool) -> Condition<'static> {
    let (reason, message) = if holds {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    Condition { kind: "Available", holds, reason, message }
}

fn progress(
    deployment: &Value,
    status: &mut Value,
    set: &str,
    complete: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    const COUNTS: [&str; 4] = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    if set.is_empty() || deployment["spec"]["paused"] == true {
        return None;
    }
    let before = object::condition(deployment, "Progressing");
    let moved = COUNTS.iter().any(|field| deployment["status"][*field] != status[*field]);
    let reason = before.map(|before| object::text(before, "/reason")).unwrap_or_default();
    let since = before.and_then(|before| object::time(&before["lastUpdateTime"])).unwrap_or(now);
    let seconds = deployment["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
    let deadline = object::later(since, SignedDuration::from_secs(seconds));
    let mut set_to = |holds, reason, message: String| {
        let condition = Condition { kind: "Progressing", holds, reason, message: &message };
        set_condition(status, &condition, now);
    };
    if complete {
        let message = format!("ReplicaSet \"{set}\" has successfully progressed.");
        set_to(true, "NewReplicaSetAvailable", message);
    } else if moved || before.is_none() || reason == "NewReplicaSetAvailable" {
        set_to(true, "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."));
    } else if deadline <= now || reason == "ProgressDeadlineExceeded" {
        let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
        set_to(false, "ProgressDeadlineExceeded", message);
        return None;
    } else {
        return Some(deadline);
    }
    let conditions = status["conditions"].as_array_mut().into_iter().flatten();
    for condition in conditions.filter(|condition| condition["type"] == "Progressing") {
        if moved || condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = json!(second(now));
        }
    }
    (!complete).then(|| object::later(now, SignedDuration::from_secs(seconds)))
}

//! The disruption controller: how many pods of a `PodDisruptionBudget` may be disrupted. Only its
//! status; the API server reads it at evictions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{cluster::Cluster, object, selector::Selector};
use crate::sim::api::{
    Key, eviction,
    resource::{self, DEPLOYMENT, DISRUPTION_BUDGET, POD, REPLICA_SET},
    store::second,
};

/// How long an eviction may take to become the pod's deletion.
const DELETION_SECONDS: i64 = 2 * 60;

/// Counts a budget's pods. Returns when an eviction that led to nothing is forgotten.
pub fn sync(cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
    let budget = cluster.get(&DISRUPTION_BUDGET, key)?;
    let mut status = object::status(&budget);
    let now = second(cluster.now);
    let due = match count(cluster, &budget, &mut status) {
        Ok(due) => {
            eviction::tell_allowed(&mut status, &now);
            due
        }
        Err(why) => {
            status["disruptionsAllowed"] = json!(0);
            let mut failed = json!({
                "type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed",
                "message": why, "lastTransitionTime": now,
            });
            if let Some(seen) = status.get("observedGeneration") {
                failed["observedGeneration"] = seen.clone();
            }
            eviction::set_condition(&mut status, failed);
            None
        }
    };
    cluster.set_status(&DISRUPTION_BUDGET, key, status);
    due
}

fn count(
    cluster: &Cluster,
    budget: &Value,
    status: &mut Value,
) -> Result<Option<Timestamp>, String> {
    let namespace = object::text(budget, "/metadata/namespace");
    let selector = Selector::of(&budget["spec"]["selector"]);
    let names = selector.iter().flat_map(|selector| cluster.index.pods(namespace, selector));
    let pods = names.filter_map(|name| cluster.store.get(&POD, namespace, name));
    let pods: Vec<&Value> = pods
        .map(|pod| &**pod)
        .filter(|pod| selector.as_ref().is_some_and(|s| s.matches(object::labels(pod))))
        .collect();
    let (expected, desired) = wanted(cluster, budget, &pods)?;
    let (going, due) = evicted(&pods, status, cluster.now);
    let healthy = |pod: &&&Value| {
        let leaves = object::is_deleting(pod) || going.contains_key(object::name(pod));
        !leaves && object::ready_since(pod).is_some()
    };
    let current = i64::try_from(pods.iter().filter(healthy).count()).unwrap_or(i64::MAX);
    let allowed = if expected > 0 { (current - desired).max(0) } else { 0 };
    status["currentHealthy"] = json!(current);
    status["desiredHealthy"] = json!(desired);
    status["expectedPods"] = json!(expected);
    status["disruptionsAllowed"] = json!(allowed);
    status["observedGeneration"] = budget["metadata"]["generation"].clone();
    if going.is_empty() {
        status.as_object_mut().map(|fields| fields.remove("disruptedPods"));
    } else {
        status["disruptedPods"] = Value::Object(going);
    }
    Ok(due)
}

/// The pods whose eviction was allowed and who are not yet being deleted, and when the first of them
/// is no longer believed to go.
fn evicted(
    pods: &[&Value],
    status: &Value,
    now: Timestamp,
) -> (Map<String, Value>, Option<Timestamp>) {
    let (mut going, mut due) = (Map::new(), None);
    for pod in pods.iter().filter(|pod| !object::is_deleting(pod)) {
        let name = object::name(pod);
        let Some(since) = object::time(&status["disruptedPods"][name]) else { continue };
        let end = object::after(since, DELETION_SECONDS);
        if end > now {
            going.insert(name.to_owned(), status["disruptedPods"][name].clone());
            due = object::earlier(due, Some(end));
        }
    }
    (going, due)
}

/// How many pods there should be, and how many of them healthy.
fn wanted(cluster: &Cluster, budget: &Value, pods: &[&Value]) -> Result<(i64, i64), String> {
    let (least, most) = (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]);
    if !most.is_null() {
        let expected = scale_of(cluster, pods)?;
        let most = object::share(most, expected, true).unwrap_or(0);
        return Ok((expected, (expected - most).max(0)));
    }
    if least.is_string() {
        let expected = scale_of(cluster, pods)?;
        return Ok((expected, object::share(least, expected, true).unwrap_or(0)));
    }
    let counted = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    Ok(least.as_i64().map_or((0, 0), |least| (counted, least)))
}

/// The sum of the sizes of all that controls these pods; pods without a controller count for none.
fn scale_of(cluster: &Cluster, pods: &[&Value]) -> Result<i64, String> {
    let mut sizes = BTreeMap::new();
    for pod in pods {
        let Some(owner) = object::controller(pod) else { continue };
        let (uid, size) = scale(cluster, owner)?
            .ok_or_else(|| format!("found no controllers for pod {:?}", object::name(pod)))?;
        sizes.insert(uid, size);
    }
    Ok(sizes.values().sum())
}

/// The uid and the size of what controls a pod: of a ReplicaSet, that of its Deployment. A ReplicaSet
/// of any other controller counts by itself, as the disruption controller looks no further up.
fn scale(cluster: &Cluster, owner: &Value) -> Result<Option<(String, i64)>, String> {
    let (version, kind) = (object::text(owner, "/apiVersion"), object::text(owner, "/kind"));
    let resource = resource::of_kind(version, kind)
        .ok_or_else(|| format!("no matches for kind {kind:?} in version {version:?}"))?;
    if !resource.scale {
        return Err(format!("{} does not implement the scale subresource", resource.qualified()));
    }
    let size = |object: &Value| {
        let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
        (object::uid(object).to_owned(), replicas)
    };
    let Some(object) = cluster.owner(owner) else { return Ok(None) };
    let above = object::controller(&object).filter(|above| above["kind"] == DEPLOYMENT.kind);
    let deployment = above.filter(|_| resource == &REPLICA_SET).and_then(|a| cluster.owner(a));
    Ok(Some(size(&deployment.unwrap_or(object))))
}

#[cfg(test)]
mod tests;

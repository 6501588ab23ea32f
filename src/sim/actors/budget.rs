//! The disruption controller: how many pods of a `PodDisruptionBudget` may be disrupted. Only its
//! status; the API server reads it at evictions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    object::{self, Condition},
    selector::Selector,
};
use crate::sim::api::{
    Key,
    resource::{DEPLOYMENT, DISRUPTION_BUDGET, POD, REPLICA_SET},
};

/// Counts a budget's pods.
pub fn sync(cluster: &mut Cluster, key: &Key) {
    let Some(budget) = cluster.get(&DISRUPTION_BUDGET, key) else { return };
    let selector = Selector::of(&budget["spec"]["selector"]);
    let names = selector.iter().flat_map(|selector| cluster.index.pods(&key.0, selector));
    let pods = names.filter_map(|name| cluster.store.get(&POD, &key.0, name));
    let pods: Vec<&Value> = pods
        .map(|pod| &**pod)
        .filter(|pod| selector.as_ref().is_some_and(|s| s.matches(object::labels(pod))))
        .filter(|pod| !object::has_ended(pod))
        .collect();
    let current = pods
        .iter()
        .filter(|pod| !object::is_deleting(pod) && object::ready_since(pod).is_some())
        .count();
    let current = i64::try_from(current).unwrap_or(i64::MAX);
    let counted = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let (expected, desired) = wanted(cluster, &budget, &pods, counted);
    let allowed = if expected > 0 { (current - desired).max(0) } else { 0 };
    let mut status = object::status(&budget);
    status["currentHealthy"] = json!(current);
    status["desiredHealthy"] = json!(desired);
    status["expectedPods"] = json!(expected);
    status["disruptionsAllowed"] = json!(allowed);
    status["observedGeneration"] = budget["metadata"]["generation"].clone();
    let holds = allowed > 0;
    let reason = if holds { "SufficientPods" } else { "InsufficientPods" };
    let condition = Condition { kind: "DisruptionAllowed", holds, reason, message: "" };
    object::set_condition(&mut status, &condition, cluster.now);
    cluster.set_status(&DISRUPTION_BUDGET, key, status);
}

/// How many pods there should be, and how many of them healthy.
fn wanted(cluster: &Cluster, budget: &Value, pods: &[&Value], counted: i64) -> (i64, i64) {
    let spec = &budget["spec"];
    if !spec["maxUnavailable"].is_null() {
        let expected = scale_of(cluster, pods);
        let most = object::share(&spec["maxUnavailable"], expected, true).unwrap_or(0);
        return (expected, (expected - most).max(0));
    }
    if spec["minAvailable"].is_string() {
        let expected = scale_of(cluster, pods);
        return (expected, object::share(&spec["minAvailable"], expected, true).unwrap_or(0));
    }
    (counted, spec["minAvailable"].as_i64().unwrap_or(1))
}

/// The sum of the sizes of all that controls these pods.
fn scale_of(cluster: &Cluster, pods: &[&Value]) -> i64 {
    let mut owners = BTreeSet::new();
    for pod in pods {
        let Some(set) = object::controller(pod) else { continue };
        let found = cluster.index.object(object::text(set, "/uid"));
        let Some((resource, key)) = found.filter(|(kind, _)| *kind == &REPLICA_SET) else {
            continue;
        };
        let above = cluster.get(resource, key).and_then(|set| {
            let owner = object::controller(&set)?.clone();
            cluster.index.object(object::text(&owner, "/uid")).cloned()
        });
        let above = above.filter(|(kind, _)| *kind == &DEPLOYMENT);
        owners.insert(above.unwrap_or_else(|| (*resource, key.clone())));
    }
    let sizes = owners.iter().filter_map(|(resource, key)| cluster.get(resource, key));
    sizes.map(|owner| owner["spec"]["replicas"].as_i64().unwrap_or(1)).sum()
}

#[cfg(test)]
mod tests;

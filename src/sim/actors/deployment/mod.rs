//! The Deployment controller: ReplicaSets by template, rolled over one into the other.
//!
//! Simplified: while several ReplicaSets have pods and the size changes, the newest takes all of the
//! change (the real one spreads it in proportion); a hash that is taken already is not dodged.

mod status;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    cluster::Cluster,
    object::{self, share},
};
use crate::sim::api::{
    Key,
    resource::{DEPLOYMENT, POD, REPLICA_SET},
};

/// The label of ReplicaSets and pods that tells the template.
const HASH: &str = "pod-template-hash";
/// The annotation that numbers the revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Old ReplicaSets that are kept unless the Deployment says otherwise.
const KEPT: i64 = 10;

type Sets = Vec<(Key, Arc<Value>)>;

/// Looks at a Deployment. Returns when it is to be looked at again.
pub fn sync(cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
    let deployment = cluster.get(&DEPLOYMENT, key)?;
    if object::is_deleting(&deployment) {
        return status::write(cluster, key);
    }
    let sets = cluster.controlled(&REPLICA_SET, object::uid(&deployment));
    let (new, old) = split(&deployment, sets);
    let changed = if deployment["spec"]["paused"] == true {
        scale_paused(cluster, &deployment, new.as_ref(), &old)
    } else if deployment["spec"]["strategy"]["type"] == "Recreate" {
        recreate(cluster, key, &deployment, new, &old)
    } else {
        roll(cluster, key, &deployment, new, &old)
    };
    if changed {
        // The changes of the ReplicaSets bring it back at this instant.
        return None;
    }
    tidy(cluster, &deployment, &old);
    status::write(cluster, key)
}

/// The ReplicaSet of the present template, and all others.
fn split(deployment: &Value, sets: Sets) -> (Option<(Key, Arc<Value>)>, Sets) {
    let template = bare(&deployment["spec"]["template"]);
    let (mut new, mut old): (Sets, Sets) =
        sets.into_iter().partition(|(_, set)| bare(&set["spec"]["template"]) == template);
    // Should there be several, the oldest is the one.
    new.sort_by_cached_key(|(key, set)| {
        (object::time(&set["metadata"]["creationTimestamp"]), key.clone())
    });
    let mut new = new.into_iter();
    let first = new.next();
    old.extend(new);
    (first, old)
}

/// A template without the hash that the controller adds, and without what is null.
fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null());
    }
    template
}

/// A hash of a template, in the alphabet of Kubernetes.
fn hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let text = bare(template).to_string();
    let mut rest = text.bytes().fold(14_695_981_039_346_656_037_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
    });
    let base = ALPHABET.len() as u64;
    let mut hash = String::new();
    for _ in 0..10 {
        hash.push(char::from(ALPHABET[usize::try_from(rest % base).unwrap_or(0)]));
        rest /= base;
    }
    hash
}

fn replicas(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn total(sets: &Sets) -> i64 {
    sets.iter().map(|(_, set)| replicas(set)).sum()
}

fn revision(set: &Value) -> i64 {
    set["metadata"]["annotations"][REVISION].as_str().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// By how many pods a rollout may be above and below the size.
fn margins(deployment: &Value) -> (i64, i64) {
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let or_quarter = |value: &Value| if value.is_null() { json!("25%") } else { value.clone() };
    let size = replicas(deployment);
    let surge = share(&or_quarter(&rolling["maxSurge"]), size, true).unwrap_or(0);
    let unavailable = share(&or_quarter(&rolling["maxUnavailable"]), size, false).unwrap_or(0);
    // With neither nothing could ever move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable.min(size)) }
}

/// Sets the size of a ReplicaSet. Returns whether that changed it.
fn resize(cluster: &mut Cluster, key: &Key, size: i64) -> bool {
    let present = cluster.get(&REPLICA_SET, key).map(|set| replicas(&set));
    let differs = present.is_some_and(|present| present != size);
    differs
        && cluster.edit(&REPLICA_SET, key, |set| set["spec"]["replicas"] = json!(size)).is_some()
}

fn scale_paused(
    cluster: &mut Cluster,
    deployment: &Value,
    new: Option<&(Key, Arc<Value>)>,
    old: &Sets,
) -> bool {
    let newest =
        old.iter().filter(|(_, set)| replicas(set) > 0).max_by_key(|(_, set)| revision(set));
    let Some((key, set)) = new.filter(|(_, set)| replicas(set) > 0).or(newest).or(new) else {
        return false;
    };
    let all = total(old) + new.map_or(0, |(_, set)| replicas(set));
    resize(cluster, key, (replicas(deployment) - (all - replicas(set))).max(0))
}

fn recreate(
    cluster: &mut Cluster,
    key: &Key,
    deployment: &Value,
    new: Option<(Key, Arc<Value>)>,
    old: &Sets,
) -> bool {
    let mut changed = false;
    for (key, _) in old {
        changed |= resize(cluster, key, 0);
    }
    let pods_of = |set: &Value| cluster.controlled(&POD, object::uid(set));
    let runs =
        old.iter().flat_map(|(_, set)| pods_of(set)).any(|(_, pod)| !object::has_ended(&pod));
    if changed || runs {
        return changed;
    }
    match new {
        Some((new, set)) => {
            renumber(cluster, key, &new, &set, old) | resize(cluster, &new, replicas(deployment))
        }
        None => create(cluster, key, deployment, old, replicas(deployment)),
    }
}

fn roll(
    cluster: &mut Cluster,
    key: &Key,
    deployment: &Value,
    new: Option<(Key, Arc<Value>)>,
    old: &Sets,
) -> bool {
    let (surge, unavailable) = margins(deployment);
    let size = replicas(deployment);
    let room = (size + surge - total(old)).max(0);
    let Some((new, set)) = new else {
        return create(cluster, key, deployment, old, size.min(room));
    };
    let mut changed = renumber(cluster, key, &new, &set, old);
    let present = replicas(&set);
    let target = if present > size { size } else { present.max(size.min(room)) };
    if resize(cluster, &new, target) {
        return true;
    }
    let status = |set: &Value, field: &str| set["status"][field].as_i64().unwrap_or(0);
    let least = size - unavailable;
    let missing = (present - status(&set, "availableReplicas")).max(0);
    let mut spare = total(old) + present - least - missing;
    // Pods that serve nobody go first, the oldest ReplicaSet before the next.
    let mut sizes: Vec<(Key, i64, i64)> = old
        .iter()
        .map(|(key, set)| (key.clone(), replicas(set), status(set, "availableReplicas")))
        .collect();
    for (_, size, available) in &mut sizes {
        let gone = (*size - *available).clamp(0, spare.max(0));
        *size -= gone;
        spare -= gone;
    }
    let available: i64 = sizes.iter().map(|(_, _, available)| available).sum();
    let mut spare = (available + status(&set, "availableReplicas") - least).min(spare);
    for (_, size, _) in &mut sizes {
        let gone = (*size).clamp(0, spare.max(0));
        *size -= gone;
        spare -= gone;
    }
    for (key, size, _) in sizes {
        changed |= resize(cluster, &key, size);
    }
    changed
}

/// Creates the ReplicaSet of the present template.
fn create(cluster: &mut Cluster, key: &Key, deployment: &Value, old: &Sets, size: i64) -> bool {
    let spec = &deployment["spec"];
    let hash = hash(&spec["template"]);
    let mut template = spec["template"].clone();
    template["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = spec["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let number = old.iter().map(|(_, set)| revision(set)).max().unwrap_or(0) + 1;
    let mut annotations =
        deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.retain(|name, _| !name.starts_with("kubectl.kubernetes.io/"));
    annotations.insert(REVISION.to_owned(), json!(number.to_string()));
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", key.1),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [object::owned_by(&DEPLOYMENT, deployment)],
        },
        "spec": {"replicas": size, "selector": selector, "template": template},
    });
    if let Some(seconds) = spec.get("minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    let created = cluster.create(&REPLICA_SET, &key.0, set).is_ok();
    number_deployment(cluster, key, number);
    created
}

/// Gives the ReplicaSet the highest number: a template that comes back is a new revision.
fn renumber(cluster: &mut Cluster, key: &Key, new: &Key, set: &Value, old: &Sets) -> bool {
    let highest = old.iter().map(|(_, set)| revision(set)).max().unwrap_or(0);
    let mut number = revision(set);
    let changed = number <= highest;
    if changed {
        number = highest + 1;
        cluster.edit(&REPLICA_SET, new, |set| {
            set["metadata"]["annotations"][REVISION] = json!(number.to_string());
        });
    }
    number_deployment(cluster, key, number);
    changed
}

fn number_deployment(cluster: &mut Cluster, key: &Key, number: i64) {
    cluster.edit(&DEPLOYMENT, key, |deployment| {
        deployment["metadata"]["annotations"][REVISION] = json!(number.to_string());
    });
}

/// Deletes old ReplicaSets beyond those that are kept.
fn tidy(cluster: &mut Cluster, deployment: &Value, old: &Sets) {
    let kept = deployment["spec"]["revisionHistoryLimit"].as_i64().unwrap_or(KEPT);
    let idle =
        |set: &Value| replicas(set) == 0 && set["status"]["replicas"].as_i64().unwrap_or(0) == 0;
    let mut idle: Vec<_> =
        old.iter().filter(|(_, set)| idle(set) && !object::is_deleting(set)).collect();
    idle.sort_by_key(|(_, set)| revision(set));
    let surplus = old.len().saturating_sub(usize::try_from(kept).unwrap_or(0));
    for (key, _) in idle.into_iter().take(surplus) {
        cluster.delete(&REPLICA_SET, key);
    }
}

#[cfg(test)]
mod tests;

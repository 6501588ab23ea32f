//! Sizes of revisions: what the controller wants, and what the cluster has.

use serde_json::Value;

use super::Names;
use crate::api::REVISION_LABEL;

fn count(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn pods(count: i64) -> String {
    format!("{count} {}", if count == 1 { "pod" } else { "pods" })
}

/// A ReplicaSet as the controller writes it.
pub(super) fn wanted(before: &Value, after: &Value, names: &Names) -> Vec<String> {
    if after.is_null() {
        return vec!["deleted".to_owned()];
    }
    let (from, to) = (count(before, "/spec/replicas"), count(after, "/spec/replicas"));
    if before.is_null() {
        let revision = names.label(&after["metadata"]["labels"][REVISION_LABEL]);
        return vec![format!("created for {revision} with {}", pods(to))];
    }
    if from != to {
        return vec![format!("scaled {from} -> {}", pods(to))];
    }
    if before["metadata"]["ownerReferences"] != after["metadata"]["ownerReferences"] {
        return vec!["adopted".to_owned()];
    }
    Vec::new()
}

/// A ReplicaSet as the cluster reports it, or as somebody else writes it.
pub(super) fn observed(before: &Value, after: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    match (before.is_null(), after.is_null()) {
        (true, _) => return vec![format!("created with {}", pods(count(after, "/spec/replicas")))],
        (_, true) => return vec!["deleted".to_owned()],
        _ => {}
    }
    let (from, to) = (count(before, "/spec/replicas"), count(after, "/spec/replicas"));
    if from != to {
        texts.push(format!("scaled {from} -> {}", pods(to)));
    }
    let ready = |set: &Value| count(set, "/status/readyReplicas");
    if ready(before) != ready(after) {
        texts.push(format!("ready {} -> {}", ready(before), ready(after)));
    }
    let failure = |set: &Value| {
        let all = set["status"]["conditions"].as_array();
        let failed = all.into_iter().flatten().find(|c| c["type"] == "ReplicaFailure");
        failed.and_then(|condition| condition["message"].as_str()).map(str::to_owned)
    };
    if let Some(message) =
        failure(after).filter(|message| failure(before).as_ref() != Some(message))
    {
        texts.push(format!("cannot create pods: {message}"));
    }
    texts
}

/// A Deployment: its size, its image, and its pods.
pub(super) fn deployment(before: &Value, after: &Value) -> Vec<String> {
    let image = |one: &Value| {
        let image = &one["spec"]["template"]["spec"]["containers"][0]["image"];
        image.as_str().unwrap_or_default().to_owned()
    };
    let mut texts = Vec::new();
    if before.is_null() {
        let size = pods(count(after, "/spec/replicas"));
        return vec![format!("created: image {} with {size}", image(after))];
    }
    if !after.is_null() && image(before) != image(after) {
        texts.push(format!("image {} -> {}", image(before), image(after)));
    }
    texts.extend(observed(before, after));
    texts
}

/// A pod, where it has a problem or somebody laid hands on it.
pub(super) fn pod(before: &Value, after: &Value, by: &str) -> Vec<String> {
    let by_people = !matches!(by, "kubelet" | "kube-scheduler" | "kube-controller-manager");
    let deleted = |pod: &Value| pod.is_null() || !pod["metadata"]["deletionTimestamp"].is_null();
    if by_people && !deleted(before) && deleted(after) && !before.is_null() {
        let all = before["status"]["conditions"].as_array();
        let evicted = |one: &Value| one["type"] == "DisruptionTarget" && one["status"] == "True";
        let how = if all.into_iter().flatten().any(evicted) { "evicted" } else { "deleted" };
        return vec![how.to_owned()];
    }
    if by_people && !before.is_null() && before["metadata"] != after["metadata"] {
        let changed = |(key, value): &(&String, &Value)| {
            before["metadata"]["annotations"].get(key.as_str()) != Some(value)
        };
        let annotations = after["metadata"]["annotations"].as_object().into_iter().flatten();
        return annotations
            .filter(changed)
            .map(|(key, value)| format!("annotated {key}={}", value.as_str().unwrap_or_default()))
            .collect();
    }
    let problem = |pod: &Value| {
        let all = pod["status"]["containerStatuses"].as_array();
        let mut reasons = all.into_iter().flatten().filter_map(|status| {
            let reason = status["state"]["waiting"]["reason"].as_str()?;
            (reason != "ContainerCreating").then(|| reason.to_owned())
        });
        reasons.next_back()
    };
    match problem(after) {
        Some(reason) if problem(before).as_ref() != Some(&reason) && !deleted(after) => {
            vec![reason]
        }
        _ => Vec::new(),
    }
}

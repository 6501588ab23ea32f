//! Bodies of the writes: pure, from a write to JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::{
        AnalysisRunSpec, CANONICAL_REVISION_LABEL, FINGERPRINT_ANNOTATION, REVISION_LABEL,
        REVISION_NUMBER_ANNOTATION, RolloutSpec,
    },
    plan::NewReplicaSet,
};

/// The owner reference to a Rollout.
pub(super) fn owner(name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Rollout",
        "name": name,
        "uid": uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The ReplicaSet of a new revision. Its pods carry the revision as a label, and, unless the user
/// set it, as Istio's canonical revision, so that Istio's own metrics tell the revisions apart.
pub(super) fn replica_set(new: &NewReplicaSet, spec: &RolloutSpec, owner: &Value) -> Value {
    let mut metadata = Value::Object(spec.template.metadata.clone());
    let revision = json!(new.revision);
    let mut labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
    labels[REVISION_LABEL] = revision.clone();
    if labels.get(CANONICAL_REVISION_LABEL).is_none() {
        labels[CANONICAL_REVISION_LABEL] = revision.clone();
    }
    metadata["labels"] = labels.clone();
    let mut selector: BTreeMap<&str, &str> =
        spec.selector.match_labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    selector.insert(REVISION_LABEL, &new.revision);
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": new.name,
            "labels": labels,
            "annotations": {
                FINGERPRINT_ANNOTATION: new.fingerprint,
                REVISION_NUMBER_ANNOTATION: new.number.to_string(),
            },
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": new.replicas,
            "minReadySeconds": spec.min_ready_seconds,
            "selector": {"matchLabels": selector},
            "template": {"metadata": metadata, "spec": spec.template.spec},
        },
    })
}

/// An AnalysisRun of a Rollout.
pub(super) fn run(
    name: &str,
    spec: &AnalysisRunSpec,
    labels: &BTreeMap<String, String>,
    owner: &Value,
) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
        "spec": spec,
    })
}

/// A JSON patch from one object to the other that fails if the object has changed since.
pub(super) fn edit(from: &Value, to: &Value, resource_version: &str) -> Value {
    let patch = json_patch::diff(from, to);
    let mut operations = vec![unchanged_since(resource_version)];
    operations.extend(serde_json::to_value(patch).ok().and_then(into_list).unwrap_or_default());
    Value::Array(operations)
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

/// Writing a resource version makes the API server answer 409 unless it is the present one.
fn unchanged_since(resource_version: &str) -> Value {
    json!({"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version})
}

/// A JSON patch of a status.
pub(super) fn status(from: &Value, to: &Value, resource_version: &str) -> Value {
    let wrap = |status: &Value| match status {
        Value::Object(fields) if fields.is_empty() => json!({}),
        status => json!({ "status": status }),
    };
    edit(&wrap(from), &wrap(to), resource_version)
}

/// A JSON patch that sets the size of a ReplicaSet, if it still has the old one.
pub(super) fn scale(uid: &str, from: u32, to: u32) -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/spec/replicas", "value": from},
        {"op": "replace", "path": "/spec/replicas", "value": to},
    ])
}

/// A JSON patch that makes us the owner of a ReplicaSet without one.
pub(super) fn adopt(uid: &str, owner: &Value) -> Value {
    json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "add", "path": "/metadata/ownerReferences", "value": [owner]},
    ])
}

/// A JSON patch that lets a Service select a revision, if it still selects the old one.
pub(super) fn select(from: Option<&str>, to: &str) -> Value {
    let path = format!("/spec/selector/{}", REVISION_LABEL.replace('/', "~1"));
    match from {
        Some(from) => json!([
            {"op": "test", "path": path, "value": from},
            {"op": "replace", "path": path, "value": to},
        ]),
        None => json!([{"op": "add", "path": path, "value": to}]),
    }
}

/// A JSON patch that removes an annotation, if the object is unchanged.
pub(super) fn without_annotation(annotation: &str, resource_version: &str) -> Value {
    let path = format!("/metadata/annotations/{}", annotation.replace('/', "~1"));
    json!([unchanged_since(resource_version), {"op": "remove", "path": path}])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Rollout;

    fn spec() -> RolloutSpec {
        let rollout: Rollout = serde_json::from_value(json!({
            "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "web:1", "fieldOfTheFuture": 1}]},
                },
                "strategy": {"canary": {"traffic": {"istio": {"virtualServices": [{"name": "web"}]}}}},
            },
        }))
        .unwrap();
        rollout.spec
    }

    #[test]
    fn pods_carry_the_revision_and_every_field_of_the_template() {
        let new = NewReplicaSet {
            name: "web-abc".into(),
            revision: "abc".into(),
            fingerprint: "v1:x".into(),
            number: 3,
            replicas: 2,
        };
        let set = replica_set(&new, &spec(), &owner("web", "u"));
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["sluice.dev/revision"], "abc");
        assert_eq!(labels["service.istio.io/canonical-revision"], "abc");
        assert_eq!(
            set["spec"]["selector"]["matchLabels"],
            json!({"app": "web", "sluice.dev/revision": "abc"})
        );
        assert_eq!(set["spec"]["template"]["spec"]["containers"][0]["fieldOfTheFuture"], 1);
        assert_eq!(set["metadata"]["ownerReferences"][0]["controller"], true);
    }

    #[test]
    fn a_canonical_revision_of_the_user_stays() {
        let mut spec = spec();
        spec.template.metadata["labels"][CANONICAL_REVISION_LABEL] = json!("mine");
        let new = NewReplicaSet {
            name: String::new(),
            revision: "abc".into(),
            fingerprint: String::new(),
            number: 1,
            replicas: 0,
        };
        let set = replica_set(&new, &spec, &owner("web", "u"));
        assert_eq!(set["metadata"]["labels"][CANONICAL_REVISION_LABEL], "mine");
    }

    #[test]
    fn an_edit_names_only_what_differs() {
        let from = json!({"spec": {"http": [{"route": [{"weight": 90}, {"weight": 10}], "x": 1}]}});
        let to = json!({"spec": {"http": [{"route": [{"weight": 80}, {"weight": 20}], "x": 1}]}});
        let patch = edit(&from, &to, "7");
        assert_eq!(
            patch,
            json!([
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 80},
                {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 20},
            ])
        );
    }

    #[test]
    fn the_first_status_is_added_whole() {
        let patch = status(&json!({}), &json!({"phase": "Healthy"}), "7");
        assert_eq!(
            patch[1],
            json!({"op": "add", "path": "/status", "value": {"phase": "Healthy"}})
        );
    }
}

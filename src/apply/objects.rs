//! Bodies of the writes: pure, from a write to JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::role;

use crate::{
    api::{
        AnalysisRunSpec, CANONICAL_REVISION_LABEL, FINALIZER, FINGERPRINT_ANNOTATION,
        REVISION_LABEL, REVISION_NUMBER_ANNOTATION,
    },
    plan::NewReplicaSet,
    world::World,
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
pub(super) fn replica_set(new: &NewReplicaSet, world: &World, owner: &Value) -> Value {
    let mut metadata = Value::Object(world.template.metadata.clone());
    let revision = json!(new.revision);
    let mut labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
    labels[REVISION_LABEL] = revision.clone();
    if labels.get(CANONICAL_REVISION_LABEL).is_none() {
        labels[CANONICAL_REVISION_LABEL] = revision.clone();
    }
    metadata["labels"] = labels.clone();
    if let Some(role) = &new.role {
        role::put(&mut metadata, role);
    }
    let mut pods = Value::Object(world.template.spec.clone());
    if let (Some(anti_affinity), Some(other)) = (&world.program.anti_affinity, &new.apart_from) {
        role::keep_apart(&mut pods, anti_affinity, other);
    }
    let mut selector: BTreeMap<&str, &str> =
        world.selector.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
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
            "minReadySeconds": world.rollout.spec.min_ready_seconds,
            "selector": {"matchLabels": selector},
            "template": {"metadata": metadata, "spec": pods},
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

/// A JSON patch that lets a Service select a revision, or pods of any revision, if it still selects
/// the old one.
pub(super) fn select(from: Option<&str>, to: Option<&str>) -> Value {
    let path = format!("/spec/selector/{}", REVISION_LABEL.replace('/', "~1"));
    match (from, to) {
        (Some(from), Some(to)) => json!([
            {"op": "test", "path": path, "value": from},
            {"op": "replace", "path": path, "value": to},
        ]),
        (Some(from), None) => json!([
            {"op": "test", "path": path, "value": from},
            {"op": "remove", "path": path},
        ]),
        (None, Some(to)) => json!([{"op": "add", "path": path, "value": to}]),
        (None, None) => json!([]),
    }
}

/// A JSON patch that replaces the finalizers of a Rollout, if it is unchanged.
pub(super) fn finalizers(before: &[String], present: bool, resource_version: &str) -> Value {
    let others = before.iter().filter(|finalizer| *finalizer != FINALIZER);
    let after: Vec<&str> = others.map(String::as_str).chain(present.then_some(FINALIZER)).collect();
    json!([
        unchanged_since(resource_version),
        {"op": "add", "path": "/metadata/finalizers", "value": after},
    ])
}

/// A JSON patch that removes an annotation, if the object is unchanged.
pub(super) fn without_annotation(annotation: &str, resource_version: &str) -> Value {
    let path = format!("/metadata/annotations/{}", annotation.replace('/', "~1"));
    json!([unchanged_since(resource_version), {"op": "remove", "path": path}])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Rollout;

    fn world() -> World {
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
        let rollout = crate::world::Rollout {
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u".into(),
            resource_version: "1".into(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            spec: Arc::new(rollout.spec),
            status: Arc::default(),
            since: jiff::Timestamp::UNIX_EPOCH,
            command: None,
            object: Arc::default(),
        };
        World::of(rollout, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn pods_carry_the_revision_and_every_field_of_the_template() {
        let new = NewReplicaSet {
            name: "web-abc".into(),
            revision: "abc".into(),
            fingerprint: "v1:x".into(),
            number: 3,
            replicas: 2,
            role: None,
            apart_from: None,
        };
        let set = replica_set(&new, &world(), &owner("web", "u"));
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
        let mut world = world();
        let template = Arc::make_mut(&mut world.template);
        template.metadata["labels"][CANONICAL_REVISION_LABEL] = json!("mine");
        let new = NewReplicaSet {
            name: String::new(),
            revision: "abc".into(),
            fingerprint: String::new(),
            number: 1,
            replicas: 0,
            role: None,
            apart_from: None,
        };
        let set = replica_set(&new, &world, &owner("web", "u"));
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

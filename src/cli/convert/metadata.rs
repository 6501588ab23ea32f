//! `metadata` of an object as its author would write it.

use serde_json::{Map, Value, json};

use super::{
    argo,
    node::{Node, carry_all},
};
use crate::api::INSTANCE_LABEL;

/// Fields that the API server writes.
const ITS_OWN: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Prefixes of annotations by which tools and controllers remember things.
const MEMORY: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "rollout.argoproj.io/",
    "argo-rollouts.argoproj.io/",
];

/// Takes the metadata. Name, namespace, labels and annotations go on.
pub fn metadata(object: &mut Node) -> Value {
    let Some(mut from) = object.take("metadata") else { return json!({}) };
    let mut to = Map::new();
    carry_all(&mut from, &["name", "namespace"], &mut to);
    if let Some(labels) = from.take("labels") {
        to.insert("labels".into(), kept(labels));
    }
    if let Some(annotations) = from.take("annotations") {
        to.insert("annotations".into(), kept(annotations));
    }
    to.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    for name in ITS_OWN {
        if let Some(field) = from.take(name) {
            field.replaced("left out: the API server writes it");
        }
    }
    Value::Object(to)
}

fn kept(from: Node) -> Value {
    let mut to = Map::new();
    for (name, value) in from.entries() {
        if name == argo::INSTANCE_LABEL {
            value.changed(format!(
                "is {INSTANCE_LABEL}: the Sluice controller with this --instance serves it"
            ));
            to.insert(INSTANCE_LABEL.into(), value.keep());
        } else if MEMORY.iter().any(|prefix| name.starts_with(prefix)) {
            value.replaced("left out: it is the memory of another tool");
        } else {
            to.insert(name, value.keep());
        }
    }
    Value::Object(to)
}

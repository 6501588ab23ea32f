//! Argo Rollouts: a `Rollout` of `argoproj.io` into ours.
//!
//! The vocabulary is mostly the same. Where a default differs, Argo's is written out, so that the
//! object means what it meant.

mod analysis;
mod blue_green;
mod canary;
pub mod condition;
mod metric;
mod steps;
pub mod template;
mod traffic;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    metadata::metadata,
    node::{Node, carry_all, put},
};

/// The label that Argo Rollouts puts on pods, and the one that Sluice puts.
pub const HASH_LABEL: &str = "rollouts-pod-template-hash";

/// The controller that serves an object.
pub const INSTANCE_LABEL: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// Templates of which nothing is left, by scope (true: the cluster's) and name.
pub type Empty = BTreeSet<(bool, String)>;

/// Our Rollout.
pub fn rollout(mut object: Node, empty: &Empty) -> Value {
    let metadata = metadata(&mut object);
    if let Some(status) = object.take("status") {
        status.replaced("left out: a status is its controller's own");
    }
    let mut spec = Map::new();
    if let Some(mut from) = object.take("spec") {
        own(&mut from, &mut spec);
        if let Some(mut strategies) = from.take("strategy") {
            let mut strategy = Map::new();
            if let Some(canary) = strategies.take("canary") {
                strategy.insert("canary".into(), canary::canary(canary, empty));
            }
            if let Some(blue_green) = strategies.take("blueGreen") {
                strategy.insert("blueGreen".into(), blue_green::blue_green(blue_green, empty));
            }
            spec.insert("strategy".into(), Value::Object(strategy));
        }
    }
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
        "metadata": metadata, "spec": spec,
    })
}

/// What does not depend on the strategy.
fn own(from: &mut Node, spec: &mut Map<String, Value>) {
    carry_all(from, &["replicas"], spec);
    if let Some(mut selector) = from.take("selector") {
        let labels = selector.take("matchLabels").map(Node::keep);
        if let Some(expressions) = selector.take("matchExpressions") {
            expressions.lost(
                "a selector of Sluice has matchLabels only: the labels become Service selectors",
            );
        }
        put(spec, "selector", labels.map(|labels| json!({"matchLabels": labels})));
    }
    if let Some(template) = from.take("template") {
        spec.insert("template".into(), pods(template.keep()));
    }
    if let Some(reference) = from.take("workloadRef") {
        spec.insert("workloadRef".into(), workload(reference));
    }
    carry_all(from, &["minReadySeconds", "revisionHistoryLimit", "paused", "restartAt"], spec);
    put(spec, "progressDeadline", from.take("progressDeadlineSeconds").and_then(Node::seconds));
    // Ours is true unless it is said.
    let abort = from.take("progressDeadlineAbort").and_then(Node::boolean).unwrap_or(false);
    spec.insert("progressDeadlineAbort".into(), json!(abort));
    carry_all(from, &["rollbackWindow", "analysis"], spec);
}

/// A pod template without what serializers add.
fn pods(mut template: Value) -> Value {
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.retain(|name, value| name != "creationTimestamp" || !value.is_null());
    }
    template
}

fn workload(mut from: Node) -> Value {
    let mut to = Map::new();
    carry_all(&mut from, &["apiVersion", "kind", "name"], &mut to);
    let given = from.take("scaleDown");
    let said = given.as_ref().and_then(|given| given.value().as_str().map(str::to_owned));
    let scale_down = match said.as_deref() {
        None => "never",
        Some("never" | "progressively") => said.as_deref().unwrap_or_default(),
        Some("onsuccess" | "onSuccess") => "onSuccess",
        Some(other) => {
            if let Some(given) = given {
                given.lost(format!("found `{other}`, allowed are never, onsuccess, progressively"));
            }
            to.insert("scaleDown".into(), json!("never"));
            return Value::Object(to);
        }
    };
    if let Some(given) = given {
        given.keep();
    }
    to.insert("scaleDown".into(), json!(scale_down));
    Value::Object(to)
}

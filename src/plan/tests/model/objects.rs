//! The objects around the Rollout.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::{CanaryStrategy, RolloutSpec};

/// The canary strategy of a spec that has one.
pub(in crate::plan::tests) fn canary(spec: &mut RolloutSpec) -> &mut CanaryStrategy {
    spec.strategy.canary.as_mut().expect("a canary")
}

/// The selector of a spec that has one.
pub(in crate::plan::tests) fn selector(spec: &mut RolloutSpec) -> &mut BTreeMap<String, String> {
    &mut spec.selector.as_mut().expect("a selector").match_labels
}

pub(in crate::plan::tests) fn steps(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).expect("steps")
}

/// A Rollout with a host split, 4 replicas and the given steps.
pub(in crate::plan::tests) fn rollout(steps: &Value) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template("web:1"),
            "strategy": {"canary": {
                "stableService": "web-stable", "canaryService": "web-canary",
                "traffic": {"istio": {"virtualServices": [{"name": "web"}]}},
                "steps": steps,
            }},
        },
    })
}

/// The same with a subset split.
pub(in crate::plan::tests) fn subset_rollout(steps: &Value) -> Value {
    let mut rollout = rollout(steps);
    let canary = &mut rollout["spec"]["strategy"]["canary"];
    canary["traffic"]["istio"]["destinationRule"] =
        json!({"name": "web", "stableSubset": "stable", "canarySubset": "canary"});
    for service in ["stableService", "canaryService"] {
        canary.as_object_mut().expect("canary").remove(service);
    }
    rollout
}

pub(super) fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    })
}

pub(super) fn virtual_service(subsets: bool) -> Value {
    let destination = |name: &str| {
        if subsets {
            json!({"host": "web", "subset": name})
        } else {
            json!({"host": format!("web-{name}")})
        }
    };
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web"], "http": [{"route": [
            {"destination": destination("stable"), "weight": 90},
            {"destination": destination("canary"), "weight": 10},
        ]}]},
    })
}

pub(super) fn destination_rule_object() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"host": "web", "subsets": [
            {"name": "stable", "labels": {"app": "web"}},
            {"name": "canary", "labels": {"app": "web"}},
        ]},
    })
}

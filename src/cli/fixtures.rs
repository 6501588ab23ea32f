//! Rollouts in every state, for the tests of this folder.

use serde_json::{Value, json};

use crate::api::Rollout;

/// The instant at which the tests look.
pub fn now() -> jiff::Timestamp {
    "2026-11-21T03:00:00Z".parse().unwrap()
}

/// The Rollout `shop/checkout` with this status; `null` for none.
pub fn rollout(status: Value) -> Rollout {
    let mut object = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "uid": "rollout-uid",
            "generation": 4,
            "resourceVersion": "71",
            "creationTimestamp": "2026-11-20T23:48:00Z",
        },
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"containers": [{"name": "app", "image": "shop/checkout:v3"}]},
            },
            "strategy": {"canary": {
                "stableService": "checkout",
                "canaryService": "checkout-canary",
                "traffic": {"istio": {"virtualServices": [{"name": "checkout"}]}},
                "steps": [
                    {"setWeight": 20},
                    {"pause": {}},
                    {"setWeight": 60},
                    {"analysis": {"templates": [{"templateName": "errors"}]}},
                ],
            }},
        },
    });
    if !status.is_null() {
        object["status"] = status;
    }
    serde_json::from_value(object).unwrap()
}

/// Between releases: the newest revision is stable.
pub fn healthy() -> Rollout {
    rollout(json!({
        "phase": "Healthy",
        "message": "revision 2 is stable",
        "observedGeneration": 4,
        "revision": 2,
        "stableRevision": "5d4c",
        "currentRevision": "5d4c",
        "step": {"index": 4, "of": 4, "hash": "s", "text": "4/4", "startedAt": "2026-11-21T01:00:00Z"},
        "weights": {"stable": 100, "canary": 0},
        "readyReplicas": 5,
        "availableReplicas": 5,
        "updatedReplicas": 5,
    }))
}

/// A release that waits in a pause step until somebody promotes.
pub fn paused() -> Rollout {
    rollout(json!({
        "phase": "Paused",
        "message": "step 2/4 (pause): waiting for a person",
        "observedGeneration": 4,
        "revision": 3,
        "stableRevision": "5d4c",
        "currentRevision": "7f9c",
        "attempt": 1,
        "step": {"index": 1, "of": 4, "hash": "s", "text": "1/4", "startedAt": "2026-11-21T02:55:00Z"},
        "weights": {"stable": 80, "canary": 20},
        "pauses": [{"reason": "Step", "startedAt": "2026-11-21T02:55:00Z"}],
        "readyReplicas": 6,
        "availableReplicas": 6,
        "updatedReplicas": 1,
        "updatedAvailableReplicas": 1,
    }))
}

/// A release that was rolled back.
pub fn aborted() -> Rollout {
    rollout(json!({
        "phase": "Degraded",
        "message": "aborted: too many errors; stable takes all traffic",
        "observedGeneration": 4,
        "revision": 3,
        "stableRevision": "5d4c",
        "currentRevision": "7f9c",
        "attempt": 1,
        "step": {"index": 0, "of": 4, "hash": "s", "text": "0/4", "startedAt": "2026-11-21T02:55:00Z"},
        "weights": {"stable": 100, "canary": 0},
        "abort": {"at": "2026-11-21T02:57:00Z", "by": "alice", "reason": "too many errors", "cause": "Command"},
        "readyReplicas": 5,
        "availableReplicas": 5,
    }))
}

/// The Rollout with another strategy, and with `change` merged over its status.
pub fn under(strategy: &Value, rollout: &Rollout, change: &Value) -> Rollout {
    let mut object = serde_json::to_value(rollout).unwrap();
    object["spec"]["strategy"] = strategy.clone();
    json_patch::merge(&mut object["status"], change);
    serde_json::from_value(object).unwrap()
}

/// A rolling release in its middle.
pub fn rolling() -> Rollout {
    let status = json!({
        "phase": "Progressing", "message": "replacing pods: waiting for pods", "pauses": null,
        "step": {"index": 0, "of": 0, "text": "0/0"}, "weights": {"stable": 60, "canary": 40},
        "readyReplicas": 5, "availableReplicas": 5, "updatedReplicas": 3, "updatedAvailableReplicas": 2,
    });
    under(&json!({"rolling": {"maxSurge": 1}}), &paused(), &status)
}

/// A blue-green release that waits before the switch, for a person or for `after`.
pub fn at_the_gate(after: Option<&str>) -> Rollout {
    let colours = json!({"blueGreen": {
        "activeService": "checkout", "previewService": "checkout-preview",
        "autoPromotionEnabled": false, "autoPromotionAfter": after,
        "prePromotionAnalysis": {"templates": [{"templateName": "smoke"}]},
        "postPromotionAnalysis": {"templates": [{"templateName": "errors"}]},
    }});
    let status = json!({
        "message": "before the switch: waiting",
        "step": {"index": 2, "of": 5, "text": "3/5"}, "weights": {"stable": 100, "canary": 0},
        "readyReplicas": 10, "availableReplicas": 10, "updatedReplicas": 5,
        "updatedAvailableReplicas": 5,
    });
    under(&colours, &paused(), &status)
}

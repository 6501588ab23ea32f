//! The checks see what they are for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Change, broken, late};

/// A history of a release at 20 %, up to the change under test.
pub(super) struct History(Vec<Change>);

impl History {
    fn new() -> Self {
        let mut history = Self(Vec::new());
        history.scaled(2);
        for revision in ["a", "b"] {
            history.set(revision, 2);
            for number in 0..2 {
                let name = format!("{revision}-{number}");
                history.put(
                    "Pod",
                    &name,
                    json!({
                        "metadata": {"labels": {"sluice.dev/revision": revision}},
                        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                    }),
                );
            }
        }
        for (service, revision) in [("stable", "a"), ("canary", "b")] {
            history.service(service, revision);
            history.put(
                "EndpointSlice",
                service,
                json!({
                    "metadata": {"labels": {"kubernetes.io/service-name": service}},
                    "endpoints": [
                        {"targetRef": {"name": format!("{revision}-0")}},
                        {"targetRef": {"name": format!("{revision}-1")}},
                    ],
                }),
            );
        }
        history.weights(80, 20);
        history
    }

    /// The Rollout asks for so many pods.
    pub(super) fn scaled(&mut self, replicas: i64) {
        self.put(
            "Rollout",
            "web",
            json!({
                "spec": {"replicas": replicas, "strategy": {"canary": {
                    "stableService": "stable", "canaryService": "canary",
                    "traffic": {
                        "istio": {"virtualServices": [{"name": "web"}]},
                        "managedRoutes": [{"name": "one"}, {"name": "two"}],
                    },
                }}},
                "status": {"stableRevision": "a", "currentRevision": "b"},
            }),
        );
    }

    pub(super) fn put(&mut self, kind: &'static str, name: &str, mut object: Value) {
        object["metadata"]["name"] = json!(name);
        let fields = json!({"f:spec": {"f:http": {}, "f:selector": {}, "f:replicas": {}}});
        object["metadata"]["managedFields"] = json!([{"manager": "sluice", "fieldsV1": fields}]);
        let version = self.0.len() as u64;
        self.0.push(Change {
            key: (kind, name.to_owned()),
            version,
            object: Some(Arc::new(object)),
        });
    }

    pub(super) fn set(&mut self, revision: &str, replicas: i64) {
        self.put(
            "ReplicaSet",
            &format!("web-{revision}"),
            json!({
                "metadata": {
                    "labels": {"sluice.dev/revision": revision},
                    "ownerReferences": [{"kind": "Rollout", "name": "web"}],
                },
                "spec": {"replicas": replicas},
            }),
        );
    }

    pub(super) fn service(&mut self, name: &str, revision: &str) {
        let spec = json!({"selector": {"sluice.dev/revision": revision}});
        self.put("Service", name, json!({"metadata": {}, "spec": spec}));
    }

    pub(super) fn weights(&mut self, stable: i64, canary: i64) {
        self.route(&json!({"route": [
            {"destination": {"host": "stable"}, "weight": stable},
            {"destination": {"host": "canary"}, "weight": canary},
        ]}));
    }

    fn route(&mut self, http: &Value) {
        self.put("VirtualService", "web", json!({"metadata": {}, "spec": {"http": [http]}}));
    }

    /// Routes of ours to these hosts, some before and some behind the one with the weights.
    fn added(&mut self, before: &[(&str, &str)], behind: &[(&str, &str)]) {
        let ours = |(name, host): &(&str, &str)| json!({"name": name, "route": [{"destination": {"host": host}, "weight": 100}]});
        let mut http: Vec<Value> = before.iter().map(ours).collect();
        http.push(json!({"route": [
            {"destination": {"host": "stable"}, "weight": 80},
            {"destination": {"host": "canary"}, "weight": 20},
        ]}));
        http.extend(behind.iter().map(ours));
        self.put("VirtualService", "web", json!({"metadata": {}, "spec": {"http": http}}));
    }

    /// What the checks say of one more change.
    pub(super) fn after(change: impl FnOnce(&mut Self)) -> String {
        let mut history = Self::new();
        assert_eq!(broken(&history.0), [""; 0], "nothing is broken before");
        change(&mut history);
        broken(&history.0).join("; ")
    }

    /// The same, if news of the last changes may be so many changes late.
    pub(super) fn after_with_late_news(late: usize, change: impl FnOnce(&mut Self)) -> String {
        let mut history = Self::new();
        change(&mut history);
        late::broken(&history.0, |at| at.saturating_sub(late)).join("; ")
    }
}

#[test]
fn the_checks_see_what_they_are_for() {
    let said = |change: fn(&mut History), sentence: &str| {
        let found = History::after(change);
        assert!(found.contains(sentence), "wanted: {sentence}\nfound: {found}");
    };
    said(|h| h.weights(80, 30), "do not sum to 100");
    said(
        |h| {
            h.route(&json!({"timeout": "1s", "route": [
                {"destination": {"host": "stable"}, "weight": 70},
                {"destination": {"host": "canary"}, "weight": 30},
            ]}));
        },
        "more than weights was changed",
    );
    said(
        |h| {
            h.put("EndpointSlice", "canary", json!({
                "metadata": {"labels": {"kubernetes.io/service-name": "canary"}}, "endpoints": [],
            }));
            h.weights(50, 50);
        },
        "the canary destination has weight 50 and 0 of 1 serving pods",
    );
    said(|h| h.service("canary", "c"), "the canary destination has weight 20 and 0 of 1");
    said(|h| h.service("canary", "c"), "the canary destination selects no ready pod");
    said(|h| h.set("b", 0), "the canary destination reaches revision b with weight 20");
    said(|h| h.set("a", 1), "stable falls to 1 of 2 pods");
    said(|h| h.set("b", 3), "5 pods in total, allowed are 4");
    assert_eq!(History::after(|h| h.weights(50, 50)), "");
}

#[test]
fn routes_for_some_requests_are_ours_and_need_pods() {
    const ONE: (&str, &str) = ("one", "canary");
    const TWO: (&str, &str) = ("two", "canary");
    let said = |change: fn(&mut History), sentence: &str| {
        let found = History::after(change);
        assert!(found.contains(sentence), "wanted: {sentence}\nfound: {found}");
    };
    assert_eq!(History::after(|h| h.added(&[ONE, TWO], &[])), "");
    assert_eq!(
        History::after(|h| {
            h.added(&[ONE], &[]);
            h.weights(80, 20);
        }),
        ""
    );
    said(|h| h.added(&[("own", "canary")], &[]), "more than weights was changed");
    said(|h| h.added(&[TWO, ONE], &[]), "not in their order");
    said(|h| h.added(&[ONE, ONE], &[]), "managed route one stands there 2 times");
    said(|h| h.added(&[], &[ONE]), "does not stand before those with the weights");
    said(|h| h.added(&[("one", "stable")], &[]), "does not lead to the canary");
    said(
        |h| {
            h.put("EndpointSlice", "canary", json!({
                "metadata": {"labels": {"kubernetes.io/service-name": "canary"}}, "endpoints": [],
            }));
            h.added(&[ONE], &[]);
        },
        "a managed route leads to the canary, which has no serving pod",
    );
    said(
        |h| {
            h.added(&[ONE], &[]);
            h.set("b", 0);
        },
        "a managed route leads to revision b, and it falls to 0 pods",
    );
}

#[test]
fn a_destination_that_reached_nobody_may_be_pointed_anywhere() {
    let found =
        History::after(|h| {
            h.put("EndpointSlice", "stable", json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "stable"}}, "endpoints": [],
        }));
            h.put("Service", "stable", json!({"metadata": {}, "spec": {"selector": {}}}));
            h.service("stable", "a");
        });
    assert_eq!(found, "");
}

#[test]
fn where_stable_may_shrink_it_gets_no_more_than_it_can_carry() {
    let overtaken = |current: &'static str| {
        History::after(|history| {
            let strategy = json!({"canary": {
                "stableService": "stable", "canaryService": "canary", "dynamicStableScale": true,
                "traffic": {"istio": {"virtualServices": [{"name": "web"}]}},
            }});
            let status = json!({"stableRevision": "a", "currentRevision": current});
            let spec = json!({"replicas": 4, "strategy": strategy});
            history.put("Rollout", "web", json!({"spec": spec, "status": status}));
            history.weights(100, 0);
        })
    };
    assert!(overtaken("c").contains("stable gets weight 100 back and has 2 of 4 pods"));
    assert_eq!(overtaken("b"), "", "one that is not overtaken may have failed");
}

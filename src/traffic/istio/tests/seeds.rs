//! The `VirtualService`s and the `DestinationRule` that teams brought us.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{hosts, reference, seed, subsets, yaml};
use crate::api::{REVISION_LABEL, VirtualServiceRef, Weights};
use crate::traffic::istio::{
    RouteTarget, Split, destination_rule,
    virtual_service::{validate_istio, weights, with_canary_weight},
};

struct Case {
    object: Value,
    reference: VirtualServiceRef,
    split: Split,
    namespace: &'static str,
    /// JSON pointer to the managed route.
    route: &'static str,
    name: &'static str,
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            object: seed("planner-mcp-server/virtual-service.yaml"),
            reference: reference("name: planner-virtual-service"),
            split: hosts("planner-mcp-server", "planner-mcp-server-canary"),
            namespace: "production",
            route: "/spec/http/0",
            name: "http route 0 (prefix /api/)",
        },
        Case {
            object: seed("brownbear-web/virtual-service.yaml"),
            reference: reference("name: brownbear-web"),
            split: subsets("brownbear-web"),
            namespace: "brownbear-production",
            route: "/spec/http/1",
            name: "http route 1 (any request)",
        },
        Case {
            object: seed("npa-service/virtual-service.yaml"),
            reference: reference("name: progressive-virtualservice"),
            split: hosts("npa-service", "npa-service-canary"),
            namespace: "progressive-framework-prod",
            route: "/spec/http/2",
            name: "http route 2 (prefix /api/v1/agents/npa)",
        },
    ]
}

impl Case {
    fn target(&self) -> RouteTarget<'_> {
        RouteTarget {
            reference: &self.reference,
            split: &self.split,
            namespace: self.namespace,
            total: 100,
            managed: &[],
            former: &[],
        }
    }

    /// The object without the weights of the managed route, and only of that.
    fn without_weights(&self, object: &Value) -> Value {
        let mut object = object.clone();
        let list = object.pointer_mut(&format!("{}/route", self.route));
        for destination in list.and_then(Value::as_array_mut).expect("destinations") {
            let destination = destination.as_object_mut().expect("a destination");
            destination.remove("weight").expect("a weight");
        }
        object
    }
}

#[test]
fn the_one_route_that_splits_is_found_with_its_weights() {
    for case in cases() {
        let found = weights(&case.object, case.target()).expect("a managed route");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].route, case.name);
        assert_eq!(found[0].weights, Weights::of(100, 10));
    }
}

#[test]
fn every_weight_changes_nothing_but_weights() {
    for case in cases() {
        let bare = case.without_weights(&case.object);
        for canary in 0..=100 {
            let edited =
                with_canary_weight(&case.object, case.target(), canary, &[]).expect("an edit");
            assert_eq!(case.without_weights(&edited), bare, "{} at {canary}", case.name);
            validate_istio(&edited).expect("what Istio takes");
            let found = weights(&edited, case.target()).expect("weights");
            assert_eq!(found[0].weights, Weights::of(100, canary));
            let again = with_canary_weight(&edited, case.target(), canary, &[]).expect("an edit");
            assert_eq!(again, edited);
        }
    }
}

#[test]
fn the_same_weight_is_no_change() {
    for case in cases() {
        let same = with_canary_weight(&case.object, case.target(), 10, &[]).expect("an edit");
        assert_eq!(same, case.object);
    }
}

#[test]
fn the_header_route_keeps_its_weight() {
    let case = &cases()[1];
    let edited = with_canary_weight(&case.object, case.target(), 0, &[]).expect("an edit");
    assert_eq!(edited["spec"]["http"][0], case.object["spec"]["http"][0]);
    assert_eq!(edited["spec"]["http"][0]["route"][0]["weight"], 100);
}

#[test]
fn a_subset_follows_its_revision_and_nothing_else_changes() {
    let rule = seed("brownbear-web/destination-rule.yaml");
    assert_eq!(destination_rule::host(&rule), Ok("brownbear-web"));
    let pods = BTreeMap::from([
        ("app".into(), "brownbear-web".into()),
        ("version".into(), "v2.1.0".into()),
    ]);
    for (index, subset) in ["stable", "canary"].into_iter().enumerate() {
        let edited = destination_rule::with_subset_revision(&rule, subset, "7xk2mfb9qd", &pods)
            .expect("an edit");
        let labels = destination_rule::subset_labels(&edited, subset).expect("labels");
        let wanted = [(REVISION_LABEL, "7xk2mfb9qd"), ("version", "v2.1.0")];
        assert_eq!(labels, wanted.map(|(key, value)| (key.into(), value.into())).into());
        let mut restored = edited.clone();
        restored["spec"]["subsets"][index]["labels"] =
            rule["spec"]["subsets"][index]["labels"].clone();
        assert_eq!(restored, rule, "only the labels of {subset} differ");
        let again = destination_rule::with_subset_revision(&edited, subset, "7xk2mfb9qd", &pods);
        assert_eq!(again, Ok(edited));
    }
    let circuit_breaker = &rule["spec"]["trafficPolicy"]["circuitBreaker"];
    assert_eq!(circuit_breaker["consecutiveErrors"], yaml("5"));
}

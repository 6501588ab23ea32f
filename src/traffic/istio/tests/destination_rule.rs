//! Subsets: labels that follow, and every error.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::destination_rule::{host, subset_labels, with_subset_revision};
use super::yaml;
use crate::traffic::istio::SubsetError;

fn rule(subsets: &str) -> Value {
    let mut rule = yaml("{metadata: {name: web, namespace: shop}, spec: {host: web}}");
    rule["spec"]["subsets"] = yaml(subsets);
    rule
}

fn pods() -> BTreeMap<String, String> {
    let labels = [("app", "web"), ("version", "v2"), ("sluice.dev/revision", "old")];
    labels.map(|(key, value)| (key.into(), value.into())).into()
}

fn error<T: std::fmt::Debug>(result: Result<T, SubsetError>) -> String {
    result.expect_err("an error").to_string()
}

#[test]
fn a_subset_without_labels_gets_the_revision() {
    for subsets in [
        "[{name: canary}]",
        "[{name: canary, labels: null}]",
        "[{name: canary, labels: {}}]",
        "[{name: canary, labels: {sluice.dev/revision: before}}]",
    ] {
        let edited = with_subset_revision(&rule(subsets), "canary", "new", &pods());
        let labels = edited.expect("an edit")["spec"]["subsets"][0]["labels"].clone();
        assert_eq!(labels, json!({"sluice.dev/revision": "new"}), "{subsets}");
    }
}

#[test]
fn other_subsets_and_the_fields_of_this_one_stay() {
    let before = rule(
        "[{name: v1, labels: {tier: gold}}, {name: canary, labels: {version: v1, app: web}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}, {name: all}]",
    );
    let edited = with_subset_revision(&before, "canary", "new", &pods()).expect("an edit");
    let mut wanted = before.clone();
    wanted["spec"]["subsets"][1]["labels"] =
        json!({"version": "v2", "app": "web", "sluice.dev/revision": "new"});
    assert_eq!(edited, wanted);
}

#[test]
fn a_rule_without_a_host_is_refused() {
    for rule in ["{metadata: {name: web}, spec: {}}", "{metadata: {name: web}, spec: {host: ''}}"] {
        assert_eq!(
            error(host(&yaml(rule))),
            "DestinationRule default/web: spec.host is missing; write the name of the Service there"
        );
    }
}

#[test]
fn a_missing_subset_is_named_with_those_found() {
    assert_eq!(
        error(subset_labels(&rule("[{name: v1}, {name: v2}]"), "canary")),
        "DestinationRule shop/web: spec.subsets has no subset `canary` (found: v1, v2); add `{name: canary, labels: {}}` there, or correct spec.strategy.canary.traffic.istio.destinationRule of the Rollout"
    );
    assert!(error(subset_labels(&rule("null"), "canary")).contains("(found: none)"));
}

#[test]
fn a_subset_that_stands_twice_is_refused() {
    assert_eq!(
        error(subset_labels(&rule("[{name: canary}, {name: canary}]"), "canary")),
        "DestinationRule shop/web: several subsets are named `canary`; keep one of them, because Istio would use only one"
    );
}

#[test]
fn labels_that_are_not_text_are_refused() {
    let text = "DestinationRule shop/web: subset `canary` has 2 at labels.version; labels are a map of text to text, so put the value in quotes";
    let found = rule("[{name: canary, labels: {version: 2}}]");
    assert_eq!(error(subset_labels(&found, "canary")), text);
    assert_eq!(error(with_subset_revision(&found, "canary", "new", &pods())), text);
    let found = rule("[{name: canary, labels: [v2]}]");
    assert!(error(subset_labels(&found, "canary")).contains("has [\"v2\"] at labels;"));
}

#[test]
fn a_label_that_the_pods_do_not_have_is_refused() {
    let found = rule("[{name: canary, labels: {track: canary}}]");
    assert_eq!(
        error(with_subset_revision(&found, "canary", "7xk2mfb9qd", &pods())),
        "DestinationRule shop/web: subset `canary` asks for label `track: canary`, but the pods of revision 7xk2mfb9qd have no label `track`, so it could never select them; remove that label from the subset, or add it to spec.template of the Rollout"
    );
}

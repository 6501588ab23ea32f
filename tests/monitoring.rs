//! The shipped alerts and the dashboard: what they ask for is what the controller tells.
#![allow(clippy::panic, reason = "a test that cannot go on has failed, and says where")]

use std::{collections::BTreeSet, fs};

use promql_parser::parser::{self, Expr};
use serde_json::Value;
use sluice::{
    api::{RolloutStatus, Verdict},
    server::metrics::Metrics,
};

/// Ends that the text format adds to the name of a counter or a histogram.
const ENDS: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

fn rules() -> Vec<Value> {
    let text = fs::read_to_string("config/monitoring/prometheus-rule.yaml").expect("the rules");
    let rule: Value = serde_yaml::from_str(&text).expect("YAML");
    let groups = rule["spec"]["groups"].as_array().expect("groups").clone();
    groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect()
}

fn panels() -> Vec<Value> {
    let text = fs::read_to_string("config/monitoring/dashboard.json").expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    dashboard["panels"].as_array().expect("panels").clone()
}

fn queries() -> Vec<String> {
    let text = |value: &Value| value["expr"].as_str().expect("a query").to_owned();
    let panels = panels();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    rules().iter().map(text).chain(targets.map(text)).collect()
}

/// The metrics that an expression selects, with the labels that it compares.
fn selected(expr: &Expr, found: &mut Vec<(String, Vec<String>)>) {
    let mut below = |expr: &Expr| selected(expr, found);
    match expr {
        Expr::VectorSelector(selector) => {
            let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone());
            found.push((selector.name.clone().unwrap_or_default(), labels.collect()));
        }
        Expr::MatrixSelector(matrix) => below(&Expr::VectorSelector(matrix.vs.clone())),
        Expr::Aggregate(aggregate) => below(&aggregate.expr),
        Expr::Unary(unary) => below(&unary.expr),
        Expr::Binary(binary) => {
            below(&binary.lhs);
            below(&binary.rhs);
        }
        Expr::Paren(paren) => below(&paren.expr),
        Expr::Subquery(subquery) => below(&subquery.expr),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| below(argument)),
        _ => {}
    }
}

/// What a controller tells after a little of everything.
fn told() -> String {
    let metrics = Metrics::default();
    let key = ("shop".to_owned(), "web".to_owned());
    let status = |ended: bool| -> RolloutStatus {
        let outcome = ended.then_some("Aborted");
        serde_json::from_value(serde_json::json!({
            "conditions": [{"type": "RouteContested", "status": "True", "reason": "r", "message": "",
                "lastTransitionTime": "2026-11-21T00:00:00Z"}],
            "history": [{"revision": "a", "number": 1, "attempt": 1, "outcome": outcome,
                "startedAt": "2026-11-21T00:00:00Z"}],
        }))
        .expect("a status")
    };
    metrics.observe(&key, &status(false));
    metrics.observe(&key, &status(true));
    metrics.judged(Verdict::Error);
    metrics.called("PATCH", "rollouts", 200);
    metrics.drain_checked("none");
    metrics.reconciled("Rollout", std::time::Duration::from_millis(1));
    metrics.text()
}

#[test]
fn every_query_asks_for_metrics_and_labels_that_the_controller_has() {
    let told = told();
    for query in queries() {
        let plain = query.replace("$namespace", "shop");
        let parsed = parser::parse(&plain).unwrap_or_else(|error| panic!("{query}: {error}"));
        let mut all = Vec::new();
        selected(&parsed, &mut all);
        assert!(!all.is_empty(), "{query}: it asks for nothing");
        for (name, labels) in all {
            let series: Vec<&str> = told
                .lines()
                .filter(|line| line.split(['{', ' ']).next() == Some(name.as_str()))
                .collect();
            assert!(!series.is_empty(), "{query}: the controller has no metric {name}:\n{told}");
            for label in labels {
                let has = series.iter().any(|line| line.contains(&format!("{label}=\"")));
                assert!(has, "{query}: {name} has no label {label}");
            }
        }
    }
}

#[test]
fn every_alert_says_what_to_do_and_names_labels_that_it_has() {
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().expect("a name").to_owned();
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["info", "warning", "critical"].contains(&severity), "{name}: {severity}");
        for text in ["summary", "description"] {
            let text = rule["annotations"][text].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name} has an empty text");
            let by =
                rule["expr"].as_str().is_some_and(|expr| expr.contains("by (namespace, name)"));
            assert!(by || !text.contains("$labels.name"), "{name}: {text}");
        }
        assert!(names.insert(name), "two alerts have one name");
    }
}

#[test]
fn every_metric_of_the_controller_is_on_the_dashboard() {
    let all = queries().join("\n");
    let families = told();
    let families = families.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for family in families.filter_map(|line| line.split(' ').next()) {
        let shown = ENDS.iter().any(|end| all.contains(&format!("{family}{end}")));
        assert!(shown || all.contains(family), "{family} is shown nowhere");
    }
}

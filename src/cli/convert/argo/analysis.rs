//! Where a Rollout asks for an analysis.

use serde_json::{Map, Value};

use super::Empty;
use crate::cli::convert::node::{Fate, Node, Notes, carry, carry_all, put};

/// Our analysis; none if of its templates nothing is left.
pub fn analysis(mut from: Node, empty: &Empty) -> Option<Value> {
    let mut to = Map::new();
    let templates = from.take("templates").map(|node| references(node, empty)).unwrap_or_default();
    if let Some(args) = from.take("args") {
        to.insert("args".into(), args.items().into_iter().map(argument).collect());
    }
    for name in ["dryRun", "measurementRetention"] {
        if let Some(node) = from.take(name) {
            node.lost(format!("write {name} in the AnalysisTemplate"));
        }
    }
    if let Some(node) = from.take("analysisRunMetadata") {
        node.lost("AnalysisRuns carry the labels of Sluice only");
    }
    // The name of one template, as it was written before there were several.
    let single = from.take("templateName").map(Node::keep);
    let single = single.map(|name| serde_json::json!({"templateName": name}));
    let templates: Vec<Value> = templates.into_iter().chain(single).collect();
    if templates.is_empty() {
        return None;
    }
    to.insert("templates".into(), Value::Array(templates));
    Some(Value::Object(to))
}

/// References to templates that are left.
pub fn references(from: Node, empty: &Empty) -> Vec<Value> {
    let mut found = Vec::new();
    for mut node in from.items() {
        let name = node.value()["templateName"].as_str().unwrap_or_default().to_owned();
        let scope = node.value()["clusterScope"].as_bool().unwrap_or(false);
        if empty.contains(&(scope, name.clone())) {
            node.lost(format!("of the template {name} nothing is left; see there"));
            continue;
        }
        let mut to = Map::new();
        carry_all(&mut node, &["templateName", "clusterScope"], &mut to);
        found.push(Value::Object(to));
    }
    found
}

/// An argument of a Rollout or template.
pub fn argument(mut from: Node) -> Value {
    let mut to = Map::new();
    carry_all(&mut from, &["name"], &mut to);
    put(&mut to, "value", from.take("value").and_then(Node::text).map(Value::from));
    if let Some(mut source) = from.take("valueFrom") {
        let mut ours = Map::new();
        if let Some(mut secret) = source.take("secretKeyRef") {
            let mut key = Map::new();
            carry_all(&mut secret, &["name", "key"], &mut key);
            ours.insert("secretKeyRef".into(), Value::Object(key));
        }
        carry(&mut source, "podTemplateHashValue", &mut ours, "podTemplateHashValue");
        if let Some(mut field) = source.take("fieldRef") {
            let mut path = Map::new();
            carry_all(&mut field, &["fieldPath"], &mut path);
            ours.insert("fieldRef".into(), Value::Object(path));
        }
        to.insert("valueFrom".into(), Value::Object(ours));
    }
    Value::Object(to)
}

/// Says what stands in the place of an analysis of which nothing is left.
pub fn instead(notes: &Notes, path: &str, what: &str) {
    notes.add(Fate::Changed, path, format!("its templates have no equal; {what}"));
}

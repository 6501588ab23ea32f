//! `strategy.canary.steps`.

use serde_json::{Map, Value, json};

use super::{Empty, analysis};
use crate::cli::convert::node::{Fate, Node, carry_all, put};

/// Our steps, and for each of Argo's the index of the first of ours.
#[derive(Debug, Default)]
pub struct Steps {
    /// Our steps.
    pub steps: Vec<Value>,
    /// Where each of Argo's begins.
    pub starts: Vec<usize>,
}

/// Our steps. A gate that has no equal becomes a pause: a person decides in its place.
pub fn steps(from: Node, routed: bool, empty: &Empty) -> Steps {
    let mut all = Steps::default();
    for node in from.items() {
        all.starts.push(all.steps.len());
        all.steps.extend(step(node, routed, empty));
    }
    all
}

fn step(mut from: Node, routed: bool, empty: &Empty) -> Option<Value> {
    if let Some(weight) = from.take("setWeight") {
        return Some(json!({"setWeight": weight.keep()}));
    }
    if let Some(mut pause) = from.take("pause") {
        let mut ours = Map::new();
        put(&mut ours, "duration", pause.take("duration").and_then(Node::duration));
        return Some(json!({"pause": ours}));
    }
    if let Some(mut scale) = from.take("setCanaryScale") {
        let mut ours = Map::new();
        carry_all(&mut scale, &["replicas", "weight"], &mut ours);
        if let Some(matching) = scale.take("matchTrafficWeight")
            && matching.boolean() == Some(true)
        {
            ours.insert("matchTrafficWeight".into(), json!(true));
        }
        return Some(json!({"setCanaryScale": ours}));
    }
    for name in ["setHeaderRoute", "setMirrorRoute"] {
        let Some(route) = from.take(name) else { continue };
        if !routed {
            route.lost("needs Istio's routes");
            return None;
        }
        return Some(json!({name: route.keep()}));
    }
    if let Some(node) = from.take("analysis") {
        let (path, notes) = (node.path().to_owned(), node.notes().clone());
        if let Some(analysis) = analysis::analysis(node, empty) {
            return Some(json!({"analysis": analysis}));
        }
        let pause = "a pause without an end stands here: a person decides";
        analysis::instead(&notes, &path, pause);
        return Some(json!({"pause": {}}));
    }
    for (name, why) in [
        (
            "experiment",
            "Sluice has no experiments: the canary itself, with setCanaryScale and weight 0, is what can be tried",
        ),
        ("plugin", "Sluice runs no plugins; a job step runs any program"),
    ] {
        let Some(node) = from.take(name) else { continue };
        node.lost(format!("{why}. A pause without an end stands here: a person decides"));
        return Some(json!({"pause": {}}));
    }
    if let Some(threshold) = from.take("replicaProgressThreshold") {
        threshold
            .lost("one threshold holds for all steps: strategy.canary.replicaProgressThreshold");
        return None;
    }
    let (path, notes) = (from.path().to_owned(), from.notes().clone());
    notes.add(Fate::Changed, &path, "a pause without an end stands here, for a step that the converter does not know: a person decides");
    Some(json!({"pause": {}}))
}

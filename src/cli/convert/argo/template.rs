//! AnalysisTemplates and ClusterAnalysisTemplates.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Empty, analysis, metric};
use crate::cli::convert::{
    metadata::metadata,
    node::{Fate, Node, carry_all},
};

/// Our template; none if no metric and no template of it has an equal, which `empty` then says.
pub fn template(mut object: Node, kind: &str, empty: &mut Empty) -> Option<Value> {
    let metadata = metadata(&mut object);
    let notes = object.notes().clone();
    let mut spec = Map::new();
    let mut from = object.take("spec")?;
    let args: Vec<Value> = from
        .take("args")
        .map(|args| args.items().into_iter().map(analysis::argument).collect())
        .unwrap_or_default();
    let defaults: BTreeMap<String, String> = args
        .iter()
        .filter_map(|arg| {
            Some((arg["name"].as_str()?.to_owned(), arg["value"].as_str()?.to_owned()))
        })
        .collect();
    if !args.is_empty() {
        spec.insert("args".into(), Value::Array(args));
    }
    let metrics = from.take("metrics").map(Node::items).unwrap_or_default();
    let metrics: Vec<Value> =
        metrics.into_iter().filter_map(|node| metric::metric(node, &defaults)).collect();
    let templates = from.take("templates").map(|node| analysis::references(node, empty));
    let templates = templates.unwrap_or_default();
    let nothing = metrics.is_empty() && templates.is_empty();
    for (name, list) in [("metrics", metrics), ("templates", templates)] {
        if !list.is_empty() {
            spec.insert(name.into(), Value::Array(list));
        }
    }
    carry_all(&mut from, &["dryRun", "measurementRetention"], &mut spec);
    if nothing {
        let name = metadata["name"].as_str().unwrap_or_default().to_owned();
        notes.add(Fate::Lost, "", "nothing of this template has an equal, so it is not written");
        empty.insert((kind == "ClusterAnalysisTemplate", name));
        return None;
    }
    Some(json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
    }))
}

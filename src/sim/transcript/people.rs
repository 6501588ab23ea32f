//! What people write: specs, commands, and objects that are not ours.

use serde_json::Value;

use crate::api::COMMAND_ANNOTATION;

/// An object of a kind without a story of its own.
pub(super) fn anything(before: &Value, after: &Value) -> Vec<String> {
    match (before.is_null(), after.is_null()) {
        (true, _) => vec!["created".to_owned()],
        (_, true) => vec!["deleted".to_owned()],
        _ => {
            let mut paths = Vec::new();
            for field in ["spec", "data", "stringData"] {
                differing(&before[field], &after[field], field, &mut paths);
            }
            paths
        }
    }
}

/// A Rollout's spec and annotations.
pub(super) fn rollout(before: &Value, after: &Value) -> Vec<String> {
    if before.is_null() {
        let image = &image(after);
        let replicas = after["spec"]["replicas"].as_i64().unwrap_or(1);
        let steps = after["spec"]["strategy"]["canary"]["steps"].as_array().map_or(0, Vec::len);
        let reference = &after["spec"]["workloadRef"];
        let pods = match (reference["kind"].as_str(), reference["name"].as_str()) {
            (Some(kind), Some(name)) => format!("pods of {kind} {name}"),
            _ => format!("image {image}"),
        };
        return vec![format!("created: {pods}, replicas {replicas}, {steps} steps")];
    }
    if after.is_null() {
        return vec!["deleted".to_owned()];
    }
    let mut texts = Vec::new();
    texts.extend(command(before, after));
    if image(before) != image(after) {
        texts.push(format!("image {} -> {}", image(before), image(after)));
    }
    let mut bare = [before["spec"].clone(), after["spec"].clone()];
    for spec in &mut bare {
        if let Some(container) = spec.pointer_mut("/template/spec/containers/0") {
            container.as_object_mut().map(|container| container.remove("image"));
        }
    }
    differing(&bare[0], &bare[1], "spec", &mut texts);
    let marked = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    if !marked(before) && marked(after) {
        texts.push("marked as deleted".to_owned());
    }
    texts
}

fn image(rollout: &Value) -> String {
    let image = &rollout["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}

fn command(before: &Value, after: &Value) -> Option<String> {
    let text = |object: &Value| {
        object["metadata"]["annotations"][COMMAND_ANNOTATION].as_str().map(str::to_owned)
    };
    let (from, to) = (text(before), text(after));
    if from == to {
        return None;
    }
    let Some(to) = to else { return Some("command taken off".to_owned()) };
    let Ok(command) = serde_json::from_str::<crate::api::Command>(&to) else {
        return Some(format!("command {to}"));
    };
    let reason =
        if command.reason.is_empty() { String::new() } else { format!(": {}", command.reason) };
    Some(format!("command {} by {}{reason}", command.verb, command.by))
}

/// `path: old -> new` for each value that differs; lists and what is long only by their path.
fn differing(before: &Value, after: &Value, path: &str, out: &mut Vec<String>) {
    if before == after {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let none = Value::Null;
            let (old, new) = (old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none));
            differing(old, new, &format!("{path}.{key}"), out);
        }
        return;
    }
    let short = |value: &Value| match value {
        Value::Object(_) | Value::Array(_) => None,
        Value::Null => Some("none".to_owned()),
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    };
    out.push(match (short(before), short(after)) {
        (Some(from), Some(to)) => format!("{path} {from} -> {to}"),
        _ => format!("{path} changed"),
    });
}

//! The metadata, which every kind has.

use serde_json::Value;

use super::{
    causes::{self, Cause},
    names,
};
use crate::sim::api::{Resource, resource};

/// Drops what the server does not keep: nulls, and empty maps and lists.
pub fn tidy(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, field| !is_nothing(field));
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// What is wrong with the metadata.
pub fn judge(resource: &Resource, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut found = Vec::new();
    let name = metadata["name"].as_str().unwrap_or_default();
    if let Some(why) = name_rule(resource)(name) {
        found.push(causes::invalid("metadata.name", &metadata["name"], &why));
    }
    found.extend(labels("metadata.labels", &metadata["labels"]));
    for key in metadata["annotations"].as_object().into_iter().flatten().map(|(key, _)| key) {
        if let Some(why) = names::label_key(&key.to_lowercase()) {
            found.push(causes::invalid("metadata.annotations", &key.as_str().into(), &why));
        }
    }
    for (index, owner) in metadata["ownerReferences"].as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                let why = format!(
                    "{} must not be empty",
                    if field == "apiVersion" { "version" } else { field }
                );
                found.push(causes::invalid(&path, &"".into(), &why));
            }
        }
    }
    found
}

/// What is wrong with labels.
pub fn labels(path: &str, labels: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(why) = names::label_key(key) {
            found.push(causes::invalid(path, &key.as_str().into(), &why));
        }
        if let Some(why) = names::label_value(value.as_str().unwrap_or_default()) {
            found.push(causes::invalid(path, value, &why));
        }
    }
    found
}

fn name_rule(resource: &Resource) -> fn(&str) -> Option<String> {
    if resource == &resource::SERVICE {
        names::service
    } else if resource == &resource::NAMESPACE {
        names::label
    } else {
        names::subdomain
    }
}

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
pub fn judge(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut found = Vec::new();
    if let Some(old) = old {
        found.extend(no_new_finalizers(&old["metadata"], metadata));
    }
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
    for owner in metadata["ownerReferences"].as_array().into_iter().flatten() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences.{field}");
                let what = if field == "apiVersion" { "version " } else { "" };
                let why = format!("{what}must not be empty");
                found.push(causes::invalid(&path, &"".into(), &why));
            }
        }
    }
    found
}

/// What is being deleted gets no further finalizers.
fn no_new_finalizers(old: &Value, new: &Value) -> Option<Cause> {
    let list = |metadata: &Value| metadata["finalizers"].as_array().cloned().unwrap_or_default();
    let before = list(old);
    let added: Vec<String> = list(new)
        .iter()
        .filter(|finalizer| !before.contains(finalizer))
        .map(ToString::to_string)
        .collect();
    if old["deletionTimestamp"].is_null() || added.is_empty() {
        return None;
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    Some(causes::forbidden("metadata.finalizers", &why))
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
    } else if resource.group == "rbac.authorization.k8s.io" {
        // Any part of a path, such as `system:node`.
        |_| None
    } else {
        names::subdomain
    }
}

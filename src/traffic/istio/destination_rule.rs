//! The two subsets of a `DestinationRule`.
//!
//! In: the object as the API server holds it. Out: what a subset selects, or a copy in which it
//! selects another revision. Only the labels of that one subset differ; other subsets, traffic
//! policies and unknown fields are as they were.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SubsetError, listed, object_name};
use crate::api::REVISION_LABEL;

/// `spec.host`: the host whose endpoints the subsets divide.
///
/// # Errors
///
/// When there is none.
pub fn host(rule: &Value) -> Result<&str, SubsetError> {
    let host = rule.pointer("/spec/host").and_then(Value::as_str);
    host.filter(|host| !host.is_empty()).ok_or_else(|| SubsetError::NoHost { object: name(rule) })
}

/// The labels that the subset `subset` asks for.
///
/// # Errors
///
/// When there is not exactly one such subset, or its labels are not text.
pub fn subset_labels(rule: &Value, subset: &str) -> Result<BTreeMap<String, String>, SubsetError> {
    let index = index(rule, subset)?;
    let labels = match rule.pointer(&pointer(index)).and_then(|s| s.get("labels")) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(labels) => labels,
    };
    let bad = |field: String, found: &Value| SubsetError::BadLabel {
        object: name(rule),
        subset: subset.into(),
        field,
        found: found.to_string(),
    };
    let map = labels.as_object().ok_or_else(|| bad("labels".into(), labels))?;
    map.iter()
        .map(|(key, value)| match value.as_str() {
            Some(text) => Ok((key.clone(), text.into())),
            None => Err(bad(format!("labels.{key}"), value)),
        })
        .collect()
}

/// A copy of `rule` in which the subset `subset` selects pods of any revision again: without the label
/// `sluice.dev/revision`. An object that has no such subset is returned as it is.
pub fn without_subset_revision(rule: &Value, subset: &str) -> Value {
    let mut copy = rule.clone();
    let labels = index(rule, subset).ok().map(|index| format!("{}/labels", pointer(index)));
    let labels = labels.and_then(|path| copy.pointer_mut(&path)).and_then(Value::as_object_mut);
    if let Some(labels) = labels {
        labels.remove(REVISION_LABEL);
    }
    copy
}

/// A copy of `rule` in which the subset `subset` selects the pods of `revision`: its label
/// `sluice.dev/revision` is set, and its other labels take the values that the pods have, as a
/// person would edit `version: v1.0.0` for a release of v2.0.0.
///
/// # Errors
///
/// As [`subset_labels`], and when the subset asks for a label that the pods do not have.
pub fn with_subset_revision(
    rule: &Value,
    subset: &str,
    revision: &str,
    pod_labels: &BTreeMap<String, String>,
) -> Result<Value, SubsetError> {
    let mut labels = subset_labels(rule, subset)?;
    labels.remove(REVISION_LABEL);
    let mut wanted = vec![(REVISION_LABEL.to_owned(), revision.to_owned())];
    for (key, value) in labels {
        match pod_labels.get(&key) {
            Some(of_pods) => wanted.push((key, of_pods.clone())),
            None => {
                return Err(SubsetError::ForeignLabel {
                    object: name(rule),
                    subset: subset.into(),
                    key,
                    value,
                    revision: revision.into(),
                });
            }
        }
    }
    let mut copy = rule.clone();
    let entry = copy.pointer_mut(&pointer(index(rule, subset)?));
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        let labels = entry.entry("labels").or_insert(Value::Null);
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        if let Some(labels) = labels.as_object_mut() {
            // Each key is set in its place, so that the map's order stays.
            labels.extend(wanted.into_iter().map(|(key, value)| (key, value.into())));
        }
    }
    Ok(copy)
}

fn name(rule: &Value) -> String {
    object_name(rule, "default")
}

fn pointer(index: usize) -> String {
    format!("/spec/subsets/{index}")
}

/// The place of the subset in `spec.subsets`.
fn index(rule: &Value, subset: &str) -> Result<usize, SubsetError> {
    let list = rule.pointer("/spec/subsets").and_then(Value::as_array);
    let names: Vec<_> = list
        .into_iter()
        .flatten()
        .map(|entry| entry.get("name").and_then(Value::as_str).unwrap_or_default())
        .collect();
    let mut fitting = (0..names.len()).filter(|index| names[*index] == subset);
    match (fitting.next(), fitting.next()) {
        (Some(index), None) => Ok(index),
        (Some(_), Some(_)) => {
            Err(SubsetError::SameName { object: name(rule), subset: subset.into() })
        }
        (None, _) => Err(SubsetError::NoSuchSubset {
            object: name(rule),
            subset: subset.into(),
            found: listed(&names.into_iter().map(String::from).collect::<Vec<_>>()),
        }),
    }
}

//! `metadata.managedFields`: who wrote which field last.
//!
//! A simple form of the API server's bookkeeping for plain writes (not server-side apply): a manager
//! owns the fields whose value it changed last. Maps are followed, lists count as one value, as they
//! do in custom resources.

use serde_json::{Map, Value, json};

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// `Update` or `Apply`.
    pub operation: &'a str,
    /// `status` or `scale`, if the write went there.
    pub subresource: Option<&'a str>,
}

/// Notes in `new` that `writer` changed it from `old` at `time` (RFC 3339, to the second).
pub fn record(old: &Value, new: &mut Value, writer: &Writer, time: &str) {
    let mut changed = Vec::new();
    for field in ["metadata", "spec", "status", "data", "stringData", "type", "roleRef", "rules"] {
        let mut path = vec![field.to_owned()];
        collect(&old[field], &new[field], &mut path, &mut changed);
    }
    changed.retain(|path| path[0] != "metadata" || is_kept(path));
    let mut entries = old["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    if !changed.is_empty() {
        for entry in &mut entries {
            for path in &changed {
                disown(&mut entry["fieldsV1"], path);
            }
        }
        own(&mut entries, new, writer, time, &changed);
        entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    }
    let metadata = &mut new["metadata"];
    if entries.is_empty() {
        metadata.as_object_mut().map(|fields| fields.remove("managedFields"));
    } else {
        metadata["managedFields"] = Value::Array(entries);
    }
}

/// Of the metadata, only what people write is owned.
fn is_kept(path: &[String]) -> bool {
    let field = path.get(1).map(String::as_str);
    matches!(field, Some("labels" | "annotations" | "finalizers" | "ownerReferences"))
}

fn own(
    entries: &mut Vec<Value>,
    new: &Value,
    writer: &Writer,
    time: &str,
    changed: &[Vec<String>],
) {
    let is = |entry: &Value| {
        entry["manager"] == writer.manager
            && entry["operation"] == writer.operation
            && entry["subresource"].as_str() == writer.subresource
    };
    let mut entry = match entries.iter().position(is) {
        Some(at) => entries.remove(at),
        None => json!({
            "manager": writer.manager, "operation": writer.operation,
            "apiVersion": new["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": {},
        }),
    };
    entry["time"] = json!(time);
    if let Some(subresource) = writer.subresource {
        entry["subresource"] = json!(subresource);
    }
    for path in changed {
        // What was removed is nobody's.
        if at(new, path).is_none() {
            continue;
        }
        let mut place = &mut entry["fieldsV1"];
        for part in path {
            place = &mut place[format!("f:{part}")];
            if place.is_null() {
                *place = json!({});
            }
        }
    }
    entries.push(entry);
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| value.get(part))
}

/// Removes a field, and what then owns nothing.
fn disown(fields: &mut Value, path: &[String]) {
    let (Some(first), Some(map)) = (path.first(), fields.as_object_mut()) else { return };
    let key = format!("f:{first}");
    let Some(below) = map.get_mut(&key) else { return };
    if path.len() > 1 {
        disown(below, &path[1..]);
    }
    if path.len() == 1 || below.as_object().is_none_or(Map::is_empty) {
        map.remove(&key);
    }
}

/// Paths of the values that differ; a map is followed where both sides have one.
fn collect(old: &Value, new: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    if old == new {
        return;
    }
    let empty = Map::new();
    let (before, after) = match (old, new) {
        (Value::Object(old), Value::Object(new)) => (old, new),
        (Value::Null, Value::Object(new)) if !new.is_empty() => (&empty, new),
        (Value::Object(old), Value::Null) if !old.is_empty() => (old, &empty),
        _ => {
            out.push(path.clone());
            return;
        }
    };
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        path.push(key.clone());
        let none = Value::Null;
        collect(before.get(key).unwrap_or(&none), after.get(key).unwrap_or(&none), path, out);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(old: &Value, new: &Value, manager: &str) -> Value {
        let mut new = new.clone();
        let writer = Writer { manager, operation: "Update", subresource: None };
        record(old, &mut new, &writer, "2026-01-01T00:00:00Z");
        new
    }

    #[test]
    fn a_field_belongs_to_whoever_changed_it_last() {
        let first = write(&Value::Null, &json!({"spec": {"a": 1, "b": [1]}}), "kubectl");
        let mut next = first.clone();
        next["spec"]["b"] = json!([2]);
        let second = write(&first, &next, "sluice");
        let entries = &second["metadata"]["managedFields"];
        assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:a": {}}}));
        assert_eq!(entries[1]["manager"], "sluice");
        assert_eq!(entries[1]["fieldsV1"], json!({"f:spec": {"f:b": {}}}));
    }

    #[test]
    fn a_write_that_changes_nothing_owns_nothing() {
        let first = write(&Value::Null, &json!({"spec": {"a": 1}}), "kubectl");
        let second = write(&first, &first, "sluice");
        assert_eq!(first, second);
    }

    #[test]
    fn what_was_removed_is_nobodys() {
        let first = write(&Value::Null, &json!({"spec": {"a": 1, "b": 1}}), "kubectl");
        let mut next = first.clone();
        next["spec"].as_object_mut().unwrap().remove("b");
        let second = write(&first, &next, "sluice");
        let entries = second["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:a": {}}}));
    }
}

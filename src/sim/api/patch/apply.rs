//! Server-side apply: a manager says what it wants, and owns what it says.
//!
//! Simpler than the API server in one point: a list is one value, owned as a whole. In built-in kinds
//! its entries are merged by key all the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Form;
use crate::sim::api::{Refusal, Resource};

/// A request to apply.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// Who applies.
    pub manager: &'a str,
    /// Takes over what others own.
    pub force: bool,
    /// `status`, if the request goes there.
    pub subresource: Option<&'a str>,
    /// The time (RFC 3339).
    pub time: &'a str,
}

type Path = Vec<String>;

/// The object after `wanted` was applied to `live`, with its managed fields.
///
/// # Errors
/// Another manager owns a field with another value.
pub fn applied(
    resource: &Resource,
    live: &Value,
    wanted: &Value,
    by: &Apply,
) -> Result<Value, Refusal> {
    let mut paths = Vec::new();
    leaves(wanted, &mut Vec::new(), &mut paths);
    paths.retain(is_owned);
    let mut entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mine = entries.iter().position(|entry| is_mine(entry, by));
    let before = mine.map(|at| entries.remove(at));
    let conflicts = conflicts(live, wanted, &paths, &entries);
    if !conflicts.is_empty() && !by.force {
        return Err(refused(&conflicts));
    }
    for (_, path) in &conflicts {
        for entry in &mut entries {
            disown(&mut entry["fieldsV1"], path);
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    let mut patch = wanted.clone();
    without(&mut patch, &["apiVersion", "kind"]);
    let form = if resource.custom { Form::Merge } else { Form::Strategic };
    let mut object = super::patched(form, resource, live, &patch)?;
    for path in before.iter().flat_map(|entry| owned(&entry["fieldsV1"])) {
        let kept = paths.iter().any(|wanted| wanted.starts_with(&path) || path.starts_with(wanted));
        let shared = entries
            .iter()
            .flat_map(|entry| owned(&entry["fieldsV1"]))
            .any(|other| other.starts_with(&path) || path.starts_with(&other));
        if !kept && !shared {
            remove(&mut object, &path);
        }
    }
    let mut fields = json!({});
    for path in &paths {
        own(&mut fields, path);
    }
    let unchanged = before.filter(|entry| entry["fieldsV1"] == fields);
    entries.push(unchanged.unwrap_or_else(|| entry(wanted, by, &fields)));
    object["metadata"]["managedFields"] = Value::Array(entries);
    Ok(object)
}

fn is_mine(entry: &Value, by: &Apply) -> bool {
    entry["manager"] == by.manager
        && entry["operation"] == "Apply"
        && entry["subresource"].as_str() == by.subresource
}

fn entry(wanted: &Value, by: &Apply, fields: &Value) -> Value {
    let mut entry = json!({
        "manager": by.manager, "operation": "Apply", "apiVersion": wanted["apiVersion"],
        "time": by.time, "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    if let Some(subresource) = by.subresource {
        entry["subresource"] = json!(subresource);
    }
    entry
}

/// Of the metadata only what people write can be owned.
#[allow(clippy::ptr_arg, reason = "as `retain` wants it")]
fn is_owned(path: &Path) -> bool {
    let second = path.get(1).map(String::as_str);
    match path[0].as_str() {
        "apiVersion" | "kind" => false,
        "metadata" => {
            matches!(second, Some("labels" | "annotations" | "finalizers" | "ownerReferences"))
        }
        _ => true,
    }
}

fn leaves(value: &Value, path: &mut Path, out: &mut Vec<Path>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                path.push(name.clone());
                leaves(field, path, out);
                path.pop();
            }
        }
        // A map that says nothing owns nothing.
        Value::Object(_) => {}
        _ if path.is_empty() => {}
        _ => out.push(path.clone()),
    }
}

/// Who owns which of `paths` with another value.
fn conflicts(
    live: &Value,
    wanted: &Value,
    paths: &[Path],
    entries: &[Value],
) -> Vec<(String, Path)> {
    let mut found = Vec::new();
    for entry in entries {
        let theirs = owned(&entry["fieldsV1"]);
        for path in paths {
            let owns = theirs.iter().any(|own| path.starts_with(own) || own.starts_with(path));
            if owns && at(live, path) != at(wanted, path) {
                found.push((owner(entry), path.clone()));
            }
        }
    }
    found
}

fn owner(entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    let mut words = format!("{:?}", text("manager"));
    if let Some(subresource) = entry["subresource"].as_str() {
        words = format!("{words} with subresource {subresource:?}");
    }
    if text("operation") == "Update" {
        words = format!("{words} using {}", text("apiVersion"));
    }
    words
}

fn refused(conflicts: &[(String, Path)]) -> Refusal {
    let field = |path: &Path| path.iter().flat_map(|part| [".", part]).collect::<String>();
    let mut by_owner: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (owner, path) in conflicts {
        by_owner.entry(owner).or_default().push(field(path));
    }
    let several = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
    let texts: Vec<String> = by_owner
        .iter()
        .map(|(owner, fields)| match fields.as_slice() {
            [one] if conflicts.len() == 1 => format!("conflict with {owner}: {one}"),
            many => format!("conflicts with {owner}:\n- {}", many.join("\n- ")),
        })
        .collect();
    let message = format!("Apply failed with {} {several}: {}", conflicts.len(), texts.join("\n"));
    let mut refusal = Refusal::new(409, "Conflict", message);
    let causes = conflicts.iter().map(|(owner, path)| {
        let message = format!("conflict with {owner}");
        json!({"reason": "FieldManagerConflict", "message": message, "field": field(path)})
    });
    refusal.details = json!({"causes": causes.collect::<Vec<_>>()});
    refusal
}

fn at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| value.get(part))
}

fn remove(value: &mut Value, path: &[String]) {
    match path {
        [] => {}
        [last] => without(value, &[last]),
        [first, rest @ ..] => {
            if let Some(below) = value.get_mut(first) {
                remove(below, rest);
                if below.as_object().is_some_and(Map::is_empty) {
                    without(value, &[first]);
                }
            }
        }
    }
}

fn without(value: &mut Value, names: &[&str]) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// The paths that a `fieldsV1` names.
fn owned(fields: &Value) -> Vec<Path> {
    fn walk(fields: &Value, path: &mut Path, out: &mut Vec<Path>) {
        let below: Vec<_> = fields
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, field)| Some((name.strip_prefix("f:")?, field)))
            .collect();
        if below.is_empty() && !path.is_empty() {
            out.push(path.clone());
        }
        for (name, field) in below {
            path.push(name.to_owned());
            walk(field, path, out);
            path.pop();
        }
    }
    let mut out = Vec::new();
    walk(fields, &mut Vec::new(), &mut out);
    out
}

fn own(fields: &mut Value, path: &[String]) {
    let mut place = fields;
    for part in path {
        place = &mut place[format!("f:{part}")];
        if place.is_null() {
            *place = json!({});
        }
    }
}

fn disown(fields: &mut Value, path: &[String]) {
    let prefixed: Vec<String> = path.iter().map(|part| format!("f:{part}")).collect();
    remove(fields, &prefixed);
}

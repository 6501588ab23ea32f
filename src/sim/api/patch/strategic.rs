//! Strategic merge patches: lists of built-in kinds are merged by a key.

use serde_json::{Map, Value};

use crate::sim::api::{Refusal, Resource};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// How a list is merged.
enum Strategy {
    /// The new one replaces it.
    Replace,
    /// Entries are plain values that are added.
    Set,
    /// Entries are objects with this key.
    Map(&'static str),
}

/// `object` after `patch`.
///
/// # Errors
/// An entry of a list has not the key by which it is merged.
pub fn patched(resource: &Resource, object: &Value, patch: &Value) -> Result<Value, Refusal> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(Refusal::bad_request("the patch is no object"));
    };
    let mut place = vec![resource.kind];
    merged(&mut place, object.clone(), patch).map(Value::Object)
}

/// How the list `field` below `place` is merged.
fn strategy(place: &[&str], field: &str) -> Strategy {
    let parent = place.last().copied().unwrap_or_default();
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims" => Strategy::Map("name"),
        "volumeMounts" => Strategy::Map("mountPath"),
        "volumeDevices" => Strategy::Map("devicePath"),
        "hostAliases" | "podIPs" | "hostIPs" => Strategy::Map("ip"),
        "topologySpreadConstraints" => Strategy::Map("topologyKey"),
        "ports" if place.first() == Some(&"Service") => Strategy::Map("port"),
        "ports" if parent.to_lowercase().ends_with("containers") => Strategy::Map("containerPort"),
        "ownerReferences" => Strategy::Map("uid"),
        "conditions" => Strategy::Map("type"),
        "finalizers" if parent == "metadata" => Strategy::Set,
        _ => Strategy::Replace,
    }
}

fn merged<'p>(
    place: &mut Vec<&'p str>,
    mut object: Map<String, Value>,
    patch: &'p Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => return Ok(plain(patch)),
        Some("delete") => return Ok(Map::new()),
        _ => {}
    }
    if let Some(kept) = patch.get(RETAIN).and_then(Value::as_array) {
        object.retain(|name, _| kept.iter().any(|kept| kept == name));
    }
    let order = |field: &str| patch.get(&format!("{ORDER}{field}")).and_then(Value::as_array);
    for (name, values) in patch {
        if let Some(field) = name.strip_prefix(DELETE)
            && let Some(list) = object.get_mut(field).and_then(Value::as_array_mut)
        {
            let gone = values.as_array().cloned().unwrap_or_default();
            list.retain(|value| !gone.contains(value));
        }
    }
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        match (object.remove(name), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                place.push(name);
                object.insert(name.clone(), Value::Object(merged(place, old, new)?));
                place.pop();
            }
            (old, Value::Array(new)) => {
                let old = old.and_then(into_list).unwrap_or_default();
                let list = list(place, name, &old, new, order(name))?;
                object.insert(name.clone(), Value::Array(list));
            }
            (_, Value::Object(new)) => {
                object.insert(name.clone(), Value::Object(plain(new)));
            }
            (_, value) => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
    for name in patch.keys() {
        // An order alone moves entries.
        if let Some(field) = name.strip_prefix(ORDER)
            && !patch.contains_key(field)
            && let Some(old) = object.remove(field).and_then(into_list)
        {
            let list = list(place, field, &old, &[], order(field))?;
            object.insert(field.to_owned(), Value::Array(list));
        }
    }
    Ok(object)
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// A value without nulls and directives, as it is put where nothing was.
fn plain(object: &Map<String, Value>) -> Map<String, Value> {
    let kept = object.iter().filter(|(name, value)| !name.starts_with('$') && !value.is_null());
    kept.map(|(name, value)| (name.clone(), plain_value(value))).collect()
}

fn plain_value(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(plain(fields)),
        Value::Array(items) => {
            let directive = |item: &&Value| item.get(DIRECTIVE).is_none();
            Value::Array(items.iter().filter(directive).map(plain_value).collect())
        }
        value => value.clone(),
    }
}

fn list<'p>(
    place: &mut Vec<&'p str>,
    field: &'p str,
    old: &[Value],
    new: &'p [Value],
    order: Option<&Vec<Value>>,
) -> Result<Vec<Value>, Refusal> {
    match strategy(place, field) {
        Strategy::Replace => Ok(new.iter().map(plain_value).collect()),
        Strategy::Set => {
            let mut all = old.to_vec();
            all.extend(new.iter().filter(|value| !old.contains(value)).cloned());
            let wanted: Vec<Value> = order.cloned().unwrap_or_else(|| new.to_vec());
            Ok(ordered(all, old, &wanted, &|value| value.clone()))
        }
        Strategy::Map(key) => {
            if new.iter().any(|item| item[DIRECTIVE] == "replace") {
                return Ok(plain_value(&Value::Array(new.to_vec()))
                    .as_array()
                    .cloned()
                    .unwrap_or_default());
            }
            place.push(field);
            let all = entries(place, key, old.to_vec(), new);
            place.pop();
            let id = |value: &Value| value[key].clone();
            let wanted: Vec<Value> = order.map_or_else(
                || new.iter().map(id).collect(),
                |order| order.iter().map(id).collect(),
            );
            Ok(ordered(all?, old, &wanted, &id))
        }
    }
}

fn entries<'p>(
    place: &mut Vec<&'p str>,
    key: &str,
    mut all: Vec<Value>,
    new: &'p [Value],
) -> Result<Vec<Value>, Refusal> {
    for item in new {
        let Some(id) = item.get(key) else {
            let message =
                format!("map: {} does not contain declared merge key: {key}", in_go(item));
            return Err(Refusal::new(500, "", message));
        };
        let at = all.iter().position(|present| present.get(key) == Some(id));
        if item[DIRECTIVE] == "delete" {
            at.map(|at| all.remove(at));
            continue;
        }
        let Some(patch) = item.as_object() else { continue };
        match at {
            Some(at) => {
                let old = all[at].as_object().cloned().unwrap_or_default();
                all[at] = Value::Object(merged(place, old, patch)?);
            }
            None => all.push(Value::Object(plain(patch))),
        }
    }
    Ok(all)
}

/// A value as the API server prints it here.
fn in_go(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(name, field)| format!("{name}:{}", in_go(field)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(in_go).collect::<Vec<_>>().join(" "))
        }
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Entries that the patch names come in the patch's order; the others keep their place before those
/// that they were before.
fn ordered(
    all: Vec<Value>,
    old: &[Value],
    wanted: &[Value],
    id: &dyn Fn(&Value) -> Value,
) -> Vec<Value> {
    let rank = |value: &Value| wanted.iter().position(|wanted| *wanted == id(value));
    let before = |value: &Value| old.iter().position(|old| id(old) == id(value));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|value| rank(value).is_some());
    named.sort_by_key(|value| rank(value));
    let mut result = Vec::new();
    let mut others = others.into_iter().peekable();
    for value in named {
        while let Some(other) = others.peek() {
            let (Some(left), Some(right)) = (before(other), before(&value)) else { break };
            if left >= right {
                break;
            }
            result.extend(others.next());
        }
        result.push(value);
    }
    result.extend(others);
    result
}

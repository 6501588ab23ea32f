//! Reading and editing the parts of objects that several controllers look at.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::sim::api::{Resource, store::second};

/// The text at a JSON pointer; empty if there is none.
pub fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// `metadata.labels`, or null.
pub fn labels(object: &Value) -> &Value {
    &object["metadata"]["labels"]
}

/// Whether it is being deleted.
pub fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Whether it waits for `finalizer`.
pub fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    let all = object["metadata"]["finalizers"].as_array();
    all.is_some_and(|all| all.iter().any(|present| present == finalizer))
}

/// Takes a finalizer away.
pub fn remove_finalizer(object: &mut Value, finalizer: &str) {
    retain(&mut object["metadata"], "finalizers", |present| present != finalizer);
}

/// Keeps some items of a list; an empty list goes.
pub fn retain(object: &mut Value, field: &str, keep: impl FnMut(&Value) -> bool) {
    // Indexing for a change would create what is not there.
    let Some(all) = object.get_mut(field).and_then(Value::as_array_mut) else { return };
    all.retain(keep);
    if all.is_empty() {
        object.as_object_mut().map(|fields| fields.remove(field));
    }
}

/// `metadata.ownerReferences`.
pub fn owners(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"].as_array().map_or(&[], Vec::as_slice)
}

/// The owner reference of the object's controller.
pub fn controller(object: &Value) -> Option<&Value> {
    owners(object).iter().find(|owner| owner["controller"] == true)
}

/// An owner reference of a controller.
pub fn owned_by(resource: &Resource, owner: &Value) -> Value {
    json!({
        "apiVersion": resource.api_version(), "kind": resource.kind,
        "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Its status, to be edited; empty if there is none.
pub fn status(object: &Value) -> Value {
    let status = &object["status"];
    if status.is_object() { status.clone() } else { json!({}) }
}

/// A condition of its status.
pub fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition of its status is true.
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// A condition to set: its kind, whether it holds, reason and message.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Whether it holds.
    pub holds: bool,
    /// Why; empty for none.
    pub reason: &'a str,
    /// A sentence; empty for none.
    pub message: &'a str,
}

/// Sets a condition in a status; one that holds on keeps its transition time.
pub fn set_condition(status: &mut Value, set: &Condition, now: Timestamp) {
    let word = if set.holds { "True" } else { "False" };
    let mut new = json!({"type": set.kind, "status": word, "lastTransitionTime": second(now)});
    for (field, value) in [("reason", set.reason), ("message", set.message)] {
        if !value.is_empty() {
            new[field] = json!(value);
        }
    }
    let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
    match all.iter_mut().find(|present| present["type"] == set.kind) {
        Some(present) => {
            for (field, value) in present.as_object().into_iter().flatten() {
                let kept = field == "lastTransitionTime" && present["status"] == word;
                if kept || new.get(field).is_none() && !["reason", "message"].contains(&&**field) {
                    new[field] = value.clone();
                }
            }
            *present = new;
        }
        None => all.push(new),
    }
    status["conditions"] = Value::Array(all);
}

/// Takes a condition out of a status.
pub fn remove_condition(status: &mut Value, kind: &str) {
    retain(status, "conditions", |present| present["type"] != kind);
}

/// Sets counts in a status; as Kubernetes leaves out most zeros, so does this.
pub fn set_counts(status: &mut Value, counts: &[(&str, i64)]) {
    for (field, count) in counts {
        if *count == 0 {
            status.as_object_mut().map(|fields| fields.remove(*field));
        } else {
            status[*field] = json!(count);
        }
    }
}

/// A time in an object.
pub fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A time some seconds later.
pub fn after(at: Timestamp, seconds: i64) -> Timestamp {
    later(at, SignedDuration::from_secs(seconds))
}

/// A later time, to the microsecond: the simulated clock never stands between two of them.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    let exact = at.checked_add(by).unwrap_or(Timestamp::MAX);
    let micros = exact.as_microsecond() + i64::from(exact.subsec_nanosecond() % 1000 > 0);
    Timestamp::from_microsecond(micros).unwrap_or(exact)
}

/// The earlier of two times that may not come.
pub fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

// === pods

/// Whether a pod has ended for good.
pub fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether a pod counts for its controller: neither ended nor being deleted.
pub fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !is_deleting(pod)
}

/// Since when a pod is ready, if it is.
pub fn ready_since(pod: &Value) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready["status"] == "True")?;
    Some(time(&ready["lastTransitionTime"]).unwrap_or_default())
}

/// A pod from a template, to be created by the controller `owner`.
pub fn pod_of(template: &Value, resource: &Resource, owner: &Value) -> Value {
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("generateName".to_owned(), json!(format!("{}-", name(owner))));
    metadata.insert("ownerReferences".to_owned(), json!([owned_by(resource, owner)]));
    json!({"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}})
}

/// A number, or a percentage of `total`; rounded up if `up`.
pub fn share(value: &Value, total: i64, up: bool) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    let hundredths = percent * total;
    Some(if up { (hundredths + 99) / 100 } else { hundredths / 100 })
}

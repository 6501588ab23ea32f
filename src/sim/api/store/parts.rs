//! Parts of a write: what is taken from a request, when an object is gone, made-up names.

use serde_json::{Value, json};

use super::Deletion;
use crate::sim::api::{Refusal, Resource, resource};

/// What is stored: a write takes only its own part from `new`, and never what the server keeps.
pub(super) fn merged(
    resource: &Resource,
    subresource: Option<&str>,
    old: &Value,
    mut new: Value,
) -> Value {
    match subresource {
        Some("status") => {
            let mut whole = old.clone();
            match new.get_mut("status") {
                Some(status) => whole["status"] = status.take(),
                None => drop(whole.as_object_mut().map(|fields| fields.remove("status"))),
            }
            return whole;
        }
        Some("scale") => {
            let mut whole = old.clone();
            whole["spec"]["replicas"] = new["spec"]["replicas"].take();
            return whole;
        }
        _ => {}
    }
    if resource.status {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => drop(new.as_object_mut().map(|fields| fields.remove("status"))),
        }
    }
    new["apiVersion"] = old["apiVersion"].clone();
    new["kind"] = old["kind"].clone();
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "resourceVersion",
    ] {
        match old["metadata"].get(field) {
            Some(kept) => new["metadata"][field] = kept.clone(),
            None => drop(new["metadata"].as_object_mut().map(|fields| fields.remove(field))),
        }
    }
    new
}

/// Whether a deleted object has no finalizer left that it waits for.
pub(super) fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let graceful = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    !metadata["deletionTimestamp"].is_null() && !waits(object) && !graceful
}

/// Whether there are finalizers; a namespace has its own in its spec.
pub(super) fn waits(object: &Value) -> bool {
    let are_in = |part| object[part]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    are_in("metadata") || object["kind"] == "Namespace" && are_in("spec")
}

pub(super) fn add_finalizer(object: &mut Value, finalizer: &str) {
    let mut all = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !all.iter().any(|present| present == finalizer) {
        all.push(json!(finalizer));
    }
    object["metadata"]["finalizers"] = Value::Array(all);
}

/// Seconds that must pass before the object may go: only pods on a node take their time.
pub(super) fn grace_seconds(resource: &Resource, object: &Value, how: &Deletion) -> i64 {
    let placed = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = object["status"]["phase"].as_str();
    let ended = matches!(phase, Some("Succeeded" | "Failed"));
    if resource != &resource::POD || !placed || ended {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    how.grace_period_seconds.unwrap_or(own).max(0)
}

/// Whether the object is the one that a deletion expects, and as it expects it.
pub(in crate::sim::api) fn expect(
    resource: &Resource,
    name: &str,
    object: &Value,
    how: &Deletion,
) -> Result<(), Refusal> {
    let checks = [
        ("uid", "UID", &how.uid, "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", &how.resource_version, "modified"),
    ];
    for (field, words, expected, happened) in checks {
        let found = object["metadata"][field].as_str().unwrap_or_default();
        if let Some(expected) = expected.as_deref().filter(|expected| *expected != found) {
            let why = format!(
                "the {words} in the precondition ({expected}) does not match the {words} in record ({found}). The object might have been {happened}"
            );
            return Err(Refusal::precondition(resource, name, &why));
        }
    }
    Ok(())
}

/// Five characters that differ from call to call, in the API server's alphabet.
pub(super) fn suffix(serial: u64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = ALPHABET.len() as u64;
    // A step that has no factor in common with the number of names, so that none comes twice.
    let mut rest = serial.wrapping_mul(7_368_787) % base.pow(5);
    let mut text = String::new();
    for _ in 0..5 {
        let index = usize::try_from(rest % base).unwrap_or(0);
        text.push(char::from(ALPHABET[index]));
        rest /= base;
    }
    text
}

/// A small checksum, so that uids of different objects differ at their beginning.
pub(super) fn crc(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

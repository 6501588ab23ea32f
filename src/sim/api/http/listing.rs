//! Lists, whole or in pieces.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Context, selector::Filter};
use crate::sim::api::{Key, Refusal, Store};

/// The objects that the request selects.
pub(super) fn list(store: &Store, context: &Context) -> Result<Value, Refusal> {
    let query = &context.request.query;
    let filter = Filter::of(context)?;
    let wanted = version(query.get("resourceVersion"))?;
    let exact = query.get("resourceVersionMatch") == Some("Exact");
    if query.get("resourceVersionMatch").is_some() && wanted == 0 && exact {
        let why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(Refusal::options(
            "ListOptions",
            "resourceVersionMatch",
            "FieldValueForbidden",
            why,
        ));
    }
    let begun = query.get("continue").filter(|token| !token.is_empty()).map(read_token);
    let begun = begun.transpose()?;
    if wanted > store.version() {
        return Err(too_large(wanted, store.version()));
    }
    let at = match &begun {
        Some((version, _)) => *version,
        None if exact => wanted,
        None => store.version(),
    };
    let all = objects_at(store, context, at).ok_or_else(|| {
        if begun.is_some() {
            Refusal::new(410, "Expired", "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.")
        } else {
            expired(at)
        }
    })?;
    let after = begun.map(|(_, key)| key);
    let mut passing = all
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, object)| filter.passes(object));
    let limit = query.number("limit").filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let taken: Vec<(Key, Arc<Value>)> = match limit {
        Some(limit) => passing.by_ref().take(limit).collect(),
        None => passing.by_ref().collect(),
    };
    let left = passing.count();
    let mut metadata = json!({"resourceVersion": at.to_string()});
    if context.resource.custom {
        metadata["continue"] = json!("");
    }
    if left > 0
        && let Some((last, _)) = taken.last()
    {
        metadata["continue"] = json!(token(at, last));
        if filter.is_empty() {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    let items: Vec<Value> = taken.iter().map(|(_, object)| item(context, object)).collect();
    Ok(json!({
        "kind": format!("{}List", context.resource.kind),
        "apiVersion": context.api_version(),
        "metadata": metadata,
        "items": items,
    }))
}

/// Entries of typed lists do not say again what they are.
fn item(context: &Context, object: &Value) -> Value {
    let mut object = context.shown(object);
    if !context.resource.custom
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

/// A resource version; 0 for none.
pub(super) fn version(text: Option<&str>) -> Result<u64, Refusal> {
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let why = format!(
            "Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
        );
        Refusal::new(500, "", format!("resourceVersion: {why}"))
    })
}

/// The objects as they were at a version; none if the changes since are no longer kept.
fn objects_at(store: &Store, context: &Context, at: u64) -> Option<BTreeMap<Key, Arc<Value>>> {
    let namespace = Some(context.namespace).filter(|namespace| !namespace.is_empty());
    let present = store.list(context.resource, namespace);
    let mut objects: BTreeMap<Key, Arc<Value>> =
        present.map(|(key, object)| (key.clone(), object.clone())).collect();
    if at == store.version() {
        return Some(objects);
    }
    let changes: Vec<_> = store.changes_since(at)?.collect();
    for change in changes.into_iter().rev().filter(|change| change.resource == context.resource) {
        if namespace.is_some_and(|namespace| change.key.0 != namespace) {
            continue;
        }
        match &change.before {
            Some(before) => objects.insert(change.key.clone(), before.clone()),
            None => objects.remove(&change.key),
        };
    }
    Some(objects)
}

fn token(version: u64, key: &Key) -> String {
    format!("{version}:{}/{}", key.0, key.1)
}

fn read_token(text: &str) -> Result<(u64, Key), Refusal> {
    let read = || {
        let (version, key) = text.split_once(':')?;
        let (namespace, name) = key.split_once('/')?;
        Some((version.parse().ok()?, (namespace.to_owned(), name.to_owned())))
    };
    read().ok_or_else(|| {
        Refusal::bad_request("invalid continue token: continue key is not valid: no token")
    })
}

/// The version is no longer kept.
pub(super) fn expired(version: u64) -> Refusal {
    let message = format!("The resourceVersion for the provided list is too old: {version}");
    Refusal::new(410, "Expired", message)
}

fn too_large(version: u64, present: u64) -> Refusal {
    let message = format!("Timeout: Too large resource version: {version}, current: {present}");
    let mut refusal = Refusal::new(504, "Timeout", message);
    refusal.details = json!({
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    });
    refusal
}

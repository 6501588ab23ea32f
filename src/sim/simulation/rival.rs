//! Somebody else who writes to an object just before the controller does.
//!
//! In: the controller's request, before it is carried out. Out: the object changed in what is not the
//! controller's, or changed back the next time. The controller's write was decided on the object as it
//! was: without a precondition it would meet others' routes and subsets at the places where its own were.

use serde_json::{Value, json};

use super::Store;
use crate::sim::api::{http::RequestSummary, resource, store::writer};

/// What the other calls their routes, subsets and annotations.
pub(super) const RIVAL: &str = "rival";

/// Writes before the request, if it is a write to an object that is there.
pub(super) fn write(store: &mut Store, request: &RequestSummary) {
    let Some(resource) = request.resource.filter(|_| !request.name.is_empty()) else { return };
    let present = store.get(resource, &request.namespace, &request.name).cloned();
    let Some(present) = present else { return };
    let mut new = (*present).clone();
    match resource {
        resource if *resource == resource::VIRTUAL_SERVICE => {
            let route = json!({"name": RIVAL, "match": [{"headers": {"x-rival": {"exact": "1"}}}],
                "route": [{"destination": {"host": "rival"}, "weight": 60},
                    {"destination": {"host": "older"}, "weight": 40}]});
            toggle(&mut new["spec"]["http"], route);
        }
        resource if *resource == resource::DESTINATION_RULE => {
            let subset = json!({"name": RIVAL, "labels": {"app": "rival"}});
            toggle(&mut new["spec"]["subsets"], subset);
        }
        _ => {
            let annotations = &mut new["metadata"]["annotations"];
            if !annotations.is_object() {
                *annotations = json!({});
            }
            let had = annotations.as_object_mut().and_then(|all| all.remove(RIVAL));
            if had.is_none() {
                annotations[RIVAL] = json!("was here");
            }
        }
    }
    let key = (request.namespace.clone(), request.name.clone());
    // It may be refused as anybody's.
    let _ = store.replace(&writer(RIVAL), resource, &key, new);
}

/// Puts an entry before all others, or takes it away again.
fn toggle(list: &mut Value, entry: Value) {
    let Some(list) = list.as_array_mut() else { return };
    if list.first().is_some_and(|first| first["name"] == *RIVAL) {
        list.remove(0);
    } else {
        list.insert(0, entry);
    }
}

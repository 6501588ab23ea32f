//! Evicting: the subresource through which drains, and whoever is polite, delete pods.

use serde_json::json;

use super::{Answer, Context};
use crate::sim::api::{Refusal, Store, eviction};

/// Evicts the pod that the path names.
pub(super) fn evict(store: &mut Store, context: &Context) -> Result<Answer, Refusal> {
    let body = context.body()?;
    if body["metadata"]["name"] != *context.name {
        let message = "name in URL does not match name in Eviction object";
        return Err(Refusal::bad_request(message));
    }
    let options = &body["deleteOptions"];
    let how = context.deletion_of(options)?;
    let (by, key) = (context.writer(), context.key());
    if options["dryRun"].as_array().is_some_and(|dry| !dry.is_empty()) {
        eviction::evict(&mut store.scratch(), &by, &key, how)?;
    } else {
        eviction::evict(store, &by, &key, how)?;
    }
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(Answer::Json { status: 201, body, warnings: Vec::new() })
}

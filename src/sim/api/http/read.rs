//! Reading single objects.

use serde_json::Value;

use super::Context;
use crate::sim::api::{Refusal, Store};

/// One object.
pub(super) fn get(store: &Store, context: &Context) -> Result<Value, Refusal> {
    let object = present(store, context)?;
    Ok(context.shown(object))
}

/// The object that the path names.
pub(super) fn present<'s>(store: &'s Store, context: &Context) -> Result<&'s Value, Refusal> {
    store
        .get(context.resource, context.namespace, context.name)
        .map(|object| &**object)
        .ok_or_else(|| Refusal::not_found(context.resource, context.name))
}

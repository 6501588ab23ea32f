//! What happens to an object before it is stored: defaults, pruning, validation.

use serde_json::Value;

use super::{Refusal, Resource, resource};

/// Completes `new` and judges it. `old` is the present object, none for a new one.
///
/// # Errors
/// The object breaks the rules of its kind.
pub fn admit(
    _resource: &Resource,
    _subresource: Option<&str>,
    _old: Option<&Value>,
    _new: &mut Value,
) -> Result<(), Refusal> {
    Ok(())
}

/// Whether the API server counts changes of the spec for this kind.
pub fn has_generation(resource: &Resource) -> bool {
    let counted = [
        &resource::REPLICA_SET,
        &resource::DEPLOYMENT,
        &resource::JOB,
        &resource::POD,
        &resource::ENDPOINT_SLICE,
        &resource::DISRUPTION_BUDGET,
    ];
    resource.custom || counted.contains(&resource)
}

/// Whether what counts for the generation differs.
pub fn differs_in_spec(resource: &Resource, old: &Value, new: &Value) -> bool {
    if !resource.custom {
        return old["spec"] != new["spec"];
    }
    let fields = old.as_object().into_iter().flatten().chain(new.as_object().into_iter().flatten());
    let counted = |field: &str| field != "metadata" && !(resource.status && field == "status");
    fields.map(|(field, _)| field).any(|field| counted(field) && old.get(field) != new.get(field))
}

//! What happens to an object before it is stored: defaults, pruning, validation.
//!
//! In: the object as a request leaves it, and the one before. Out: the object as it is stored, or a
//! [`Refusal`] with every broken rule. Our kinds go by the schema and the CEL rules of their
//! definitions; built-in kinds by the few rules that people meet.

mod autoscaler;
mod builtin;
mod causes;
mod decode;
mod defaults;
mod definitions;
mod metadata;
mod names;
mod pods;
mod rules;
mod schema;
mod shape;

use serde_json::{Value, json};

use super::{Refusal, Resource, resource};
use crate::traffic::istio::virtual_service::validate_istio;
pub use causes::Cause;
pub use decode::judge as decodable;
pub use definitions::definition;
pub(super) use pods::{default, quality};

/// Completes `new` and judges it. `old` is the present object, none for a new one.
///
/// # Errors
/// The object breaks the rules of its kind.
pub fn admit(
    resource: &Resource,
    subresource: Option<&str>,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<(), Refusal> {
    admit_with(resource, subresource, old, new, &|_| Ok(()))
}

/// The same, where `complete` fills in what other objects say before the object is judged.
///
/// # Errors
/// The object breaks the rules of its kind, or `complete` refuses it.
pub fn admit_with(
    resource: &Resource,
    subresource: Option<&str>,
    old: Option<&Value>,
    new: &mut Value,
    complete: &dyn Fn(&mut Value) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    metadata::tidy(new);
    if old.is_none() {
        begin_status(resource, new);
    }
    if let Some(schema) = definitions::schema(resource) {
        // Of a write to the status, the rest is as it was.
        if subresource == Some("status") {
            let schema = &schema["properties"]["status"];
            if let Some(status) = new.get_mut("status") {
                shape::prune_field(schema, status);
                defaults::fill(schema, status);
            }
        } else {
            shape::prune(schema, new);
            defaults::fill(schema, new);
        }
        causes.extend(metadata::judge(resource, old, new));
        causes.extend(schema::judge(schema, subresource, old, new));
        causes.extend(size(resource, new));
        if causes.iter().any(causes::is_blocking) {
            causes.push(causes::unchecked());
        } else {
            causes.extend(rules::judge(schema, subresource, old, new));
        }
    } else if !resource.custom {
        if subresource != Some("status") {
            builtin::complete(resource, new);
            match old {
                Some(old) => builtin::keep(resource, old, new),
                None => complete(new)?,
            }
            causes.extend(builtin::judge(resource, old, new));
        }
        causes.extend(metadata::judge(resource, old, new));
    } else {
        causes.extend(metadata::judge(resource, old, new));
        if resource == &resource::VIRTUAL_SERVICE && subresource.is_none() {
            validate_istio(new).map_err(|error| by_webhook(&error.to_string()))?;
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    Err(Refusal::invalid(resource, name, &causes))
}

/// The fields of `object` that its kind's schema does not know, as paths. None for kinds without a
/// schema here.
pub fn unknown_fields(resource: &Resource, object: &Value) -> Vec<String> {
    definitions::schema(resource).map_or_else(Vec::new, |schema| shape::unknown(schema, object))
}

/// What the scale's own check says of the size, beside the schema.
fn size(resource: &Resource, new: &Value) -> Option<Cause> {
    let size = &new["spec"]["replicas"];
    let path = ".spec.replicas";
    let (zero, kind) = match size {
        _ if !resource.scale => return None,
        Value::String(_) => (json!(0), "string"),
        Value::Number(number) if number.is_f64() => (json!(0), "float64"),
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => {
            return Some(causes::invalid(path, size, "should be a non-negative integer"));
        }
        _ => return None,
    };
    let text = size.as_str().map_or_else(|| size.to_string(), str::to_owned);
    let why = format!("{path} accessor error: {text} is of the type {kind}, expected int64");
    Some(causes::invalid(path, &zero, &why))
}

fn by_webhook(why: &str) -> Refusal {
    let message = format!(
        "admission webhook \"validation.istio.io\" denied the request: configuration is invalid: {why}"
    );
    Refusal::new(400, "BadRequest", message)
}

/// A new object has the status that the server gives it, not the one that was sent.
fn begin_status(resource: &Resource, new: &mut Value) {
    if !resource.status || resource.custom {
        return;
    }
    new["status"] = match resource.kind {
        "ReplicaSet" => json!({"replicas": 0}),
        "Service" => json!({"loadBalancer": {}}),
        "Namespace" => json!({"phase": "Active"}),
        "Pod" => json!({"phase": "Pending", "qosClass": quality(&new["spec"])}),
        "PodDisruptionBudget" => json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        }),
        "HorizontalPodAutoscaler" => json!({"currentMetrics": null, "desiredReplicas": 0}),
        "PersistentVolumeClaim" => json!({"phase": "Pending"}),
        "StatefulSet" => json!({"replicas": 0, "availableReplicas": 0}),
        "DaemonSet" => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
            "numberReady": 0,
        }),
        _ => json!({}),
    };
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
        &resource::PRIORITY_CLASS,
        &resource::POD_TEMPLATE,
        &resource::STATEFUL_SET,
        &resource::DAEMON_SET,
        &resource::CRON_JOB,
        &resource::NETWORK_POLICY,
        &resource::INGRESS,
    ];
    resource.custom || counted.contains(&resource)
}

/// Whether what counts for the generation differs.
pub fn differs_in_spec(resource: &Resource, old: &Value, new: &Value) -> bool {
    if !resource.custom {
        let field = if resource == &resource::POD_TEMPLATE { "template" } else { "spec" };
        return old[field] != new[field];
    }
    let fields = old.as_object().into_iter().flatten().chain(new.as_object().into_iter().flatten());
    let counted = |field: &str| field != "metadata" && !(resource.status && field == "status");
    fields.map(|(field, _)| field).any(|field| counted(field) && old.get(field) != new.get(field))
}

#[cfg(test)]
mod tests;

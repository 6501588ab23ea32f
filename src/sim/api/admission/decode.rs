//! Whether an object has the types of its kind, as the API server decodes it into a struct before
//! it looks at anything else.

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::{CronJob, Job},
        core::v1::{
            ConfigMap, LimitRange, Namespace, Pod, PodTemplate, ResourceQuota, Secret, Service,
            ServiceAccount,
        },
        discovery::v1::EndpointSlice,
        policy::v1::PodDisruptionBudget,
        scheduling::v1::PriorityClass,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::sim::api::{Refusal, Resource};

/// Refuses what cannot be read as an object of its kind. Of custom resources only the metadata are
/// looked at here; their schema judges the rest.
///
/// # Errors
/// With the field's type as it was found, and as it should be.
pub fn judge(resource: &Resource, object: &Value) -> Result<(), Refusal> {
    let metadata = object.get("metadata").filter(|metadata| !metadata.is_null());
    let read = metadata
        .map_or(Ok(()), read::<ObjectMeta>)
        .and_then(|()| if resource.custom { Ok(()) } else { builtin(resource.kind, object) });
    read.map_err(|why| {
        let (kind, version) = (resource.kind, resource.versions.first().unwrap_or(&"v1"));
        let message =
            format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}");
        Refusal::new(400, "BadRequest", message)
    })
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<(), String> {
    // From a reference: a copy is made only of what is kept, and nothing is.
    T::deserialize(value).map(drop).map_err(|error| error.to_string())
}

fn builtin(kind: &str, object: &Value) -> Result<(), String> {
    match kind {
        "ConfigMap" => read::<ConfigMap>(object),
        "CronJob" => read::<CronJob>(object),
        "DaemonSet" => read::<DaemonSet>(object),
        "Deployment" => read::<Deployment>(object),
        "EndpointSlice" => read::<EndpointSlice>(object),
        "HorizontalPodAutoscaler" => read::<HorizontalPodAutoscaler>(object),
        "Job" => read::<Job>(object),
        "LimitRange" => read::<LimitRange>(object),
        "Namespace" => read::<Namespace>(object),
        "Pod" => read::<Pod>(object),
        "PodDisruptionBudget" => read::<PodDisruptionBudget>(object),
        "PodTemplate" => read::<PodTemplate>(object),
        "PriorityClass" => read::<PriorityClass>(object),
        "ReplicaSet" => read::<ReplicaSet>(object),
        "ResourceQuota" => read::<ResourceQuota>(object),
        "Secret" => read::<Secret>(object),
        "Service" => read::<Service>(object),
        "ServiceAccount" => read::<ServiceAccount>(object),
        "StatefulSet" => read::<StatefulSet>(object),
        _ => Ok(()),
    }
}

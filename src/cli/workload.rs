//! Where a Rollout's pod template stands: in itself, or in the workload that it names.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplate,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
};
use serde_json::Value;

use crate::{
    api::{Rollout, WorkloadRef},
    world::WorkloadKind,
};

/// The object that holds the pod template.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Its kind, as the API server serves it.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// Where in it the template is, as a JSON pointer.
    pub template: &'static str,
}

impl Holder {
    /// The holder of the Rollout's template; none for a workload of a kind that cannot be named.
    pub fn of(rollout: &Rollout) -> Option<Self> {
        match &rollout.spec.workload_ref {
            Some(reference) => Self::of_workload(reference),
            None => Some(Self {
                resource: ApiResource::erase::<Rollout>(&()),
                name: rollout.name_any(),
                template: "/spec/template",
            }),
        }
    }

    /// The workload that is named.
    pub fn of_workload(reference: &WorkloadRef) -> Option<Self> {
        let (resource, template) = match WorkloadKind::named(&reference.kind)? {
            WorkloadKind::Deployment => (ApiResource::erase::<Deployment>(&()), "/spec/template"),
            WorkloadKind::ReplicaSet => (ApiResource::erase::<ReplicaSet>(&()), "/spec/template"),
            WorkloadKind::PodTemplate => (ApiResource::erase::<PodTemplate>(&()), "/template"),
        };
        Some(Self { resource, name: reference.name.clone(), template })
    }

    /// The objects of its kind.
    pub fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource)
    }

    /// `Deployment web`.
    pub fn text(&self) -> String {
        format!("{} {}", self.resource.kind, self.name)
    }
}

/// Whether the Rollout's status speaks of an older state of the workload, whose newest edit may be a
/// release. One that cannot be read is no reason to wait.
pub async fn is_ahead(client: &Client, namespace: &str, rollout: &Rollout) -> bool {
    let reference = rollout.spec.workload_ref.as_ref();
    let Some(holder) = reference.and_then(Holder::of_workload) else { return false };
    let found = holder.api(client, namespace).get_opt(&holder.name).await;
    let generation = found.ok().flatten().and_then(|object| object.metadata.generation);
    let status = rollout.status.as_ref();
    generation.is_some() && generation > status.and_then(|s| s.workload_observed_generation)
}

/// The pods that a workload has of its own, in a few words; none for a kind without pods.
pub fn own_pods(object: &DynamicObject) -> Option<String> {
    let count = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_i64);
    object.data.get("spec")?;
    let wanted = count("/spec/replicas").unwrap_or(1);
    let ready = count("/status/readyReplicas").unwrap_or(0);
    Some(match (wanted, ready) {
        (0, 0) => "no pods of its own".to_owned(),
        _ => format!("{wanted} pods of its own wanted, {ready} ready"),
    })
}

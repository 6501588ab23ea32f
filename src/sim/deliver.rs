//! The controller's watches, without a network: changes of the store go into its caches.
//!
//! In: the store's log. Out: caches as the watches of `controller::watches` would fill them, with the
//! same labels selected, and who must look again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    batch::v1::Job,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::{Change, Resource, Store, resource};
use crate::{
    api::{REVISION_LABEL, RUN_LABEL},
    observe::{Caches, Kind, Object, Touched, Watched},
    world::WorkloadKind,
};

/// What the controller watches: the kind, its resource, and the label that an object must have.
const WATCHED: [(Kind, &Resource, Option<&str>); 16] = [
    (Kind::Rollout, &resource::ROLLOUT, None),
    (Kind::ReplicaSet, &resource::REPLICA_SET, Some(REVISION_LABEL)),
    (Kind::Pod, &resource::POD, Some(REVISION_LABEL)),
    (Kind::JobPod, &resource::POD, Some(RUN_LABEL)),
    (Kind::Service, &resource::SERVICE, None),
    (Kind::EndpointSlice, &resource::ENDPOINT_SLICE, None),
    (Kind::Job, &resource::JOB, Some(RUN_LABEL)),
    (Kind::AnalysisTemplate, &resource::ANALYSIS_TEMPLATE, None),
    (Kind::ClusterAnalysisTemplate, &resource::CLUSTER_ANALYSIS_TEMPLATE, None),
    (Kind::AnalysisRun, &resource::ANALYSIS_RUN, None),
    (Kind::VirtualService, &resource::VIRTUAL_SERVICE, None),
    (Kind::DestinationRule, &resource::DESTINATION_RULE, None),
    (Kind::Autoscaler, &resource::AUTOSCALER, None),
    (Kind::Workload(WorkloadKind::Deployment), &resource::DEPLOYMENT, None),
    (Kind::Workload(WorkloadKind::ReplicaSet), &resource::REPLICA_SET, None),
    (Kind::Workload(WorkloadKind::PodTemplate), &resource::POD_TEMPLATE, None),
];

/// Lists everything into empty caches, as a controller does when it starts.
pub(super) fn list(store: &Store, caches: &Caches, now: Timestamp) {
    for (kind, resource, label) in WATCHED {
        caches.begin_listing(kind);
        for (_, object) in store.list(resource, None) {
            if has(object, label)
                && let Some(object) = observed(kind, object)
            {
                caches.put(object, now);
            }
        }
        caches.end_listing(kind);
    }
}

/// Takes in one change. Returns who must look again.
pub(super) fn take_in(change: &Change, caches: &Caches, now: Timestamp) -> BTreeSet<Touched> {
    let mut touched = BTreeSet::new();
    for (kind, resource, label) in WATCHED {
        if resource.kind != change.resource.kind {
            continue;
        }
        let shown = |object: &Value| has(object, label);
        if let Some(after) = change.after.as_deref().filter(|after| shown(after)) {
            touched.extend(
                observed(kind, after).map(|object| caches.put(object, now)).into_iter().flatten(),
            );
        } else if let Some(before) = change.before.as_deref().filter(|before| shown(before)) {
            // A watch shows the last state under the version of the deletion.
            let mut last = before.clone();
            last["metadata"]["resourceVersion"] = Value::String(change.version.to_string());
            touched.extend(
                observed(kind, &last).map(|object| caches.remove(&object)).into_iter().flatten(),
            );
        }
    }
    touched
}

fn has(object: &Value, label: Option<&str>) -> bool {
    label.is_none_or(|label| !object["metadata"]["labels"][label].is_null())
}

/// The object as a watch decodes it. None if it cannot be decoded, as there.
fn observed(kind: Kind, object: &Value) -> Option<Object> {
    fn decoded<T: DeserializeOwned + Watched>(kind: Kind, object: &Value) -> Option<Object> {
        Some(T::deserialize(object).ok()?.observed(kind))
    }
    match kind {
        Kind::ReplicaSet => decoded::<ReplicaSet>(kind, object),
        Kind::Pod | Kind::JobPod => decoded::<Pod>(kind, object),
        Kind::Service => decoded::<Service>(kind, object),
        Kind::EndpointSlice => decoded::<EndpointSlice>(kind, object),
        Kind::Job => decoded::<Job>(kind, object),
        _ => decoded::<DynamicObject>(kind, object),
    }
}

//! The controller's watches, without a network: changes of the store go into its caches.
//!
//! In: the store's log. Out: caches as the watches of `controller::watches` would fill them, with the
//! same labels selected, and who must look again. A network may be bad: changes come late, twice, or
//! are lost with their watch until the next listing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

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

/// How news of the API server travels. By default all of it comes at once.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// How late the changes of a kind come; those of one kind stay in their order.
    pub late: BTreeMap<&'static str, Duration>,
    /// Kinds whose watch is lost: what happens meanwhile is seen when they are listed again.
    pub lost: BTreeSet<&'static str>,
    /// Whether each change comes twice, with the state before it in between.
    pub twice: bool,
}

/// What one controller has yet to be told.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The version up to which the log was read.
    read: u64,
    waiting: BTreeMap<&'static str, VecDeque<(Timestamp, Change)>>,
    /// Kinds to be listed when their watch is back.
    lost: BTreeSet<&'static str>,
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Changes, in the order in which they came.
    pub(super) changes: Vec<Change>,
    /// Kinds that were listed.
    pub(super) listed: Vec<&'static str>,
    /// Who must look again, in the order of the changes.
    pub(super) touched: Vec<Touched>,
}

impl Inbox {
    /// Of a controller that has just listed everything.
    pub(super) fn from(store: &Store) -> Self {
        Self { read: store.version(), ..Self::default() }
    }

    /// When the next change comes.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting.values().filter_map(|queue| queue.front().map(|(due, _)| *due)).min()
    }

    /// Whether all that happened was told.
    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.waiting.values().all(VecDeque::is_empty)
    }

    /// Delivers what is due into the caches.
    pub(super) fn deliver(
        &mut self,
        store: &Store,
        network: &Network,
        caches: &Caches,
        clock: Timestamp,
    ) -> News {
        let now = store.time().now();
        let mut news = News::default();
        if let Some(changes) = store.changes_since(self.read) {
            for change in changes {
                let kind = change.resource.kind;
                let late = network.late.get(kind).copied().unwrap_or_default();
                let due = now.checked_add(late).unwrap_or(now);
                let queue = self.waiting.entry(kind).or_default();
                let due = queue.back().map_or(due, |(last, _)| due.max(*last));
                queue.push_back((due, change.clone()));
            }
        } else {
            self.lost.extend(WATCHED.map(|(_, resource, _)| resource.kind));
        }
        self.read = store.version();
        for kind in &network.lost {
            self.lost.insert(kind);
            self.waiting.remove(kind);
        }
        for kind in std::mem::take(&mut self.lost) {
            if network.lost.contains(kind) {
                self.lost.insert(kind);
                continue;
            }
            self.waiting.remove(kind);
            news.touched.extend(list_again(store, caches, kind, clock));
            news.listed.push(kind);
        }
        // Across kinds the order of the changes holds among those that are due.
        let mut due: Vec<Change> = Vec::new();
        for queue in self.waiting.values_mut() {
            while queue.front().is_some_and(|(at, _)| *at <= now) {
                due.extend(queue.pop_front().map(|(_, change)| change));
            }
        }
        due.sort_by_key(|change| change.version);
        for change in &due {
            news.touched.extend(take_in(change, caches, clock));
            if network.twice {
                news.touched.extend(again(change, caches, clock));
            }
        }
        news.changes = due;
        news
    }
}

/// The state before a change, and the change once more.
fn again(change: &Change, caches: &Caches, now: Timestamp) -> BTreeSet<Touched> {
    let mut touched = BTreeSet::new();
    if change.after.is_some() && change.before.is_some() {
        let old = Change { before: None, after: change.before.clone(), ..change.clone() };
        touched.extend(take_in(&old, caches, now));
    }
    touched.extend(take_in(change, caches, now));
    touched
}

/// Lists one kind anew, as after a watch that was answered 410.
fn list_again(store: &Store, caches: &Caches, name: &str, now: Timestamp) -> BTreeSet<Touched> {
    let mut touched = BTreeSet::new();
    for (kind, resource, label) in WATCHED {
        if resource.kind != name {
            continue;
        }
        caches.begin_listing(kind);
        for (_, object) in store.list(resource, None).filter(|(_, object)| has(object, label)) {
            touched.extend(
                observed(kind, object).map(|object| caches.put(object, now)).into_iter().flatten(),
            );
        }
        touched.extend(caches.end_listing(kind));
    }
    touched
}

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

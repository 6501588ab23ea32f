//! The kinds that are watched: how an object is taken in, and who must look again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::ReplicaSet,
    batch::v1::Job,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    api::{DynamicObject, ObjectMeta},
    core::Resource,
};

use super::{
    Caches,
    cache::{Cache, Cached, Key},
    claims::Named,
    seen,
};
use crate::{
    traffic::istio::{destination_rule, host::service_of},
    world::WorkloadKind,
};

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Rollout.
    Rollout,
    /// `ReplicaSet`.
    ReplicaSet,
    /// Pod.
    Pod,
    /// Service.
    Service,
    /// `EndpointSlice`.
    EndpointSlice,
    /// `VirtualService`.
    VirtualService,
    /// `DestinationRule`.
    DestinationRule,
    /// `AnalysisTemplate`.
    AnalysisTemplate,
    /// `ClusterAnalysisTemplate`.
    ClusterAnalysisTemplate,
    /// `AnalysisRun`.
    AnalysisRun,
    /// Job.
    Job,
    /// Pod of a Job of an `AnalysisRun`.
    JobPod,
    /// A workload that Rollouts may name.
    Workload(WorkloadKind),
    /// `HorizontalPodAutoscaler`.
    Autoscaler,
}

/// Who must look again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// A Rollout.
    Rollout(Key),
    /// An AnalysisRun.
    Run(Key),
    /// The requests to revisions of a Rollout whose pods are due to go.
    Drain(Key),
    /// What is to be said about a Rollout's releases to one target, which is named.
    Notice(Key, String),
}

/// An object as a watch or the answer to a write brings it.
#[derive(Clone, Debug)]
pub enum Object {
    /// A `ReplicaSet`.
    ReplicaSet(Box<ReplicaSet>),
    /// A pod of a `ReplicaSet` or Job.
    Pod(Kind, Box<Pod>),
    /// A Service.
    Service(Box<Service>),
    /// An `EndpointSlice`.
    EndpointSlice(Box<EndpointSlice>),
    /// A Job.
    Job(Box<Job>),
    /// An object of one of the other kinds.
    Dynamic(Kind, Box<DynamicObject>),
}

/// Objects that a watch can bring.
pub trait Watched: Sized {
    /// The object with its kind.
    fn observed(self, kind: Kind) -> Object;
}

impl Watched for ReplicaSet {
    fn observed(self, _: Kind) -> Object {
        Object::ReplicaSet(Box::new(self))
    }
}

impl Watched for Pod {
    fn observed(self, kind: Kind) -> Object {
        Object::Pod(kind, Box::new(self))
    }
}

impl Watched for Service {
    fn observed(self, _: Kind) -> Object {
        Object::Service(Box::new(self))
    }
}

impl Watched for EndpointSlice {
    fn observed(self, _: Kind) -> Object {
        Object::EndpointSlice(Box::new(self))
    }
}

impl Watched for Job {
    fn observed(self, _: Kind) -> Object {
        Object::Job(Box::new(self))
    }
}

impl Watched for DynamicObject {
    fn observed(self, kind: Kind) -> Object {
        Object::Dynamic(kind, Box::new(self))
    }
}

impl Object {
    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::ReplicaSet(object) => object.meta(),
            Self::Pod(_, object) => object.meta(),
            Self::Service(object) => object.meta(),
            Self::EndpointSlice(object) => object.meta(),
            Self::Job(object) => object.meta(),
            Self::Dynamic(_, object) => object.meta(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::ReplicaSet(_) => Kind::ReplicaSet,

            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Job(_) => Kind::Job,
            Self::Pod(kind, _) | Self::Dynamic(kind, _) => *kind,
        }
    }
}

impl Caches {
    /// Takes in an object. Returns who must look again because of it.
    pub fn put(&self, object: Object, now: Timestamp) -> BTreeSet<Touched> {
        let meta = object.meta();
        let key =
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        let version = meta.resource_version.clone().unwrap_or_default();
        let kind = object.kind();
        let mut touched = self.touched(kind, &key);
        let changed = self.store(&key, &version, object, now);
        touched.extend(self.touched(kind, &key));
        if !changed {
            return BTreeSet::new();
        }
        if let Kind::Rollout = kind {
            touched.extend(self.reclaim(&key));
        }
        touched
    }

    fn store(&self, key: &Key, version: &str, object: Object, now: Timestamp) -> bool {
        let key = key.clone();
        match object {
            Object::ReplicaSet(object) => {
                self.replica_sets.take(key, version, now, |_| seen::replica_set(*object))
            }
            Object::Pod(Kind::JobPod, object) => {
                self.job_pods.take(key, version, now, |_| seen::job_pod(*object))
            }
            Object::Pod(_, object) => self.pods.take(key, version, now, |_| seen::pod(*object)),
            Object::Service(object) => {
                self.services.take(key, version, now, |_| seen::service(*object))
            }
            Object::EndpointSlice(object) => {
                self.slices.take(key, version, now, |_| seen::slice(*object))
            }
            Object::Job(object) => self.jobs.take(key, version, now, |_| seen::job(*object)),
            Object::Dynamic(kind, object) => match kind {
                Kind::Rollout => self
                    .rollouts
                    .take(key, version, now, |before| seen::rollout(&object, before.as_deref())),
                Kind::VirtualService => {
                    self.virtual_services.take(key, version, now, |_| seen::route(*object))
                }
                Kind::DestinationRule => {
                    self.destination_rules.take(key, version, now, |_| seen::route(*object))
                }
                Kind::AnalysisTemplate => {
                    self.templates.take(key, version, now, |_| seen::template(&object))
                }
                Kind::ClusterAnalysisTemplate => {
                    self.cluster_templates.take(key, version, now, |_| seen::template(&object))
                }
                Kind::AnalysisRun => self.runs.take(key, version, now, |_| seen::run(*object)),
                Kind::Workload(kind) => {
                    let workloads = self.workloads.of(kind);
                    workloads.take(key, version, now, |_| seen::workload(kind, &object))
                }
                Kind::Autoscaler => {
                    self.autoscalers.take(key, version, now, |_| seen::autoscaler(&object))
                }
                // The typed kinds never come as dynamic objects.
                Kind::ReplicaSet
                | Kind::Pod
                | Kind::Service
                | Kind::EndpointSlice
                | Kind::Job
                | Kind::JobPod => false,
            },
        }
    }

    /// Forgets an object that was deleted. Returns who must look again.
    pub fn remove(&self, object: &Object) -> BTreeSet<Touched> {
        let meta = object.meta();
        let key =
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        let version = meta.resource_version.clone().unwrap_or_default();
        self.forget(object.kind(), &key, &version)
    }

    fn forget(&self, kind: Kind, key: &Key, version: &str) -> BTreeSet<Touched> {
        let mut touched = self.touched(kind, key);
        match kind {
            Kind::Rollout => drop(self.rollouts.remove(key, version)),
            Kind::ReplicaSet => drop(self.replica_sets.remove(key, version)),
            Kind::Pod => drop(self.pods.remove(key, version)),
            Kind::Service => drop(self.services.remove(key, version)),
            Kind::EndpointSlice => drop(self.slices.remove(key, version)),
            Kind::VirtualService => drop(self.virtual_services.remove(key, version)),
            Kind::DestinationRule => drop(self.destination_rules.remove(key, version)),
            Kind::AnalysisTemplate => drop(self.templates.remove(key, version)),
            Kind::ClusterAnalysisTemplate => drop(self.cluster_templates.remove(key, version)),
            Kind::AnalysisRun => drop(self.runs.remove(key, version)),
            Kind::Job => drop(self.jobs.remove(key, version)),
            Kind::JobPod => drop(self.job_pods.remove(key, version)),
            Kind::Workload(kind) => drop(self.workloads.of(kind).remove(key, version)),
            Kind::Autoscaler => drop(self.autoscalers.remove(key, version)),
        }
        if kind == Kind::Rollout {
            touched.extend(self.reclaim(key));
        }
        touched
    }

    /// A listing of `kind` begins.
    pub fn begin_listing(&self, kind: Kind) {
        match kind {
            Kind::Rollout => self.rollouts.begin_listing(),
            Kind::ReplicaSet => self.replica_sets.begin_listing(),
            Kind::Pod => self.pods.begin_listing(),
            Kind::Service => self.services.begin_listing(),
            Kind::EndpointSlice => self.slices.begin_listing(),
            Kind::VirtualService => self.virtual_services.begin_listing(),
            Kind::DestinationRule => self.destination_rules.begin_listing(),
            Kind::AnalysisTemplate => self.templates.begin_listing(),
            Kind::ClusterAnalysisTemplate => self.cluster_templates.begin_listing(),
            Kind::AnalysisRun => self.runs.begin_listing(),
            Kind::Job => self.jobs.begin_listing(),
            Kind::JobPod => self.job_pods.begin_listing(),
            Kind::Workload(kind) => self.workloads.of(kind).begin_listing(),
            Kind::Autoscaler => self.autoscalers.begin_listing(),
        }
    }

    /// A listing of `kind` has ended. Returns who must look again because something is gone.
    pub fn end_listing(&self, kind: Kind) -> BTreeSet<Touched> {
        match kind {
            Kind::Rollout => self.ended(kind, &self.rollouts),
            Kind::ReplicaSet => self.ended(kind, &self.replica_sets),
            Kind::Pod => self.ended(kind, &self.pods),
            Kind::Service => self.ended(kind, &self.services),
            Kind::EndpointSlice => self.ended(kind, &self.slices),
            Kind::VirtualService => self.ended(kind, &self.virtual_services),
            Kind::DestinationRule => self.ended(kind, &self.destination_rules),
            Kind::AnalysisTemplate => self.ended(kind, &self.templates),
            Kind::ClusterAnalysisTemplate => self.ended(kind, &self.cluster_templates),
            Kind::AnalysisRun => self.ended(kind, &self.runs),
            Kind::Job => self.ended(kind, &self.jobs),
            Kind::JobPod => self.ended(kind, &self.job_pods),
            Kind::Autoscaler => self.ended(kind, &self.autoscalers),
            Kind::Workload(of) => {
                // Rollouts wait for the first listing.
                let touched = self.rollouts_in(None);
                drop(self.ended(kind, self.workloads.of(of)));
                touched
            }
        }
    }

    fn ended<V: Cached>(&self, kind: Kind, cache: &Cache<V>) -> BTreeSet<Touched> {
        let mut touched = BTreeSet::new();
        for (key, value) in cache.end_listing() {
            touched.extend(self.touched(kind, &key));
            // Its own entry is gone, and with it the name of its group.
            if let Some(group) = value.group() {
                touched.extend(self.touched_group(kind, &(key.0.clone(), group.to_owned())));
            }
            if kind == Kind::Rollout {
                touched.extend(self.reclaim(&key));
            }
        }
        touched
    }

    /// Takes in what a Rollout names, and returns the others that this concerns.
    fn reclaim(&self, key: &Key) -> BTreeSet<Touched> {
        let entry = self.rollouts.get(&key.0, &key.1);
        let parsed = entry.as_ref().and_then(|entry| entry.value.parsed.as_ref().ok());
        let content = parsed.map(|(spec, status)| (&**spec, &**status));
        let created = entry.as_ref().and_then(|entry| entry.value.created);
        self.claims.set(key, created, content).into_iter().map(Touched::Rollout).collect()
    }

    /// Who must look when the object at `key` changes, as far as the caches know it.
    fn touched(&self, kind: Kind, key: &Key) -> BTreeSet<Touched> {
        let namespace = &key.0;
        match kind {
            Kind::Rollout => BTreeSet::from([Touched::Rollout(key.clone())]),
            Kind::ReplicaSet => self.group_of(&self.replica_sets, kind, key),
            Kind::Pod => self.group_of(&self.pods, kind, key),
            Kind::EndpointSlice => self.group_of(&self.slices, kind, key),
            Kind::Job => self.group_of(&self.jobs, kind, key),
            Kind::JobPod => self.group_of(&self.job_pods, kind, key),
            Kind::Autoscaler => self.group_of(&self.autoscalers, kind, key),
            Kind::AnalysisRun => {
                let mut touched = self.group_of(&self.runs, kind, key);
                touched.insert(Touched::Run(key.clone()));
                touched
            }
            Kind::Service => self.claimants(&Named::Service(key.clone()), namespace),
            Kind::VirtualService => self.claimants(&Named::VirtualService(key.clone()), namespace),
            Kind::DestinationRule => {
                self.claimants(&Named::DestinationRule(key.clone()), namespace)
            }
            Kind::Workload(kind) => self.claimants(&Named::Workload(kind, key.clone()), namespace),
            Kind::AnalysisTemplate => self.rollouts_in(Some(namespace)),
            Kind::ClusterAnalysisTemplate => self.rollouts_in(None),
        }
    }

    fn group_of<V: Cached>(&self, cache: &Cache<V>, kind: Kind, key: &Key) -> BTreeSet<Touched> {
        let entry = cache.get(&key.0, &key.1);
        let group = entry.as_ref().and_then(|entry| entry.value.group());
        group.map_or_else(BTreeSet::new, |group| {
            self.touched_group(kind, &(key.0.clone(), group.to_owned()))
        })
    }

    fn touched_group(&self, kind: Kind, group: &Key) -> BTreeSet<Touched> {
        match kind {
            Kind::ReplicaSet | Kind::AnalysisRun | Kind::Autoscaler => {
                BTreeSet::from([Touched::Rollout(group.clone())])
            }
            Kind::Job => BTreeSet::from([Touched::Run(group.clone())]),
            Kind::Pod => self.group_of(&self.replica_sets, Kind::ReplicaSet, group),
            Kind::JobPod => self.group_of(&self.jobs, Kind::Job, group),
            Kind::EndpointSlice => self.claimants(&Named::Service(group.clone()), &group.0),
            _ => BTreeSet::new(),
        }
    }

    /// The Rollouts that name an object; a Service also counts for the DestinationRules in front of it.
    fn claimants(&self, named: &Named, namespace: &str) -> BTreeSet<Touched> {
        let mut keys = self.claims.of(named);
        if let Named::Service((_, name)) = named {
            for (key, entry) in self.destination_rules.with_prefix(namespace, "") {
                let host = destination_rule::host(&entry.value.object).ok();
                let service = host.and_then(|host| service_of(host, namespace));
                if service.is_some_and(|(_, service)| service == *name) {
                    keys.extend(self.claims.of(&Named::DestinationRule(key)));
                }
            }
        }
        keys.into_iter().map(Touched::Rollout).collect()
    }

    fn rollouts_in(&self, namespace: Option<&str>) -> BTreeSet<Touched> {
        let all = self.rollouts.all().into_iter().map(|(key, _)| key);
        let here = all.filter(|key| namespace.is_none_or(|namespace| key.0 == namespace));
        here.map(Touched::Rollout).collect()
    }
}

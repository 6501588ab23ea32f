//! Reads: from the caches to a [`World`], sorted.
//!
//! In: objects, as watches and the answers to our own writes bring them. Out: worlds, and for each
//! object that changed, who must look again. Nothing is judged here.

pub mod cache;
pub mod seen;

mod claims;
mod drains;
mod kinds;
mod problem;

pub use kinds::{Kind, Object, Touched, Watched};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;

use cache::{Cache, Key};
use seen::{
    SeenAutoscaler, SeenJob, SeenJobPod, SeenPod, SeenRollout, SeenRoute, SeenRun, SeenService,
    SeenSlice, SeenTemplate, SeenWorkload,
};

use crate::{
    api::{AnalysisTemplateSpec, PodTemplate, REVISION_LABEL, RolloutSpec},
    traffic::istio::{destination_rule, host::service_of},
    world::{
        self, DestinationRule, Endpoints, ReplicaSet, Route, Run, Service, WorkloadKind,
        WorkloadState, World,
    },
};

/// All caches.
#[derive(Debug, Default)]
pub struct Caches {
    /// Rollouts.
    pub rollouts: Cache<SeenRollout>,
    /// ReplicaSets with a revision label.
    pub replica_sets: Cache<ReplicaSet>,
    /// Pods of such ReplicaSets.
    pub pods: Cache<SeenPod>,
    /// Pods of the Jobs of AnalysisRuns.
    pub job_pods: Cache<SeenJobPod>,
    /// Deployments, ReplicaSets and PodTemplates that Rollouts may name.
    pub workloads: Workloads,
    /// `HorizontalPodAutoscalers`.
    pub autoscalers: Cache<SeenAutoscaler>,
    /// Services.
    pub services: Cache<SeenService>,
    /// EndpointSlices.
    pub slices: Cache<SeenSlice>,
    /// VirtualServices.
    pub virtual_services: Cache<SeenRoute>,
    /// DestinationRules.
    pub destination_rules: Cache<SeenRoute>,
    /// AnalysisTemplates.
    pub templates: Cache<SeenTemplate>,
    /// ClusterAnalysisTemplates.
    pub cluster_templates: Cache<SeenTemplate>,
    /// AnalysisRuns.
    pub runs: Cache<SeenRun>,
    /// Jobs of AnalysisRuns.
    pub jobs: Cache<SeenJob>,
    /// What is known of requests to revisions whose pods are due to go.
    pub drains: drains::Drains,
    claims: claims::Claims,
    taken: Mutex<BTreeSet<Key>>,
    refused_evictions: Mutex<BTreeMap<Key, (Timestamp, String)>>,
    istio_served: AtomicBool,
    has_metrics: AtomicBool,
    confined: AtomicBool,
}

/// The workloads that Rollouts may name, by kind.
#[derive(Debug, Default)]
pub struct Workloads {
    deployments: Cache<SeenWorkload>,
    replica_sets: Cache<SeenWorkload>,
    pod_templates: Cache<SeenWorkload>,
}

impl Workloads {
    /// Those of one kind.
    pub fn of(&self, kind: WorkloadKind) -> &Cache<SeenWorkload> {
        match kind {
            WorkloadKind::Deployment => &self.deployments,
            WorkloadKind::ReplicaSet => &self.replica_sets,
            WorkloadKind::PodTemplate => &self.pod_templates,
        }
    }
}

impl Caches {
    /// Says whether the cluster serves Istio's route kinds.
    pub fn set_istio_served(&self, served: bool) {
        self.istio_served.store(served, Ordering::Relaxed);
    }

    /// Says whether there is a Prometheus to ask for requests.
    pub fn set_has_metrics(&self, there: bool) {
        self.has_metrics.store(there, Ordering::Relaxed);
    }

    /// Says whether only one namespace is watched.
    pub fn set_confined(&self, confined: bool) {
        self.confined.store(confined, Ordering::Relaxed);
    }

    /// Remembers that a ReplicaSet name belongs to somebody else: creating it was refused.
    pub fn remember_taken(&self, namespace: &str, name: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert((namespace.to_owned(), name.to_owned()));
    }

    /// Remembers that a PodDisruptionBudget forbade the eviction of a pod, for as long as it says so.
    pub fn remember_refused_eviction(&self, namespace: &str, pod: &str, now: Timestamp, why: &str) {
        let mut refused = self.refused_evictions.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|(owner, pod), _| self.pods.get(owner, pod).is_some());
        refused.insert((namespace.to_owned(), pod.to_owned()), (now, why.to_owned()));
    }

    /// Forgets refusals of the eviction of a pod: it was evicted.
    pub fn forget_refused_eviction(&self, namespace: &str, pod: &str) {
        let mut refused = self.refused_evictions.lock().unwrap_or_else(PoisonError::into_inner);
        refused.remove(&(namespace.to_owned(), pod.to_owned()));
    }

    /// Whether a Rollout names a workload of this kind: its watch is needed only then.
    pub fn needs_workloads(&self, kind: WorkloadKind) -> bool {
        self.claims.needs(kind)
    }

    fn workload(&self, namespace: &str, spec: &RolloutSpec) -> WorkloadState {
        let Some(reference) = &spec.workload_ref else { return WorkloadState::None };
        let Some(kind) = WorkloadKind::named(&reference.kind) else {
            return WorkloadState::Missing;
        };
        let workloads = self.workloads.of(kind);
        match workloads.get(namespace, &reference.name) {
            Some(entry) => {
                let workload = entry.value.0.clone();
                WorkloadState::Found(world::Workload { since: entry.since, ..workload })
            }
            None if workloads.is_complete() => WorkloadState::Missing,
            None => WorkloadState::Unknown,
        }
    }

    /// Puts together what is known of a Rollout; none if it is gone.
    ///
    /// # Errors
    /// If the object cannot be read as a Rollout: the sentence that says why.
    pub fn world(&self, key: &Key, now: Timestamp) -> Option<Result<World, String>> {
        let (namespace, name) = key;
        let entry = self.rollouts.get(namespace, name)?;
        let seen = &entry.value;
        let (spec, status) = match &seen.parsed {
            Ok((spec, status)) => (spec.clone(), status.clone()),
            Err(error) => return Some(Err(error.clone())),
        };
        let rollout = world::Rollout {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: seen.uid.clone(),
            resource_version: entry.version.clone(),
            generation: seen.generation,
            deleting: seen.deleting,
            finalizers: seen.finalizers.clone(),
            spec: spec.clone(),
            status,
            since: entry.since,
            command: seen.command.clone(),
            object: seen.object.clone(),
        };
        let (revisions, orphans) = self.revisions(key, &seen.uid);
        let program = seen.program.clone();
        let references = program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
        let routes = references.map(|reference| {
            self.route(reference.namespace.as_ref().unwrap_or(namespace), &reference.name)
        });
        let destination_rule = program
            .istio()
            .and_then(|istio| istio.destination_rule.as_ref())
            .and_then(|reference| self.destination_rule(namespace, &reference.name));
        let held = |kind: &'static str| {
            let items = rollout.status.held.iter();
            items.filter_map(move |item| item.strip_prefix(kind)?.strip_prefix('/'))
        };
        let held_services: Vec<String> = held("Service").map(String::from).collect();
        let held_rules = held("DestinationRule").filter_map(|item| {
            let name = item.split('/').next()?;
            Some((name.to_owned(), self.destination_rule(namespace, name)?))
        });
        let workload = self.workload(namespace, &spec);
        let (rival_claims, workload_is_rivals) = self.rivals(key);
        let current = rollout.status.current_revision.as_deref();
        let current = revisions.iter().find(|set| Some(set.revision.as_str()) == current);
        let (template, fingerprint, selector) = match (&workload, current) {
            (WorkloadState::Missing, Some(set)) => remembered(set, &rollout.status.selector),
            _ => template(&spec, seen, &workload),
        };
        let host = destination_rule.as_ref().and_then(|rule| {
            let host = destination_rule::host(&rule.object).ok()?;
            let (owner, name) = service_of(host, namespace)?;
            (owner == namespace).then(|| name.to_owned())
        });
        let in_spec = program.stable_service.iter().chain(&program.canary_service).chain(&host);
        let names: BTreeSet<&String> = in_spec.chain(&held_services).collect();
        Some(Ok(World {
            now,
            template,
            selector,
            fingerprint,
            workload,
            revisions,
            orphans,
            taken_names: self.taken_names(namespace),
            services: self.services_of(namespace, &names),
            endpoints: self.endpoints_of(namespace, &names),
            routes: routes.collect(),
            destination_rule,
            held_rules: held_rules.collect(),
            refused_evictions: self.refused_evictions_of(namespace),
            drains: self.has_metrics.load(Ordering::Relaxed).then(|| self.drains.of(key)),
            autoscaled: !self.autoscalers.in_group(namespace, name).is_empty(),
            istio_served: self.istio_served.load(Ordering::Relaxed),
            reach: self.reach(),
            templates: templates(&self.templates, namespace),
            cluster_templates: templates(&self.cluster_templates, ""),
            runs: self.runs_of(key),
            rival_claims,
            refused: None,
            workload_is_rivals,
            program: program.clone(),
            rollout,
        }))
    }

    fn reach(&self) -> world::Reach {
        if self.confined.load(Ordering::Relaxed) {
            world::Reach::OwnNamespace
        } else {
            world::Reach::AllNamespaces
        }
    }

    /// What Rollouts that were first claim of that which this one names. A claim on a VirtualService of
    /// another namespace counts only with its owner's consent, else anybody could block its releases.
    fn rivals(&self, key: &Key) -> (Vec<String>, bool) {
        self.claims.against(key, &|rival, (owner, name)| {
            let route = self.virtual_services.get(owner, name);
            rival.0 == *owner
                || route.is_some_and(|entry| world::consents(&entry.value.object, &rival.0))
        })
    }

    fn revisions(&self, key: &Key, uid: &str) -> (Vec<ReplicaSet>, Vec<ReplicaSet>) {
        let (namespace, name) = key;
        let mut owned = Vec::new();
        let mut orphans = Vec::new();
        for (_, entry) in self.replica_sets.in_group(namespace, name) {
            let mut set = (*entry.value).clone();
            let pods = self.pods.in_group(namespace, &set.name);
            set.pods = pods.into_iter().map(|(_, entry)| entry.value.pod.clone()).collect();
            match &set.owner {
                Some(by) if by == uid => owned.push(set),
                None if !set.fingerprint.is_empty() => orphans.push(set),
                _ => {}
            }
        }
        // Newest first; the name decides between revisions without a number.
        let order = |set: &ReplicaSet| (std::cmp::Reverse(set.number), set.name.clone());
        owned.sort_by_key(order);
        orphans.sort_by_key(order);
        (owned, orphans)
    }

    fn refused_evictions_of(&self, namespace: &str) -> BTreeMap<String, (Timestamp, String)> {
        let refused = self.refused_evictions.lock().unwrap_or_else(PoisonError::into_inner);
        let here = refused.iter().filter(|((owner, _), _)| owner == namespace);
        here.map(|((_, pod), refusal)| (pod.clone(), refusal.clone())).collect()
    }

    fn taken_names(&self, namespace: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|(owner, _)| owner == namespace).map(|(_, name)| name.clone()).collect()
    }

    fn services_of(&self, namespace: &str, names: &BTreeSet<&String>) -> BTreeMap<String, Service> {
        let found = names.iter().filter_map(|name| {
            let entry = self.services.get(namespace, name)?;
            let selector = entry.value.0.clone();
            let name = (*name).clone();
            Some((name.clone(), Service { name, selector, since: entry.since }))
        });
        found.collect()
    }

    fn endpoints_of(
        &self,
        namespace: &str,
        names: &BTreeSet<&String>,
    ) -> BTreeMap<String, Endpoints> {
        let found = names.iter().map(|name| {
            let mut endpoints = Endpoints::default();
            for (_, entry) in self.slices.in_group(namespace, name) {
                endpoints.ready_pods.extend(entry.value.ready_pods.iter().cloned());
            }
            ((*name).clone(), endpoints)
        });
        found.collect()
    }

    fn route(&self, namespace: &str, name: &str) -> Option<Route> {
        let entry = self.virtual_services.get(namespace, name)?;
        Some(Route {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            resource_version: entry.version.clone(),
            object: entry.value.object.clone(),
            since: entry.since,
            last_writer: entry.value.last_writer.clone(),
        })
    }

    fn destination_rule(&self, namespace: &str, name: &str) -> Option<DestinationRule> {
        let entry = self.destination_rules.get(namespace, name)?;
        Some(DestinationRule {
            name: name.to_owned(),
            resource_version: entry.version.clone(),
            object: entry.value.object.clone(),
            since: entry.since,
        })
    }

    fn runs_of(&self, (namespace, name): &Key) -> BTreeMap<String, Run> {
        let found = self.runs.in_group(namespace, name);
        let found = found.into_iter().filter_map(|((_, name), entry)| {
            let run = entry.value.run.as_ref().ok()?;
            let created = run.metadata.creation_timestamp.as_ref().map(|time| time.0);
            let seen = Run {
                name: name.clone(),
                created: created.unwrap_or_default(),
                terminating: run.spec.terminate,
                endless: seen::is_endless(run),
                status: Arc::new(run.status.clone().unwrap_or_default()),
            };
            Some((name, seen))
        });
        found.collect()
    }
}

/// The pod template with its fingerprint and the labels that select its pods: the Rollout's own, or
/// those of the workload.
fn template(
    spec: &RolloutSpec,
    seen: &SeenRollout,
    workload: &WorkloadState,
) -> (Arc<PodTemplate>, String, BTreeMap<String, String>) {
    let own = spec.selector.as_ref().map(|selector| selector.match_labels.clone());
    match (workload.found(), &spec.template) {
        (Some(workload), _) => (
            workload.template.clone(),
            workload.fingerprint.clone(),
            own.unwrap_or_else(|| workload.selector.clone()),
        ),
        (None, template) => (
            Arc::new(template.clone().unwrap_or_default()),
            seen.fingerprint.clone(),
            own.unwrap_or_default(),
        ),
    }
}

/// The same where the workload is gone: what is known of it from the revision that it asked for.
fn remembered(
    set: &ReplicaSet,
    selector: &str,
) -> (Arc<PodTemplate>, String, BTreeMap<String, String>) {
    let labels = set.pod_labels.iter().map(|(key, value)| (key.clone(), value.clone().into()));
    let metadata = [("labels".to_owned(), serde_json::Value::Object(labels.collect()))];
    let template =
        PodTemplate { metadata: metadata.into_iter().collect(), ..PodTemplate::default() };
    let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.filter(|(key, _)| *key != REVISION_LABEL);
    let selector = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    (Arc::new(template), set.fingerprint.clone(), selector.collect())
}

fn templates(
    cache: &Cache<SeenTemplate>,
    namespace: &str,
) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    let all = cache.with_prefix(namespace, "");
    let read =
        all.into_iter().filter_map(|((_, name), entry)| Some((name, entry.value.0.clone()?)));
    read.collect()
}

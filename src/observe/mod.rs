//! Reads: from the caches to a [`World`], sorted.
//!
//! In: objects, as watches and the answers to our own writes bring them. Out: worlds, and for each
//! object that changed, who must look again. Nothing is judged here.

pub mod cache;
pub mod seen;

mod claims;
mod kinds;

pub use kinds::{Kind, Object, Touched, Watched};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use cache::{Cache, Key};
use seen::{
    SeenJob, SeenJobPod, SeenPod, SeenRollout, SeenRoute, SeenRun, SeenService, SeenSlice,
    SeenTemplate,
};

use crate::{
    api::AnalysisTemplateSpec,
    traffic::istio::{destination_rule, host::service_of},
    world::{self, DestinationRule, Endpoints, ReplicaSet, Route, Run, Service, World},
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
    claims: claims::Claims,
    taken: Mutex<BTreeSet<Key>>,
    istio_served: std::sync::atomic::AtomicBool,
}

impl Caches {
    /// Says whether the cluster serves Istio's route kinds.
    pub fn set_istio_served(&self, served: bool) {
        self.istio_served.store(served, std::sync::atomic::Ordering::Relaxed);
    }

    /// Remembers that a ReplicaSet name belongs to somebody else: creating it was refused.
    pub fn remember_taken(&self, namespace: &str, name: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert((namespace.to_owned(), name.to_owned()));
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
            spec: spec.clone(),
            status,
            since: entry.since,
            command: seen.command.clone(),
            object: seen.object.clone(),
        };
        let (revisions, orphans) = self.revisions(key, &seen.uid);
        let canary = &spec.strategy.canary;
        let istio = &canary.traffic.istio;
        let routes = istio.virtual_services.iter().map(|reference| {
            self.route(reference.namespace.as_ref().unwrap_or(namespace), &reference.name)
        });
        let destination_rule = istio
            .destination_rule
            .as_ref()
            .and_then(|reference| self.destination_rule(namespace, &reference.name));
        let host = destination_rule.as_ref().and_then(|rule| {
            let host = destination_rule::host(&rule.object).ok()?;
            let (owner, name) = service_of(host, namespace)?;
            (owner == namespace).then(|| name.to_owned())
        });
        let names: BTreeSet<&String> =
            canary.stable_service.iter().chain(&canary.canary_service).chain(&host).collect();
        Some(Ok(World {
            now,
            fingerprint: seen.fingerprint.clone(),
            revisions,
            orphans,
            taken_names: self.taken_names(namespace),
            services: self.services_of(namespace, &names),
            endpoints: self.endpoints_of(namespace, &names),
            routes: routes.collect(),
            destination_rule,
            istio_served: self.istio_served.load(std::sync::atomic::Ordering::Relaxed),
            templates: templates(&self.templates, namespace),
            cluster_templates: templates(&self.cluster_templates, ""),
            runs: self.runs_of(key),
            rival_claims: self.claims.against(key, seen.created),
            rollout,
        }))
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

fn templates(
    cache: &Cache<SeenTemplate>,
    namespace: &str,
) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    let all = cache.with_prefix(namespace, "");
    let read =
        all.into_iter().filter_map(|((_, name), entry)| Some((name, entry.value.0.clone()?)));
    read.collect()
}

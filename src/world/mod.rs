//! What is known of one Rollout at one instant, as plain data.
//!
//! In: filled by `observe` from the caches. Out: the sole input of `plan`. Time is only
//! [`World::now`]; lists are sorted, so that the same world always yields the same plan.
//!
//! Several things carry `since`: the instant at which *this process* first saw the relevant content
//! (weights, selector, labels) as it is. It is deliberately not persisted: after a restart it begins
//! anew, so that a delay counted from it can only become longer, never shorter.

pub mod drain;
pub mod fingerprint;
pub mod quantity;

mod pods;
mod program;
mod routes;
mod workload;

pub use pods::{Pod, ReplicaSet};
pub use program::{ACTIVE, Program, ProgramStep, Shift, StrategyKind};
pub use routes::{DestinationRule, Endpoints, Reach, Route, Service, consents};
pub use workload::{Workload, WorkloadKind, WorkloadState};

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::{
    AnalysisRunStatus, AnalysisTemplateSpec, Command, Comparison, ComparisonFinding, PodTemplate,
    RolloutSpec, RolloutStatus, Verdict,
};

/// Everything known of one Rollout at one instant.
#[derive(Clone, Debug)]
pub struct World {
    /// The instant.
    pub now: Timestamp,
    /// The Rollout.
    pub rollout: Rollout,
    /// Its strategy.
    pub program: Arc<Program>,
    /// Its pod template: its own, or that of the workload; empty if that is missing.
    pub template: Arc<PodTemplate>,
    /// Labels that select its pods.
    pub selector: BTreeMap<String, String>,
    /// Fingerprint of the template.
    pub fingerprint: String,
    /// The workload that it names.
    pub workload: WorkloadState,
    /// ReplicaSets that the Rollout owns, newest revision first.
    pub revisions: Vec<ReplicaSet>,
    /// ReplicaSets made by an earlier Rollout of this name and without an owner now.
    pub orphans: Vec<ReplicaSet>,
    /// Names of the namespace's other ReplicaSets that begin with the Rollout's name.
    pub taken_names: Vec<String>,
    /// The Services that the Rollout names and the one behind its DestinationRule, by name.
    pub services: BTreeMap<String, Service>,
    /// Ready endpoints of these Services, by name of the Service.
    pub endpoints: BTreeMap<String, Endpoints>,
    /// The VirtualServices, in the order of the spec; none where it does not exist.
    pub routes: Vec<Option<Route>>,
    /// The DestinationRule, if one is named and exists.
    pub destination_rule: Option<DestinationRule>,
    /// DestinationRules that it held and does not name any more, by name.
    pub held_rules: BTreeMap<String, DestinationRule>,
    /// What the API server said of the last write, while that is tried again.
    pub refused: Option<String>,
    /// Evictions that a PodDisruptionBudget refused, by pod: when, and in which words.
    pub refused_evictions: BTreeMap<String, (Timestamp, String)>,
    /// What is known of the requests to revisions whose pods are due to go, by revision; none where
    /// there is no Prometheus to ask.
    pub drains: Option<BTreeMap<String, drain::Drain>>,
    /// Whether an autoscaler scales it.
    pub autoscaled: bool,
    /// Whether the cluster serves Istio's route kinds.
    pub istio_served: bool,
    /// Which namespaces the controller sees.
    pub reach: Reach,
    /// AnalysisTemplates of the namespace, by name.
    pub templates: BTreeMap<String, Arc<AnalysisTemplateSpec>>,
    /// ClusterAnalysisTemplates, by name.
    pub cluster_templates: BTreeMap<String, Arc<AnalysisTemplateSpec>>,
    /// AnalysisRuns of the Rollout, by name.
    pub runs: BTreeMap<String, Run>,
    /// What Rollouts that were first claim, as `Service web is claimed by Rollout shop/a`.
    pub rival_claims: Vec<String>,
    /// Whether the workload is among it: its size is theirs to change.
    pub workload_is_rivals: bool,
}

/// The Rollout itself.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its resource version, as precondition of a status write.
    pub resource_version: String,
    /// Generation of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Its spec.
    pub spec: Arc<RolloutSpec>,
    /// Its status.
    pub status: Arc<RolloutStatus>,
    /// When this process last saw it change.
    pub since: Timestamp,
    /// The waiting command, or what is wrong with it.
    pub command: Option<Result<Command, String>>,
    /// The whole object as JSON, for `fieldRef`; only read when a run is made.
    pub object: Arc<Value>,
}

/// An AnalysisRun of the Rollout.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it has been told to end.
    pub terminating: bool,
    /// Whether it has a metric that is measured for as long as the release lasts.
    pub endless: bool,
    /// What it has found.
    pub status: Arc<AnalysisRunStatus>,
}

impl Run {
    /// Its verdict.
    pub fn phase(&self) -> Verdict {
        self.status.phase
    }

    /// Whether a comparison that counts sees canary and stable fail together: no time to go on.
    pub fn shares_incident(&self) -> bool {
        self.comparisons().any(|(_, found)| found.finding == ComparisonFinding::SharedIncident)
    }

    /// What its comparisons that count have found, by the names of the metrics.
    pub fn comparisons(&self) -> impl Iterator<Item = (&str, &Comparison)> {
        let counting = self.status.metric_results.iter().filter(|result| !result.dry_run);
        counting.filter_map(|result| Some((result.name.as_str(), result.comparison.as_ref()?)))
    }
}

impl World {
    /// A world in which nothing is known but the Rollout itself.
    pub fn of(rollout: Rollout, now: Timestamp) -> Self {
        let spec = &rollout.spec;
        let selector = spec.selector.as_ref().map(|selector| selector.match_labels.clone());
        Self {
            now,
            program: Arc::new(Program::new(spec)),
            fingerprint: spec.template.as_ref().map(fingerprint::fingerprint).unwrap_or_default(),
            template: Arc::new(spec.template.clone().unwrap_or_default()),
            selector: selector.unwrap_or_default(),
            workload: WorkloadState::None,
            rollout,
            revisions: Vec::new(),
            orphans: Vec::new(),
            taken_names: Vec::new(),
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            routes: Vec::new(),
            destination_rule: None,
            held_rules: BTreeMap::new(),
            refused: None,
            refused_evictions: BTreeMap::new(),
            drains: None,
            autoscaled: false,
            istio_served: false,
            reach: Reach::AllNamespaces,
            templates: BTreeMap::new(),
            cluster_templates: BTreeMap::new(),
            runs: BTreeMap::new(),
            rival_claims: Vec::new(),
            workload_is_rivals: false,
        }
    }

    /// The owned ReplicaSet of `revision`.
    pub fn revision(&self, revision: &str) -> Option<&ReplicaSet> {
        self.revisions.iter().find(|set| set.revision == revision)
    }

    /// Available pods of `revision`; 0 if it has no ReplicaSet.
    pub fn available(&self, revision: &str) -> u32 {
        self.revision(revision).map_or(0, |set| set.available(self.now, self.min_ready()))
    }

    /// How long a pod must be ready to count as available.
    pub fn min_ready(&self) -> std::time::Duration {
        let seconds = u64::try_from(self.rollout.spec.min_ready_seconds).unwrap_or(0);
        std::time::Duration::from_secs(seconds)
    }

    /// Whether there is a pod template to make a revision of.
    pub fn has_template(&self) -> bool {
        matches!(self.workload, WorkloadState::None | WorkloadState::Found(_))
    }

    /// `spec.replicas` as a count.
    pub fn desired(&self) -> u32 {
        u32::try_from(self.rollout.spec.replicas).unwrap_or(0)
    }
}

//! The `Rollout` kind.

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BlueGreenStrategy, CanaryStrategy, Duration, RollingStrategy, RolloutStatus};

/// A Rollout owns the pods of one workload and replaces one revision by the next under its
/// strategy: it shifts traffic step by step, judges every step, and rolls back by itself when the
/// analysis fails.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "Rollout",
    plural = "rollouts",
    singular = "rollout",
    shortname = "ro",
    category = "sluice",
    namespaced,
    status = "RolloutStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step.text"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".status.weights.canary"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 52").message("metadata.name: allowed are 52 characters at most, because ReplicaSets and AnalysisRuns add the revision to it")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.template) != has(self.workloadRef)").message("spec has exactly one of template and workloadRef: write the pods here, or name the workload that holds them"))]
#[x_kube(validation = Rule::new("!has(self.template) || has(self.selector)").message("spec.selector is missing: a spec with a template needs the labels that its pods carry"))]
pub struct RolloutSpec {
    /// Number of pods wanted. Default 1. An autoscaler may write it through the scale subresource.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,

    /// Which pods belong to this Rollout. Its labels must all be on the template's pods. It cannot
    /// be changed, because running pods would be orphaned. Default with workloadRef: the workload's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.selector cannot be changed: running pods would be orphaned; create a new Rollout instead"))]
    pub selector: Option<LabelSelector>,

    /// The pods to run, as in a Deployment. The API server checks it when the revision is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,

    /// The workload whose pod template is used, in place of `template`. Its own pods make way for
    /// those of the Rollout as `scaleDown` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadRef>,

    /// Seconds that a pod must stay ready before it counts as available. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub min_ready_seconds: i32,

    /// How many old ReplicaSets to keep for a rollback. Default 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: i32,

    /// The longest time that a release may wait for pods without any progress; a pause and a
    /// running analysis do not count. Default 10m.
    #[serde(default = "ten_minutes")]
    pub progress_deadline: Duration,

    /// What happens at the deadline: true aborts the release and goes back to stable; false only
    /// shows it as Degraded. Default true.
    #[serde(default = "yes")]
    pub progress_deadline_abort: bool,

    /// Holds the release where it is, before the next step. An abort still works. Default false.
    #[serde(default)]
    pub paused: bool,

    /// Pods older than this are replaced one after the other, as PodDisruptionBudgets allow.
    /// `kubectl sluice restart` does the same without an edit of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub restart_at: Option<Timestamp>,

    /// Going back to a recent revision skips steps, pauses and analysis. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,

    /// How many finished AnalysisRuns of this Rollout to keep.
    #[serde(default)]
    pub analysis: RunHistory,

    /// How one revision replaces the other.
    pub strategy: Strategy,
}

/// How one revision replaces the other. Exactly one of its fields is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.rolling), has(self.blueGreen), has(self.canary)].filter(x, x).size() == 1").message("spec.strategy has exactly one of rolling, blueGreen, canary"))]
pub struct Strategy {
    /// Pods are replaced a few at a time, as a Deployment does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<RollingStrategy>,
    /// The new revision comes up beside the old one, and all traffic is switched at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStrategy>,
    /// A share of the traffic goes to the new revision, in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
}

/// A workload whose pod template is used.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.kind != 'StatefulSet' && self.kind != 'DaemonSet'").message("workloadRef.kind: StatefulSet and DaemonSet are not released by Sluice, because their pods have an identity or a node of their own; allowed are Deployment, ReplicaSet, PodTemplate"))]
#[x_kube(validation = Rule::new("!(self.kind in ['Deployment', 'ReplicaSet', 'PodTemplate']) || self.apiVersion == (self.kind == 'PodTemplate' ? 'v1' : 'apps/v1')").message("workloadRef.apiVersion: allowed is apps/v1 for Deployment and ReplicaSet, v1 for PodTemplate"))]
#[x_kube(validation = Rule::new("self.kind in ['Deployment', 'ReplicaSet', 'PodTemplate', 'StatefulSet', 'DaemonSet']").message("workloadRef.kind: allowed are Deployment, ReplicaSet, PodTemplate"))]
pub struct WorkloadRef {
    /// `apps/v1` for a Deployment or ReplicaSet, `v1` for a PodTemplate.
    #[schemars(length(min = 1, max = 63))]
    pub api_version: String,
    /// Deployment, ReplicaSet or PodTemplate.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name, in the Rollout's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// When its own pods go: `onSuccess` once the Rollout's pods serve, `progressively` one by one as
    /// those become available, `never` leaves them. Default onSuccess. They come back when the
    /// Rollout is deleted.
    #[serde(default)]
    pub scale_down: ScaleDown,
}

/// When the pods of a referenced workload go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum ScaleDown {
    /// They stay.
    Never,
    /// Once the Rollout's pods serve.
    #[default]
    OnSuccess,
    /// One by one, as the Rollout's pods become available.
    Progressively,
}

/// Which revisions are recent enough to go back to at once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// How many revisions before the stable one.
    #[schemars(range(min = 1, max = 100))]
    pub revisions: i32,
}

/// Labels that select pods. Only equality is allowed: the labels become Service selectors.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("size(self.matchLabels) > 0").message("spec.selector.matchLabels is empty: allowed is at least one label, else every pod of the namespace would be selected"))]
pub struct LabelSelector {
    /// Labels that a pod must have, all of them.
    #[schemars(length(max = 64))]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

/// A pod template, kept whole: fields that this version of Sluice does not know pass unchanged.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(default)]
    #[schemars(schema_with = "super::open_schema")]
    pub metadata: Map<String, Value>,
    /// The pod spec.
    #[schemars(schema_with = "super::open_schema")]
    pub spec: Map<String, Value>,
}

impl RolloutSpec {
    /// The images of the template's containers; none where the workload has the template.
    pub fn images(&self) -> Vec<String> {
        self.template.as_ref().map(PodTemplate::images).unwrap_or_default()
    }
}

impl PodTemplate {
    /// The template's label `key`, if it is there and a string.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.get("labels")?.get(key)?.as_str()
    }

    /// The images of the containers, in the template's order.
    pub fn images(&self) -> Vec<String> {
        let containers = self.spec.get("containers").and_then(Value::as_array);
        containers
            .into_iter()
            .flatten()
            .filter_map(|container| container.get("image")?.as_str().map(String::from))
            .collect()
    }
}

/// How many finished AnalysisRuns to keep.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunHistory {
    /// Successful and stopped runs to keep. Default 5.
    #[serde(default = "five")]
    #[schemars(range(min = 0, max = 100))]
    pub successful_run_history_limit: i32,
    /// Failed, erroneous and inconclusive runs to keep. Default 5.
    #[serde(default = "five")]
    #[schemars(range(min = 0, max = 100))]
    pub unsuccessful_run_history_limit: i32,
}

impl Default for RunHistory {
    fn default() -> Self {
        Self { successful_run_history_limit: five(), unsuccessful_run_history_limit: five() }
    }
}

fn one() -> i32 {
    1
}

fn five() -> i32 {
    5
}

fn ten() -> i32 {
    10
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

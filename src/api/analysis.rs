//! AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Comparison, Duration, Metric};

/// Metrics to measure and how to judge them, for use by any Rollout of the namespace.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "AnalysisTemplate",
    plural = "analysistemplates",
    shortname = "at",
    category = "sluice",
    namespaced,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.metrics) && size(self.metrics) > 0) || (has(self.templates) && size(self.templates) > 0)").message("a template needs metrics or templates"))]
pub struct AnalysisTemplateSpec {
    /// Arguments of the template, with default values where it has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub args: Vec<AnalysisArgument>,
    /// What to measure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub metrics: Vec<Metric>,
    /// Other templates whose metrics and arguments are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub templates: Vec<TemplateRef>,
    /// Metrics whose outcome is shown but does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep in a run's status. Default 10 of each metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// How long a finished run is kept. Default: as the Rollout's history limits say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// Metrics to measure and how to judge them, for use by Rollouts of all namespaces.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    plural = "clusteranalysistemplates",
    shortname = "cat",
    category = "sluice",
    derive = "PartialEq"
)]
#[serde(transparent)]
pub struct ClusterAnalysisTemplateSpec {
    /// The same fields as in an AnalysisTemplate.
    pub spec: AnalysisTemplateSpec,
}

/// One execution of an analysis. It holds a copy of its template, so that a later edit of the
/// template does not change a running release. It can be created by hand as well.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "sluice.dev",
    version = "v1alpha1",
    kind = "AnalysisRun",
    plural = "analysisruns",
    shortname = "ar",
    category = "sluice",
    namespaced,
    status = "AnalysisRunStatus",
    derive = "PartialEq",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.metrics == oldSelf.spec.metrics").message("spec.metrics of an AnalysisRun cannot be changed; create a new run")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunSpec {
    /// Arguments with their values; a secret stays a reference and is read at each measurement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub args: Vec<AnalysisArgument>,
    /// What to measure.
    #[schemars(length(min = 1, max = 50))]
    pub metrics: Vec<Metric>,
    /// Metrics whose outcome is shown but does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub dry_run: Vec<DryRun>,
    /// How many measurements to keep in the status. Default 10 of each metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub measurement_retention: Vec<MeasurementRetention>,
    /// How long the run is kept after it has finished. Default: as the Rollout's history limits
    /// say; a run without a Rollout stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// How many comparisons share their false alarms: those of all runs of the release. Default:
    /// those of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub comparisons: Option<i32>,
    /// True ends the run: what has no verdict yet becomes Stopped. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminate: bool,
}

/// A template by name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// Name of the AnalysisTemplate, or of the ClusterAnalysisTemplate with `clusterScope: true`.
    #[schemars(length(min = 1, max = 253))]
    pub template_name: String,
    /// True: a ClusterAnalysisTemplate. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
}

/// An argument. In queries, conditions, headers, addresses and Jobs `{{args.NAME}}` stands for it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.value) && has(self.valueFrom))").message("an argument has value or valueFrom, not both"))]
pub struct AnalysisArgument {
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where its value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ArgumentSource>,
}

/// Where the value of an argument comes from. Exactly one field is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretKeyRef), has(self.fieldRef), has(self.podTemplateHashValue)].filter(x, x).size() == 1").message("valueFrom has exactly one of secretKeyRef, fieldRef, podTemplateHashValue"))]
pub struct ArgumentSource {
    /// A key of a Secret in the namespace of the run. The value never shows in a status or log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// A field of the Rollout, such as `metadata.name` or `metadata.labels['team']`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
    /// The revision hash of the stable or of the newest revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template_hash_value: Option<RevisionChoice>,
}

/// One of the two revisions of a release.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionChoice {
    /// The stable revision.
    Stable,
    /// The newest revision: the canary.
    Latest,
}

/// A key of a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A field of the Rollout.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Its path: `metadata.name`, `metadata.labels['team']`, `spec.replicas`.
    #[schemars(length(min = 1, max = 253))]
    pub field_path: String,
}

/// Metrics whose outcome is shown but does not count.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// A regular expression that must match the whole name of a metric.
    #[schemars(length(min = 1, max = 253))]
    pub metric_name: String,
}

/// How many measurements to keep.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRetention {
    /// A regular expression that must match the whole name of a metric.
    #[schemars(length(min = 1, max = 253))]
    pub metric_name: String,
    /// Measurements to keep of each such metric; the counters keep the total.
    #[schemars(range(min = 1, max = 100))]
    pub limit: i32,
}

/// The verdict on a run, a metric or a measurement, from `Pending` to its end.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum Verdict {
    /// Not started.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Passed.
    Successful,
    /// Ended before there was a verdict. It did not pass.
    Stopped,
    /// Neither good nor bad; a person decides.
    Inconclusive,
    /// The provider could not be asked.
    Error,
    /// Failed.
    Failed,
}

impl Verdict {
    /// Whether nothing more will come.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// What a run has found so far.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisRunStatus {
    /// The verdict.
    #[serde(default)]
    pub phase: Verdict,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub started_at: Option<Timestamp>,
    /// When the verdict fell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub completed_at: Option<Timestamp>,
    /// Each metric, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_results: Vec<MetricResult>,
    /// How many metrics that count have which verdict.
    #[serde(default)]
    pub run_summary: Summary,
    /// How many dry-run metrics have which verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<Summary>,
}

/// Number of metrics by verdict.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// All metrics.
    #[serde(default)]
    pub count: u32,
    /// Those Successful.
    #[serde(default)]
    pub successful: u32,
    /// Those Failed.
    #[serde(default)]
    pub failed: u32,
    /// Those Inconclusive.
    #[serde(default)]
    pub inconclusive: u32,
    /// Those with Error.
    #[serde(default)]
    pub error: u32,
    /// Those Stopped.
    #[serde(default)]
    pub stopped: u32,
}

/// What was found for one metric.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MetricResult {
    /// Its name.
    pub name: String,
    /// Its verdict.
    pub phase: Verdict,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// True when its outcome does not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Measurements that count towards `count`: successful, failed and inconclusive ones.
    #[serde(default)]
    pub count: u32,
    /// Successful measurements.
    #[serde(default)]
    pub successful: u32,
    /// Failed measurements.
    #[serde(default)]
    pub failed: u32,
    /// Inconclusive measurements.
    #[serde(default)]
    pub inconclusive: u32,
    /// Measurements that could not be taken.
    #[serde(default)]
    pub error: u32,
    /// Measurements without data under `onNoData: wait`.
    #[serde(default)]
    pub no_data: u32,
    /// Errors in a row up to now.
    #[serde(default)]
    pub consecutive_error: u32,
    /// Successes in a row up to now.
    #[serde(default)]
    pub consecutive_success: u32,
    /// What its comparison has found so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The last measurements, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
}

/// One measurement.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// Its verdict.
    pub phase: Verdict,
    /// The value, as text: `0.97`, `[0.97, 0.99]`, `NaN`; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Why, in a sentence, where the value does not say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub finished_at: Option<Timestamp>,
    /// What the provider adds, such as `job-name`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

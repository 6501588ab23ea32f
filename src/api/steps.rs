//! The steps of a canary release.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AnalysisArgument, Duration, JobProvider, Metric, SetHeaderRoute, SetMirrorRoute, TemplateRef,
};

/// One step of a canary release. Exactly one of its fields is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.setWeight), has(self.pause), has(self.setCanaryScale), has(self.setHeaderRoute), has(self.setMirrorRoute), has(self.analysis), has(self.job), has(self.ramp), has(self.hold)].filter(x, x).size() == 1").message("a step has exactly one of setWeight, pause, setCanaryScale, setHeaderRoute, setMirrorRoute, analysis, job, ramp, hold"))]
pub struct Step {
    /// Sends this share of the traffic (0 to 100, percent; or up to `traffic.maxWeight`) to the
    /// canary, once it has the pods for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub set_weight: Option<i32>,
    /// Waits: for a time, or until somebody promotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Sets the number of canary pods apart from the weight, until the next setCanaryScale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<SetCanaryScale>,
    /// Sends requests with certain headers to the canary, whatever the weight, until a later step
    /// with this name and no match takes the route away, or the release ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<SetHeaderRoute>,
    /// Sends a copy of certain requests to the canary, whose answers are thrown away, until a later
    /// step with this name and no match takes the route away, or the release ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<SetMirrorRoute>,
    /// Waits for an analysis; when it fails, the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<StepAnalysis>,
    /// Waits for a Job (a smoke test); when it fails, the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobProvider>,
    /// Stands for a row of `setWeight` and `pause` steps. They are counted one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Waits until the comparisons of the analysis beside the steps are conclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// Goes on as soon as each comparison has seen `minRequests` of the canary since the step began, and
/// nothing speaks against it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.atMost) == has(self.onTimeout)").message("hold: atMost and onTimeout belong together"))]
pub struct Hold {
    /// What to wait for.
    pub until: HoldUntil,
    /// How long to wait even if it is conclusive before. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Duration>,
    /// How long to wait before `onTimeout` happens. Default: without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Duration>,
    /// What happens then: `abort` rolls back, `promote` goes on, `hold` asks a person and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What a hold waits for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum HoldUntil {
    /// Comparisons that are conclusive.
    #[default]
    Conclusive,
}

/// A row of weights from `from` to `to` with a pause after each. Exactly one of `by` and `factor` is
/// set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.by) != has(self.factor)").message("ramp has exactly one of by, factor"))]
#[x_kube(validation = Rule::new("self.from < self.to").message("ramp: from must be below to"))]
pub struct Ramp {
    /// The first weight.
    #[schemars(range(min = 1, max = 100_000))]
    pub from: i32,
    /// The last weight; reached exactly.
    #[schemars(range(min = 1, max = 100_000))]
    pub to: i32,
    /// Added for each further weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub by: Option<i32>,
    /// Multiplies each weight to give the next, such as 2 for 1, 2, 4, 8; at least 1 is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.05, max = 100))]
    pub factor: Option<f64>,
    /// The pause after each weight.
    pub every: Duration,
}

/// Waits: for `duration`, or without it until somebody promotes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.duration) && (has(self.timeout) || has(self.onTimeout)))").message("pause has either duration, or timeout with onTimeout"))]
#[x_kube(validation = Rule::new("has(self.timeout) == has(self.onTimeout)").message("pause: timeout and onTimeout belong together"))]
pub struct Pause {
    /// How long to wait; at least this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// How long to wait for a person before `onTimeout` happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What happens at the timeout: `abort` rolls back, `promote` goes on, `hold` goes on waiting
    /// and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

/// What happens when a pause ends without an answer.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum OnTimeout {
    /// Roll back.
    Abort,
    /// Go on to the next step.
    Promote,
    /// Go on waiting.
    Hold,
}

/// Sets the number of canary pods apart from the weight. Exactly one of its fields is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.replicas), has(self.weight), has(self.matchTrafficWeight)].filter(x, x).size() == 1").message("setCanaryScale has exactly one of replicas, weight, matchTrafficWeight"))]
pub struct SetCanaryScale {
    /// This many pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: Option<i32>,
    /// This share of `spec.replicas`, in percent, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
    /// As many pods as the weight needs, again (the default before any setCanaryScale).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("matchTrafficWeight can only be true"))]
    pub match_traffic_weight: Option<bool>,
}

/// An analysis that a step waits for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("size(self.templates) + size(self.metrics) > 0").message("analysis needs templates or metrics"))]
pub struct StepAnalysis {
    /// Templates whose metrics run together in one AnalysisRun.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub templates: Vec<TemplateRef>,
    /// Metrics written here instead of in a template.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub metrics: Vec<Metric>,
    /// Arguments for the templates; they win over a template's own defaults.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub args: Vec<AnalysisArgument>,
}

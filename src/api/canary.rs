//! The canary strategy.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AnalysisArgument, AntiAffinity, Duration, IntOrPercent, Metric, PodMetadata, Step, TemplateRef,
    Traffic,
};

/// A canary release: the new revision runs beside the stable one and takes a share of the traffic
/// that grows with each step. With `traffic` the stable revision keeps its full size until the
/// promotion is complete, so that a rollback is one write; without it the shares of the pods are the
/// weights.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.traffic) || has(self.traffic.istio.destinationRule) || (has(self.stableService) && has(self.canaryService))").message("spec.strategy.canary needs stableService and canaryService (host split), or traffic.istio.destinationRule (subset split)"))]
#[x_kube(validation = Rule::new("has(self.traffic) || !has(self.dynamicStableScale) || !self.dynamicStableScale").message("spec.strategy.canary.dynamicStableScale needs traffic: without it the stable revision shrinks with each step anyway"))]
#[x_kube(validation = Rule::new("has(self.traffic) || !self.steps.exists(s, has(s.setHeaderRoute) || has(s.setMirrorRoute))").message("spec.strategy.canary.steps: setHeaderRoute and setMirrorRoute need traffic"))]
#[x_kube(validation = Rule::new("!has(self.traffic) || self.steps.all(s, !has(s.setHeaderRoute) || self.traffic.managedRoutes.exists(r, r.name == s.setHeaderRoute.name))").message("spec.strategy.canary.steps: setHeaderRoute names a route that traffic.managedRoutes does not list"))]
#[x_kube(validation = Rule::new("!has(self.traffic) || self.steps.all(s, !has(s.setMirrorRoute) || self.traffic.managedRoutes.exists(r, r.name == s.setMirrorRoute.name))").message("spec.strategy.canary.steps: setMirrorRoute names a route that traffic.managedRoutes does not list"))]
#[x_kube(validation = Rule::new("self.steps.all(s, !has(s.setWeight) || s.setWeight <= (has(self.traffic) && has(self.traffic.maxWeight) ? self.traffic.maxWeight : 100))").message("spec.strategy.canary.steps: setWeight is above traffic.maxWeight (default 100)"))]
#[x_kube(validation = Rule::new("!has(self.stableService) || !has(self.canaryService) || self.stableService != self.canaryService").message("spec.strategy.canary: stableService and canaryService must be two different Services"))]
#[x_kube(validation = Rule::new("has(self.traffic) || !has(self.maxSurge) || !has(self.maxUnavailable) || !(self.maxSurge == 0 || self.maxSurge == '0%') || !(self.maxUnavailable == 0 || self.maxUnavailable == '0%')").message("spec.strategy.canary: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; allowed is at least one of them above 0"))]
pub struct CanaryStrategy {
    /// The Service that selects the stable revision. Needed for a host split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub stable_service: Option<String>,

    /// The Service that selects the canary revision while a release is under way, and the stable
    /// one between releases. Needed for a host split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub canary_service: Option<String>,

    /// Which routes to edit. Without it the share of pods is the weight: the canary has
    /// `setWeight` percent of `spec.replicas`, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,

    /// The steps, in order; after the last one the new revision is promoted. Without steps it is
    /// promoted as soon as its pods are available.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,

    /// Analysis that runs beside the steps; when it fails, the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,

    /// The most pods above `spec.replicas`, all revisions together; a fraction counts as one more
    /// pod. Default 100% with traffic, where less is refused: the canary grows to full size beside
    /// the stable revision. Default 25% without traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrPercent>,

    /// The most pods below `spec.replicas` that may be missing while pods are replaced without
    /// traffic, or restarted; a fraction counts for nothing. Default 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrPercent>,

    /// Lets the stable revision shrink as its weight falls, so that no pod is idle. An abort then
    /// takes longer: it scales stable up first, and weight goes back as its pods become available.
    /// Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic_stable_scale: bool,

    /// How many of the canary's pods must be available for a step to be done. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_progress_threshold: Option<ReplicaProgressThreshold>,

    /// The fewest pods of a revision while its weight is above 0. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub min_pods_per_replica_set: Option<i32>,

    /// How long the old revision keeps its pods after a promotion. Default 30s, three times as long
    /// as a busy istiod may put off a push, and two scrapes of 15 s. Its pods leave no earlier than `traffic.istio.propagationDelay` after the last route to them is gone, and while
    /// Istio's metrics (in the Prometheus of `--prometheus-url`) show requests to them they stay,
    /// for `progressDeadline` at most.
    #[serde(default = "thirty_seconds")]
    pub scale_down_delay: Duration,

    /// How long an aborted or overtaken canary keeps its pods, for a look at what went wrong.
    /// Default 30s. `0s` keeps them until the next release.
    #[serde(default = "thirty_seconds")]
    pub abort_scale_down_delay: Duration,

    /// Labels and annotations that the pods carry while they are the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<PodMetadata>,

    /// Labels and annotations that the pods carry while they are stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<PodMetadata>,

    /// Keeps pods of the new revision off the nodes of the stable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
}

/// How many of the canary's pods must be available.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type == 'Pod' || self.value <= 100").message("replicaProgressThreshold.value: allowed is 1 to 100 with type Percent"))]
pub struct ReplicaProgressThreshold {
    /// Percent of the pods that the step asks for, or Pod for a number of pods.
    #[serde(rename = "type")]
    pub kind: ThresholdKind,
    /// The percentage (rounded up to whole pods), or the number of pods.
    #[schemars(range(min = 1, max = 10000))]
    pub value: i32,
}

/// The unit of a threshold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdKind {
    /// A percentage of the pods that the step asks for.
    Percent,
    /// A number of pods.
    Pod,
}

/// Analysis that runs beside the steps.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("size(self.templates) + size(self.metrics) > 0").message("analysis needs templates or metrics"))]
pub struct BackgroundAnalysis {
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
    /// The step (counted from 0) at which the analysis starts. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub starting_step: i32,
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

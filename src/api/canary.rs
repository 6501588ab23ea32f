//! The canary strategy.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{AnalysisArgument, Duration, IntOrPercent, Metric, Step, TemplateRef, Traffic};

/// A canary release: the new revision runs beside the stable one and takes a share of the traffic
/// that grows with each step. The stable revision keeps its full size until the promotion is
/// complete, so that a rollback is one write.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.traffic.istio.virtualServices.size() == 0 || has(self.traffic.istio.destinationRule) || (has(self.stableService) && has(self.canaryService))").message("spec.strategy.canary needs stableService and canaryService (host split), or traffic.istio.destinationRule (subset split)"))]
#[x_kube(validation = Rule::new("!has(self.stableService) || !has(self.canaryService) || self.stableService != self.canaryService").message("spec.strategy.canary: stableService and canaryService must be two different Services"))]
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

    /// Which routes to edit.
    pub traffic: Traffic,

    /// The steps, in order; after the last one the new revision is promoted. Without steps it is
    /// promoted as soon as its pods are available.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,

    /// Analysis that runs beside the steps; when it fails, the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,

    /// The most pods above `spec.replicas`, all revisions together. Default 100%. The canary grows
    /// to full size beside the stable revision, so less than 100% is refused; the limit matters
    /// when a third revision arrives while the second still drains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrPercent>,

    /// The fewest pods of the canary while its weight is above 0. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub min_pods_per_replica_set: Option<i32>,

    /// How long the old revision keeps its pods after a promotion. Default 30s. Its pods leave no
    /// earlier than `traffic.istio.propagationDelay` after the last route to them is gone.
    #[serde(default = "thirty_seconds")]
    pub scale_down_delay: Duration,

    /// How long an aborted or overtaken canary keeps its pods, for a look at what went wrong.
    /// Default 30s. `0s` keeps them until the next release.
    #[serde(default = "thirty_seconds")]
    pub abort_scale_down_delay: Duration,
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

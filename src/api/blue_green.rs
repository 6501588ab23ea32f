//! The blue-green strategy.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{AntiAffinity, Duration, PodMetadata, StepAnalysis, Traffic};

/// A blue-green release: the new revision comes up at full size beside the active one, and all
/// traffic is switched at once. The old revision stands by for `scaleDownDelay`, so that the switch
/// back is one write.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.traffic) ? (has(self.traffic.istio.destinationRule) || (has(self.activeService) && has(self.previewService))) : has(self.activeService)").message("spec.strategy.blueGreen needs activeService; with traffic it needs activeService and previewService, or traffic.istio.destinationRule"))]
#[x_kube(validation = Rule::new("!has(self.activeService) || !has(self.previewService) || self.activeService != self.previewService").message("spec.strategy.blueGreen: activeService and previewService must be two different Services"))]
pub struct BlueGreenStrategy {
    /// The Service that users reach. It selects the active revision; without `traffic`, a change of
    /// its selector is the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub active_service: Option<String>,

    /// The Service that selects the new revision before the switch, for a look at it and for tests;
    /// between releases it selects the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub preview_service: Option<String>,

    /// Makes the switch in a VirtualService: from the active destination to the preview one, in one
    /// write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,

    /// True switches as soon as the new revision is ready and its analysis has passed; false waits
    /// for a person first. Default true.
    #[serde(default = "yes")]
    pub auto_promotion_enabled: bool,

    /// Waits that long before the switch; a person may promote earlier. With
    /// `autoPromotionEnabled: false` too, nobody is needed once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_promotion_after: Option<Duration>,

    /// Pods of the new revision until shortly before the switch, at most `spec.replicas`, which is
    /// the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub preview_replica_count: Option<i32>,

    /// Analysis before the switch; when it fails, nothing is switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<StepAnalysis>,

    /// Analysis after the switch; when it fails, traffic is switched back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<StepAnalysis>,

    /// How long the old revision stands by after the switch is final. Default 30s. Its template,
    /// applied again meanwhile, is switched to at once: without analysis, and without a wait. While
    /// Istio's metrics (in the Prometheus of `--prometheus-url`) show requests to its pods they
    /// stay, for `progressDeadline` at most.
    #[serde(default = "thirty_seconds")]
    pub scale_down_delay: Duration,

    /// The most old revisions that stand by at once; the oldest go first. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub scale_down_delay_revision_limit: Option<i32>,

    /// How long an aborted or overtaken revision keeps its pods. Default 30s. `0s` keeps them until
    /// the next release.
    #[serde(default = "thirty_seconds")]
    pub abort_scale_down_delay: Duration,

    /// Labels and annotations that the pods carry while users reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_metadata: Option<PodMetadata>,

    /// Labels and annotations that the pods carry while they are the preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_metadata: Option<PodMetadata>,

    /// Keeps pods of the new revision off the nodes of the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<AntiAffinity>,
}

fn yes() -> bool {
    true
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

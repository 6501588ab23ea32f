//! The rolling strategy.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{BackgroundAnalysis, IntOrPercent};

/// A rolling release: pods of the new revision come and pods of the old one go, a few at a time. No
/// mesh is needed; the Services are the user's own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxSurge) || !has(self.maxUnavailable) || !(self.maxSurge == 0 || self.maxSurge == '0%') || !(self.maxUnavailable == 0 || self.maxUnavailable == '0%')").message("spec.strategy.rolling: maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; allowed is at least one of them above 0"))]
pub struct RollingStrategy {
    /// The most pods above `spec.replicas`; a fraction counts as one more pod. Default 25%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<IntOrPercent>,

    /// The most pods below `spec.replicas` that may be missing; a fraction counts for nothing.
    /// Default 25%. If both are 0, one pod may be missing, as with a Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrPercent>,

    /// Analysis that runs while pods are replaced; when it fails, the release is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
}

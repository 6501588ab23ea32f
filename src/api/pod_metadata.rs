//! What a release adds to pods: metadata by role, and anti-affinity between revisions.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Labels and annotations that pods carry while they have a role. They are changed on running pods,
/// without a restart, and taken off when the role ends.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PodMetadata {
    /// Labels by key. Those of `spec.selector` cannot be set here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 50))]
    pub labels: BTreeMap<String, String>,
    /// Annotations by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 50))]
    pub annotations: BTreeMap<String, String>,
}

/// Keeps pods of the new revision off the nodes where pods of the old one run. Exactly one field is
/// set. It is written into the pods of a new revision when that is created.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.requiredDuringSchedulingIgnoredDuringExecution) != has(self.preferredDuringSchedulingIgnoredDuringExecution)").message("antiAffinity has exactly one of requiredDuringSchedulingIgnoredDuringExecution, preferredDuringSchedulingIgnoredDuringExecution"))]
pub struct AntiAffinity {
    /// A pod that finds no other node waits. Written `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required_during_scheduling_ignored_during_execution: Option<RequiredAntiAffinity>,
    /// Another node is preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_during_scheduling_ignored_during_execution: Option<PreferredAntiAffinity>,
}

/// A pod that finds no other node waits.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequiredAntiAffinity {}

/// Another node is preferred.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PreferredAntiAffinity {
    /// How much it is preferred, from 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub weight: i32,
}

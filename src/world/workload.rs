//! The workload of `workloadRef`.

use std::{collections::BTreeMap, sync::Arc};

use crate::api::PodTemplate;

/// What is known of the workload that a Rollout names.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum WorkloadState {
    /// The Rollout names none.
    #[default]
    None,
    /// Objects of its kind have not been listed yet: nothing is known.
    Unknown,
    /// It does not exist.
    Missing,
    /// It exists.
    Found(Workload),
}

/// Kinds that can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A ReplicaSet.
    ReplicaSet,
    /// A PodTemplate, which has no pods of its own.
    PodTemplate,
}

/// A workload that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// Pods that it should have; 0 for a PodTemplate.
    pub replicas: u32,
    /// Pods that it has: after its size was changed, not yet as many as it should have.
    pub present: u32,
    /// Its available pods.
    pub available: u32,
    /// Its pod template.
    pub template: Arc<PodTemplate>,
    /// Fingerprint of the template.
    pub fingerprint: String,
    /// Labels that select its pods.
    pub selector: BTreeMap<String, String>,
    /// The controller that owns it and decides its size, as `Deployment web`.
    pub owner: Option<String>,
}

impl WorkloadState {
    /// The workload, if it exists.
    pub fn found(&self) -> Option<&Workload> {
        match self {
            Self::Found(workload) => Some(workload),
            Self::None | Self::Unknown | Self::Missing => None,
        }
    }
}

impl WorkloadKind {
    /// The kind of this name.
    pub fn named(kind: &str) -> Option<Self> {
        match kind {
            "Deployment" => Some(Self::Deployment),
            "ReplicaSet" => Some(Self::ReplicaSet),
            "PodTemplate" => Some(Self::PodTemplate),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::PodTemplate => "PodTemplate",
        }
    }
}

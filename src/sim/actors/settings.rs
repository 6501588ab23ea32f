//! What may be chosen about the simulated cluster.

use std::collections::BTreeMap;

use jiff::SignedDuration;

/// Delays, nodes, and how versions behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How versions behave, by their whole image (`registry/web:2`) or by its tag (`2`). The whole
    /// image wins. Annotations of a pod win over both.
    pub versions: BTreeMap<String, Version>,
    /// Nodes: `node-1`, `node-2`, and so on. Default 3.
    pub nodes: u32,
    /// From the binding of a pod until it runs, and from there until a Job's pod ends. Default
    /// 300 ms, as in the test cluster.
    pub delay: SignedDuration,
    /// How long a running pod that is deleted goes on serving, at most its grace period. Default
    /// 3 s, unlike the test cluster's 0, so that simulated requests can be drained.
    pub terminate_after: SignedDuration,
    /// From a change of a Service or of its pods until its EndpointSlice says so. Default 100 ms.
    pub publish_after: SignedDuration,
    /// What pods use of the nodes, for autoscalers.
    pub load: Load,
    /// From a change of a Job's pods until the Job controller looks at it. Default 1 s, as in
    /// Kubernetes.
    pub job_batch: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            nodes: 3,
            delay: SignedDuration::from_millis(300),
            terminate_after: SignedDuration::from_secs(3),
            publish_after: SignedDuration::from_millis(100),
            load: Load::default(),
            job_batch: SignedDuration::from_secs(1),
        }
    }
}

/// What pods use; nothing is measured unless it is said here or in annotations of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Millicores in all, which the pods of a workload that are ready share.
    pub cpu: Option<i64>,
    /// Mebibytes that each running pod uses.
    pub memory: Option<i64>,
}

/// How the pods of a version behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// From Running to Ready.
    pub startup: SignedDuration,
    /// Runs, and is never Ready.
    pub never_ready: bool,
    /// From Ready to a crash; zero crashes before it is Ready.
    pub crash_after: Option<SignedDuration>,
    /// Ends with this code after it ran for a delay; without it only pods of Jobs end, with 0.
    pub exit_code: Option<i32>,
    /// Its image cannot be pulled.
    pub image_pull_error: bool,
    /// A Job's pod never ends.
    pub hang: bool,
}

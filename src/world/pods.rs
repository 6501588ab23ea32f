//! ReplicaSets and their pods.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::api::PodMetadata;

/// A ReplicaSet: one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Uid of the controller that owns it.
    pub owner: Option<String>,
    /// Its revision hash (label `sluice.dev/revision`); empty if it is none of ours.
    pub revision: String,
    /// Fingerprint of its template (annotation); empty if it is none of ours.
    pub fingerprint: String,
    /// Running number of the revision (annotation); 0 if it has none.
    pub number: i64,
    /// Labels of its pods.
    pub pod_labels: BTreeMap<String, String>,
    /// What a role has put on its template.
    pub role: Option<PodMetadata>,
    /// Images of its containers.
    pub images: Vec<String>,
    /// Pods that it should have.
    pub replicas: u32,
    /// When it was created.
    pub created: Timestamp,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Why pods could not be created (a quota, an admission webhook), if so.
    pub failure: Option<String>,
    /// Its pods, sorted by name.
    pub pods: Vec<Pod>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// When it was created.
    pub created: Timestamp,
    /// What a role has put on it.
    pub role: Option<PodMetadata>,
    /// Whether autoscalers are told not to count it.
    pub surplus: bool,
    /// Since when it is ready; none if it is not.
    pub ready_since: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Why it is not ready, as `ImagePullBackOff: …`, if the kubelet says.
    pub problem: Option<String>,
}

impl Pod {
    /// Whether it has been ready for `min_ready` at `now` and is not on its way out.
    pub fn is_available(&self, now: Timestamp, min_ready: Duration) -> bool {
        self.available_at(min_ready).is_some_and(|at| at <= now)
    }

    /// When it counts as available, if it stays ready.
    pub fn available_at(&self, min_ready: Duration) -> Option<Timestamp> {
        if self.deleting {
            return None;
        }
        let min_ready = jiff::SignedDuration::try_from(min_ready).ok()?;
        self.ready_since?.checked_add(min_ready).ok()
    }
}

impl ReplicaSet {
    /// Pods that are available at `now`, and stay: those beyond the present size are about to go,
    /// though nothing shows it yet.
    pub fn available(&self, now: Timestamp, min_ready: Duration) -> u32 {
        count(self.pods.iter().filter(|pod| pod.is_available(now, min_ready))).min(self.replicas)
    }

    /// Whether pods beyond the present size have not begun to go yet. Which of them stay, and whether
    /// any does, is known only then.
    pub fn is_shrinking(&self) -> bool {
        count(self.pods.iter().filter(|pod| !pod.deleting)) > self.replicas
    }

    /// Pods that are ready.
    pub fn ready(&self) -> u32 {
        count(self.pods.iter().filter(|pod| pod.ready_since.is_some() && !pod.deleting))
    }

    /// Pods that exist, those on their way out included.
    pub fn existing(&self) -> u32 {
        count(self.pods.iter())
    }

    /// The first pod that is not ready and says why, or why pods cannot be created.
    pub fn problem(&self) -> Option<String> {
        let pod = self.pods.iter().filter(|pod| pod.ready_since.is_none() && !pod.deleting);
        let pod =
            pod.filter_map(|pod| Some(format!("pod {}: {}", pod.name, pod.problem.as_ref()?)));
        self.failure.clone().or_else(|| pod.into_iter().next())
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

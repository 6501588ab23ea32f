//! The kubelet of every node: plays the lives of pods without running a container.
//!
//! In: pods on nodes. Out: their status, and their end. It behaves as `tests/cluster/kubelet`, but
//! for one default: a running pod that is deleted goes on serving for three seconds, at most its
//! grace period, so that simulated requests can be drained. As there, nothing about its readiness
//! is written until it ends; that it is being deleted takes it out of its Services.

mod behaviour;
mod life;
mod status;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::{
    behaviour::{Behaviour, Restart},
    life::{Life, Stage},
};
use super::{cluster::Cluster, object};
use crate::sim::api::{
    Key,
    resource::POD,
    store::{Deletion, writer},
};

/// How a container ends that gets SIGTERM.
const KILLED_EXIT_CODE: i32 = 143;

/// The lives of all pods.
#[derive(Debug, Default)]
pub struct Kubelet {
    lives: BTreeMap<Key, Life>,
    last_address: u32,
}

impl Kubelet {
    /// Moves a pod on. Returns when it is to be looked at again.
    pub fn step(&mut self, cluster: &mut Cluster, key: &Key) -> Option<Timestamp> {
        let Some(pod) = cluster.get(&POD, key) else {
            self.lives.remove(key);
            return None;
        };
        if object::text(&pod, "/spec/nodeName").is_empty() {
            return None;
        }
        let behaviour = Behaviour::of(&pod, cluster.settings);
        let life = self.life_of(key, &pod, cluster.now);
        if object::is_deleting(&pod) {
            return terminate(cluster, key, &pod, &behaviour, life);
        }
        let due = life.advance(&behaviour, cluster.now);
        if life.stage != Stage::Starting {
            let status = status::of(life, &pod, life.is_ready(&behaviour), cluster.now);
            cluster.set_status(&POD, key, status);
        }
        due
    }

    /// A new pod under an old name starts anew.
    fn life_of(&mut self, key: &Key, pod: &Value, now: Timestamp) -> &mut Life {
        let uid = object::uid(pod);
        if self.lives.get(key).is_some_and(|life| life.uid != uid) {
            self.lives.remove(key);
        }
        let last = &mut self.last_address;
        self.lives.entry(key.clone()).or_insert_with(|| {
            *last += 1;
            Life::new(uid, address(*last), now)
        })
    }
}

/// Lets a deleted pod linger, then removes it. Where a finalizer waits for its end, that is
/// reported first.
fn terminate(
    cluster: &mut Cluster,
    key: &Key,
    pod: &Value,
    behaviour: &Behaviour,
    life: &mut Life,
) -> Option<Timestamp> {
    let now = cluster.now;
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    // Nothing that could drain runs in the other stages.
    let unasked = match life.stage {
        Stage::Running => cluster.settings.terminate_after,
        _ => SignedDuration::ZERO,
    };
    let lingers =
        behaviour.terminate_after.unwrap_or(unasked).min(SignedDuration::from_secs(grace));
    let end = object::later(*life.deleted_at.get_or_insert(now), lingers);
    if end > now && life.stage != Stage::Ended {
        return Some(end);
    }
    if !pod["metadata"]["finalizers"].is_null() {
        if life.stage != Stage::Ended {
            life.exit(KILLED_EXIT_CODE, Restart::Never, now);
        }
        cluster.set_status(&POD, key, status::of(life, pod, false, now));
    }
    if grace > 0 {
        let how = Deletion {
            uid: Some(life.uid.clone()),
            grace_period_seconds: Some(0),
            ..Deletion::default()
        };
        // It may be gone already.
        let _ = cluster.store.delete(&writer(cluster.manager), &POD, key, &how);
    }
    None
}

/// The n-th address of 10.244.0.0/16, without its first and last.
fn address(n: u32) -> String {
    let n = (n - 1) % 65_534 + 1;
    format!("10.244.{}.{}", n >> 8, n & 255)
}

#[cfg(test)]
mod tests;

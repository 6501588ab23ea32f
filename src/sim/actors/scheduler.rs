//! The scheduler: binds each pod to the next node, at once.

use serde_json::json;

use super::{
    cluster::Cluster,
    object::{self, Condition},
};
use crate::sim::api::{Key, resource::POD};

/// The scheduler.
#[derive(Debug, Default)]
pub struct Scheduler {
    bound: u32,
}

impl Scheduler {
    /// Binds a pod that is on no node.
    pub fn bind(&mut self, cluster: &mut Cluster, key: &Key) {
        let Some(pod) = cluster.get(&POD, key) else { return };
        let placed = !object::text(&pod, "/spec/nodeName").is_empty();
        if placed || object::is_deleting(&pod) {
            return;
        }
        let node = format!("node-{}", self.bound % cluster.settings.nodes.max(1) + 1);
        self.bound += 1;
        let Some(pod) = cluster.edit(&POD, key, |pod| pod["spec"]["nodeName"] = json!(node)) else {
            return;
        };
        let mut status = pod["status"].clone();
        if status["phase"].is_null() {
            status["phase"] = json!("Pending");
        }
        let scheduled = Condition { kind: "PodScheduled", holds: true, reason: "", message: "" };
        object::set_condition(&mut status, &scheduled, cluster.now);
        cluster.set_status(&POD, key, status);
    }
}

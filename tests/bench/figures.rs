//! From the audit log to figures.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use super::support::{audit::Call, cluster::Cluster};

/// What one size showed.
#[derive(Debug)]
pub struct Figures {
    /// Releases at once.
    pub releases: usize,
    /// The controller's calls by verb and resource, all releases together.
    pub calls: BTreeMap<String, usize>,
    /// From the canary's first ready pod to its first weight.
    pub ready_to_weight: Latency,
    /// From the abort command to weight 0.
    pub abort: Option<Duration>,
    /// The API server's own time for a PATCH of a VirtualService: the measure of the machine.
    pub patch: Latency,
    /// From the first new image to the last new stable revision.
    pub promoted_in: Duration,
    /// CPU time of the controller until then.
    pub controller_cpu: Duration,
    /// CPU time of the whole control plane until then.
    pub control_plane_cpu: Duration,
    /// Resident memory of the controller before and after.
    pub resident_kib: (u64, u64),
    /// Calls in five idle seconds.
    pub idle_calls: usize,
    /// From SIGTERM to another replica's hold of the Lease.
    pub handover: Option<Duration>,
}

/// Two quantiles, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

impl Latency {
    /// Of a list of times.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            let last = times.len().saturating_sub(1);
            times.get(last * share / 100).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
        };
        Self { p50_ms: at(50), p99_ms: at(99) }
    }
}

impl Figures {
    /// Calls of one release: Events and conflicts included; the Lease, lists and watches apart.
    pub fn calls_per_release(&self) -> f64 {
        self.calls.values().sum::<usize>() as f64 / self.releases as f64
    }
}

/// The controller's calls by verb and resource. Those for the aborted extra Rollout are left out.
pub fn calls_by_kind(calls: &[Call], extra: bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let ours = calls.iter().filter(|call| call.user() == Cluster::controller_user());
    for call in ours {
        let resource = call.resource();
        let apart = resource == "leases" || call.verb == "watch";
        let (_, name) = call.object();
        if apart || (extra && name.starts_with("aborted")) {
            continue;
        }
        let failed = if call.succeeded() { String::new() } else { format!(" ({})", call.code()) };
        *counts.entry(format!("{} {resource}{failed}", call.verb)).or_insert(0) += 1;
    }
    counts
}

/// For each release: from the write that made the first canary pod ready to the first weight.
pub fn ready_to_weight(calls: &[Call], names: &[String]) -> Vec<Duration> {
    let times = names.iter().filter_map(|name| {
        let prefix = format!("{name}-");
        let pod = calls.iter().find(|call| {
            call.user() == "testcluster:kubelet"
                && call.resource() == "pods/status"
                && call.succeeded()
                && call.object().1.starts_with(&prefix)
        })?;
        let weight = first_route_write(calls, name, pod.answered)?;
        Some(weight.duration_since(pod.answered).unsigned_abs())
    });
    times.collect()
}

fn first_route_write(calls: &[Call], name: &str, after: Timestamp) -> Option<Timestamp> {
    let writes = calls.iter().filter(|call| {
        call.user() == Cluster::controller_user()
            && call.resource() == "virtualservices"
            && call.succeeded()
            && call.object().1 == name
    });
    writes.map(|call| call.answered).filter(|answered| *answered >= after).min()
}

/// From the command's write to the weight's.
pub fn abort_latency(calls: &[Call], name: &str) -> Option<Duration> {
    let command = calls.iter().find(|call| {
        call.user() == "admin" && call.resource() == "rollouts" && call.object().1 == name
    })?;
    let weight = first_route_write(calls, name, command.answered)?;
    Some(weight.duration_since(command.answered).unsigned_abs())
}

/// The API server's time for each PATCH of a VirtualService.
pub fn patch_latency(calls: &[Call]) -> Vec<Duration> {
    let patches = calls.iter().filter(|call| {
        call.resource() == "virtualservices" && call.verb == "patch" && call.succeeded()
    });
    patches.map(|call| call.answered.duration_since(call.received).unsigned_abs()).collect()
}

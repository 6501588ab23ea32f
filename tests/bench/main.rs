//! The benchmark: many releases at once on the real control plane. It counts API calls and times
//! releases; nothing here asserts a time. `make bench` runs it; `BENCH_N=1,10` chooses sizes.
//!
//! Every release has ten `setWeight` steps without pauses, 3 replicas, a host split and no delays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has failed; it prints its table"
)]

mod figures;
mod process;
mod report;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;
mod workload;

use std::time::{Duration, Instant};

use figures::{Figures, Latency};
use process::Usage;
use support::{
    audit,
    cluster::Cluster,
    controller::{Controller, Options},
};
use workload::Workload;

/// Rollouts at once, if `BENCH_N` does not say.
const SIZES: &[usize] = &[1, 10, 100, 500];

/// Releases during which one more is aborted.
const ABORT_AMONG: usize = 100;

#[tokio::main]
async fn main() {
    let sizes: Vec<usize> = std::env::var("BENCH_N").map_or_else(
        |_| SIZES.to_vec(),
        |text| {
            text.split(',')
                .map(|n| n.trim().parse().expect("BENCH_N is a list like 1,10"))
                .collect()
        },
    );
    let mut all = Vec::new();
    for releases in sizes {
        let figures = run(releases).await;
        report::line(&figures);
        all.push(figures);
    }
    report::finish(&all);
}

/// One size on a fresh control plane.
async fn run(releases: usize) -> Figures {
    eprintln!("bench: {releases} Rollouts: starting");
    let cluster = Cluster::start(support::folder(&format!("bench-{releases}"))).await;
    let options = Options { name: "bench-a".into(), ..Options::default() };
    let controller = Controller::start(&cluster, &options).await;
    let workload = Workload::new(&cluster).await;
    let names: Vec<String> = (0..releases).map(|number| format!("r{number}")).collect();
    workload.create(&names).await;
    eprintln!("bench: {releases} Rollouts: healthy, releasing");

    let aborted = (releases == 1 || releases == ABORT_AMONG).then_some("aborted");
    if let Some(name) = aborted {
        workload.create_paused(name).await;
    }
    let resident_before = process::resident_kib(controller.pid);
    let idle = idle_calls(&cluster).await;

    let from = audit::end(&cluster.audit_log);
    let before = Usage::of(controller.pid, cluster.pid());
    let start = Instant::now();
    workload.release(&names).await;
    if let Some(name) = aborted {
        if releases > 1 {
            // In the midst of the others.
            workload.weights_moved(&names, releases / 4).await;
        }
        workload.abort(name).await;
    }
    workload.all_promoted(&names).await;
    let promoted_in = start.elapsed();
    let used = Usage::of(controller.pid, cluster.pid()) - before;
    // Old pods go, and the last counts are written.
    workload.quiet(&cluster).await;
    let calls = audit::calls_since(&cluster.audit_log, from);
    let handover = if releases == 1 { Some(hand_over(&cluster, &controller).await) } else { None };
    let figures = Figures {
        releases,
        calls: figures::calls_by_kind(&calls, aborted.is_some()),
        ready_to_weight: Latency::of(figures::ready_to_weight(&calls, &names)),
        abort: aborted.and_then(|name| figures::abort_latency(&calls, name)),
        patch: Latency::of(figures::patch_latency(&calls)),
        promoted_in,
        controller_cpu: used.controller,
        control_plane_cpu: used.control_plane,
        resident_kib: (resident_before, process::resident_kib(controller.pid)),
        idle_calls: idle,
        handover,
    };
    controller.kill().await;
    cluster.stop().await;
    figures
}

/// Calls of the controller in five seconds without anything to do, the Lease apart.
async fn idle_calls(cluster: &Cluster) -> usize {
    let from = audit::end(&cluster.audit_log);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let calls = audit::calls_since(&cluster.audit_log, from);
    let ours = calls.iter().filter(|call| call.user() == Cluster::controller_user());
    ours.filter(|call| call.resource() != "leases" && call.verb != "watch").count()
}

/// Time from SIGTERM of the leader to another replica's hold of the Lease.
async fn hand_over(cluster: &Cluster, leader: &Controller) -> Duration {
    let options = Options { name: "bench-b".into(), ..Options::default() };
    let second = Controller::start(cluster, &options).await;
    let from = audit::end(&cluster.audit_log);
    let asked = jiff::Timestamp::now();
    support::reaper::signal(leader.pid, "TERM");
    let taken =
        support::wait::until("the Lease to change hands", Duration::from_secs(30), async || {
            let calls = audit::calls_since(&cluster.audit_log, from);
            let mut taken =
                calls.iter().filter(|call| call.resource() == "leases" && call.verb == "update");
            taken
                .find(|call| call.succeeded() && call.user() == Cluster::controller_user())
                .map(|call| call.answered)
        });
    let taken = taken.await.unwrap();
    second.kill().await;
    taken.duration_since(asked).unsigned_abs()
}

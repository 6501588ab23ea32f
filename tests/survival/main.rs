//! Releases while everything around the controller fails: controllers are killed and stopped, the
//! API server and etcd too, connections are cut and slow, leadership moves. `make survival` runs it,
//! alone, with a control plane of its own.
//!
//! In: releases of many Rollouts, one after the other in each, and a seeded choice of faults. Out:
//! the whole history, read back from etcd afterwards so that no outage hides anything, and what it
//! must not show. `SURVIVAL_RELEASES` says how many releases there are at least, `SURVIVAL_DECKS`
//! how often every kind of fault comes, `E2E_SEED` in which order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on has failed; releases are counted in hundreds"
)]

// The other tests use more of it.
#[allow(dead_code, reason = "shared with the cluster tests")]
#[path = "../support/mod.rs"]
mod support;

mod faults;
mod fleet;
mod pipelines;
mod replicas;
mod report;
mod verdict;

use std::sync::{Arc, atomic::AtomicBool};

use tokio::runtime::Runtime;

use support::{cluster::Cluster, folder, random::Random};

/// A number from the environment.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn whatever_fails_every_release_reaches_its_end_and_nothing_happens_twice() {
    Runtime::new().unwrap().block_on(run());
}

async fn run() {
    let mut random = Random::seeded();
    let releases = number("SURVIVAL_RELEASES", 28);
    let decks = number("SURVIVAL_DECKS", 1);
    let rollouts = (releases / 5).clamp(fleet::KINDS.len(), 20);

    let mut cluster = Cluster::start_with(folder("survival"), &["-faults"]).await;
    let breaker = cluster.breaker();
    let cluster = Arc::new(cluster);
    let from = fleet::version(&cluster).await;
    let replicas = replicas::Replicas::start(&cluster).await;
    let fleet = fleet::deploy(&cluster, rollouts).await;
    eprintln!("{rollouts} Rollouts are deployed");

    // One quiet release of each first: what a release takes without faults.
    let calm = Arc::new(AtomicBool::new(true));
    let mut pipelines = pipelines::start(&cluster, &fleet, 1, &calm);
    let quiet = pipelines.join().await;
    eprintln!("the quiet releases have ended");

    let over = Arc::new(AtomicBool::new(false));
    let each = releases.div_ceil(rollouts).saturating_sub(1).max(1);
    let mut pipelines = pipelines::start(&cluster, &fleet, each, &over);
    let faults = faults::Faults::new(&cluster, breaker, &replicas, &mut random);
    let (breaker, faults) = tokio::select! {
        faults = faults.deal(decks) => faults,
        failed = pipelines.failed() => panic!("{failed}"),
    };
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    eprintln!("the faults are over");
    // Kubernetes' own EndpointSlice controller gives a Service up after 15 tries with a cache that is
    // out of date, until somebody touches the Service: then a release waits for its endpoints, rightly.
    let touched = cluster.admin.kubectl("annotate services --all -A survived=true", "").await;
    touched.expect("the API server answers");
    let disturbed = pipelines.join().await;

    fleet::settle(&cluster, rollouts).await;
    let names = replicas.stop().await;
    let (history, _breaker) = verdict::History::read(&cluster, breaker, &from, names).await;
    let mut problems = history.problems(&fleet, &quiet, &disturbed);
    let _replicas = replicas::Replicas::start(&cluster).await;
    problems.extend(fleet::delete(&cluster).await);
    report::write(&history, &faults, &quiet, &disturbed);
    assert!(problems.is_empty(), "{} problems:\n  {}", problems.len(), problems.join("\n  "));
}

//! Releases under real traffic: real istiod, real Envoys, every pod a process that answers on its
//! own address, and users whose every request is counted. `make e2e-mesh` runs them, in a network
//! namespace of their own.
//!
//! One control plane, mesh and Prometheus serve all tests, each of which has a namespace and a
//! controller of its own. After every test the namespace's whole history is checked against what
//! always holds (`sluice::sim::invariants`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on has failed; requests are counted in thousands"
)]

// The cluster tests and the benchmark use more of it.
#[allow(dead_code, reason = "shared with the cluster tests")]
#[path = "../support/mod.rs"]
mod support;

mod alone;
mod blue_green;
mod canary;
mod disturbed;
mod handover;
mod house;
mod judged;
mod load;
mod proxy;
mod report;
mod rolling;
mod routes;
mod seeds;
mod shop;
mod stage;
mod tally;
mod ways_back;

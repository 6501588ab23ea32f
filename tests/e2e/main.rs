//! Releases on a real control plane: the shipped controller with the shipped rights, users' tools,
//! a real Prometheus. `make e2e` runs them; `cargo test` alone does not.
//!
//! One control plane and one controller serve all tests, each of which has a namespace of its own
//! and, where it stops or kills controllers, a controller instance of its own. After every test the
//! namespace's whole history is checked against what always holds (`sluice::sim::invariants`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_wrap,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on has failed; numbers of pods are small"
)]

// The benchmark uses more of it.
#[allow(dead_code, reason = "shared with the benchmark")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod adoption;
mod analysis;
mod app;
mod autoscaler;
mod backtest;
mod budgets;
mod commands;
mod compared;
mod conformance;
mod contested;
mod crashes;
mod deadline;
mod examples;
mod invalid;
mod leaders;
mod migration;
mod monitoring;
mod notify;
mod overtaken;
mod pipelines;
mod plugin;
mod promql;
mod rights;
mod scenario;
mod secrets;
mod seeds;
mod simulated;
mod slack;
mod smoke;
mod stories;
mod templates;
mod undo;

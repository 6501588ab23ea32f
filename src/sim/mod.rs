//! A cluster in the process: an API server, the cluster's own controllers, a mesh with traffic, and
//! a Prometheus, all in virtual time.
//!
//! The controller runs against it unchanged: the same `reconcile` over the same `kube::Client`. It
//! is for speed, faults and the demo; the real control plane of `tests/cluster` keeps it honest.

pub mod actors;
pub mod api;
pub mod deliver;
pub mod invariants;
pub mod mesh;
pub mod prometheus;
pub mod realtime;
pub mod scenario;
pub mod simulation;
pub mod slack;
pub mod traffic;
pub mod transcript;

#[cfg(test)]
mod tests;

//! Sluice: a progressive delivery controller for Kubernetes.
//!
//! Data flows one way: `observe` reads the cluster into a `world` (plain data), `plan` decides
//! (pure), `apply` writes. See the modules, each of which opens with what comes in and goes out.

pub mod analysis;
pub mod api;
pub mod apply;
pub mod cli;
pub mod controller;
pub mod notify;
pub mod observe;
pub mod plan;
pub mod server;
pub mod sim;
pub mod traffic;
pub mod world;

//! Input that nobody would write: objects that no schema let in, answers of a Prometheus that is
//! none, text that is no YAML. Never a panic, always a sentence, and nobody else is disturbed.
//!
//! Conditions and templates are tried in the same way beside their code (`src/analysis`), routes in
//! `src/traffic/istio/tests/properties.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod answers;
mod manifests;
mod mutation;
mod planted;

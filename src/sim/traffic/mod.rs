//! Users' requests through an Istio mesh, and the metrics that Istio would show of them.
//!
//! In: the objects that route requests ([`Objects`]) whenever one of them changed, and the time. Out:
//! counters in a [`Database`](super::prometheus::Database), and [`Totals`] for people. A state
//! machine: nothing runs between calls, the time is an argument, and chance comes from a seed. How
//! often [`Traffic::advance`] is called changes nothing.
//!
//! - [`mod@shares`]: which part of the requests goes to which pod, from the objects alone.
//! - [`Traffic`]: shares over time, with the delay of a mesh, and scrapes.
//! - Users come through an ingress gateway, in one even stream for each `VirtualService`; or without
//!   a mesh to Services that are said to be reached so.
//!
//! **As in a mesh.** A counter appears with its first request, as Envoy shows only statistics in
//! use: `rate` does not see what was counted before the first scrape of it. A request to a pod that
//! is gone or not ready while the mesh still has it is answered with 503 `UF`; without a ready
//! endpoint 503 `UH`; without the Service or the subset 503 `NC` (`NR` before Envoy 1.18). Nothing
//! is retried. Copies of requests (`mirror`) are counted at the pods that get them, not at the gateway,
//! and whatever becomes of them is no answer to anybody. What happened since the last scrape is in no counter and in no total yet.

mod application;
mod chance;
mod flow;
mod mesh;
mod meter;
mod pod;
mod route;
mod settings;
pub mod shares;
mod totals;

#[cfg(test)]
mod tests;

pub use application::is_known as is_application_metric;
pub use mesh::Traffic;
pub use settings::{Crowd, Incident, Settings, Version};
pub use shares::{Objects, Split, To, shares, shares_of};
pub use totals::{Count, Totals, Whose};

use serde_json::Value;

/// The text at a path of fields; empty if there is none.
fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    at(value, path).as_str().unwrap_or_default()
}

/// The list at a path of fields; empty if there is none.
fn list<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, field| value.get(field).unwrap_or(&Value::Null))
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

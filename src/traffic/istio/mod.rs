//! Istio: the weights in `VirtualService`s, and the subset labels in `DestinationRule`s.
//!
//! - [`virtual_service`]: which routes a release manages, their weights, a copy with other weights.
//! - [`destination_rule`]: what a subset selects, a copy in which it selects another revision.
//! - [`MatchRoute`]: a route for some requests only, which a step adds.
//! - [`host`]: which Service a destination host means.
//!
//! Every error here asks a person to change an object: none of them goes away by a retry.

mod conditions;
pub mod destination_rule;
mod error;
mod finder;
pub mod host;
mod match_route;
mod route;
mod validate;
pub mod virtual_service;

#[cfg(test)]
mod tests;

pub use error::{RouteError, SubsetError};
pub use match_route::MatchRoute;

use serde_json::Value;

use crate::api::{ManagedRoute, VirtualServiceRef, Weights};

/// What tells the stable destination of a route from the canary destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// Two Services, by the names that the Rollout gives them.
    Hosts {
        /// The Service that selects the stable revision.
        stable: String,
        /// The Service that selects the canary revision.
        canary: String,
    },
    /// Two subsets of one host.
    Subsets {
        /// `spec.host` of the `DestinationRule`, in the Rollout's namespace.
        host: String,
        /// The subset that selects the stable revision.
        stable: String,
        /// The subset that selects the canary revision.
        canary: String,
    },
}

/// Where a release puts its weights in one `VirtualService`.
#[derive(Clone, Copy, Debug)]
pub struct RouteTarget<'a> {
    /// The `VirtualService` and the routes in it, as the Rollout names them.
    pub reference: &'a VirtualServiceRef,
    /// What tells stable from canary.
    pub split: &'a Split,
    /// The namespace of the Rollout, which is that of its Services and its `DestinationRule`.
    pub namespace: &'a str,
    /// What the weights of a route sum to.
    pub total: i32,
    /// Routes that belong to us, in the order in which they stand before all others.
    pub managed: &'a [ManagedRoute],
    /// Names of routes that we added and that `managed` does not list any more: still ours to remove.
    pub former: &'a [String],
}

impl RouteTarget<'_> {
    /// Whether routes of this name belong to us.
    fn is_ours(&self, name: &str) -> bool {
        self.managed.iter().any(|route| route.name == name)
            || self.former.iter().any(|former| former == name)
    }
}

/// The weights that one managed route has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteWeights {
    /// The route as a person would call it: `http route "primary"`, `tls route port 443`. An
    /// unnamed http route goes by its index in `spec.http`, counted from 0, and its first match.
    pub route: String,
    /// The weights as they stand in the object; they need not sum to 100.
    pub weights: Weights,
}

/// `namespace/name` of an object, for messages; `namespace` stands in where the object has none.
fn object_name(object: &Value, namespace: &str) -> String {
    let metadata = |field| object.get("metadata")?.get(field)?.as_str();
    let namespace = metadata("namespace").unwrap_or(namespace);
    format!("{namespace}/{}", metadata("name").unwrap_or("(no name)"))
}

/// `items` as they stand in a message: `a, b`, or `none`.
fn listed(items: &[String]) -> String {
    if items.is_empty() {
        return "none".into();
    }
    items.join(", ")
}

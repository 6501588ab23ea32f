//! Which routes a release edits.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// Which routes a release edits. Only weights (and the revision label of the two subsets) are
/// written; all else in these objects stays as it is.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Istio VirtualServices, and for a subset split a DestinationRule.
    pub istio: Istio,

    /// The sum of a route's weights, and so the highest `setWeight`. Default 100; with 1000 a weight
    /// of 1 is 0.1 %.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_weight: i32,

    /// Names of the routes that `setHeaderRoute` and `setMirrorRoute` may add to the VirtualServices,
    /// first of all routes and in this order. Routes with these names belong to Sluice: they are
    /// removed when no step asks for them.
    #[serde(default)]
    #[schemars(length(max = 20))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(s, s.name == r.name))").message("managedRoutes: each name may stand there once"))]
    pub managed_routes: Vec<ManagedRoute>,
}

/// A route that steps may add to the VirtualServices.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRoute {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// Istio routes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Istio {
    /// The VirtualServices whose routes carry the weights; all of them are kept alike.
    #[schemars(length(min = 1, max = 20))]
    pub virtual_services: Vec<VirtualServiceRef>,

    /// For a subset split: the DestinationRule whose two subsets select the revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<DestinationRuleRef>,

    /// How long the proxies may take to follow a change of routes, endpoints or subsets. What
    /// depends on such a change (repointing a Service, removing pods) waits for it. Default 2s: from
    /// the write to the last proxy takes 0.1 s, most of it istiod's debounce, unless istiod is busy;
    /// it may then put off a push for up to 10 s. Pods wait longer: `scaleDownDelay`, and where there
    /// are metrics until nobody asks them.
    #[serde(default = "two_seconds")]
    pub propagation_delay: Duration,
}

/// One VirtualService and the routes in it to edit.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's. One of another namespace must name the Rollout's in its
    /// annotation `sluice.dev/allow-namespaces`, a list with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Names of http routes to edit. Without any routes named, the one route that splits between
    /// stable and canary is edited; if there are several, they must be named.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub routes: Vec<String>,
    /// Tls routes to edit, by port or SNI hosts.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub tls_routes: Vec<TlsRouteRef>,
    /// Tcp routes to edit, by port.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub tcp_routes: Vec<TcpRouteRef>,
}

/// A tls route: the one whose matches have this port, and these SNI hosts if any are given.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.port) || size(self.sniHosts) > 0").message("a tls route is named by port, by sniHosts or by both"))]
pub struct TlsRouteRef {
    /// The port in the route's match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The SNI hosts in the route's match, in any order.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub sni_hosts: Vec<String>,
}

/// A tcp route: the one whose matches have this port.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TcpRouteRef {
    /// The port in the route's match.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// The DestinationRule of a subset split. Each of its two subsets gets the label
/// `sluice.dev/revision`; labels there whose keys are in the pod template too follow the revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.stableSubset != self.canarySubset").message("destinationRule: stableSubset and canarySubset must be two different subsets"))]
pub struct DestinationRuleRef {
    /// Its name, in the Rollout's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The subset that selects the stable revision.
    #[schemars(length(min = 1, max = 253))]
    pub stable_subset: String,
    /// The subset that selects the canary revision.
    #[schemars(length(min = 1, max = 253))]
    pub canary_subset: String,
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

fn hundred() -> i32 {
    100
}

//! The routes of a `VirtualService` that users take.
//!
//! In: a `VirtualService`. Out: its destinations, each with the fraction of the users' requests that
//! goes to it. Users send GET requests without special headers, evenly over the routes that take
//! such requests; what stands behind a route without `match` is never reached.

use serde_json::Value;

use super::{list, number, text};

/// What a route carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Requests.
    Http,
    /// Requests that come without a mesh: they show in no metric of Istio.
    Plain,
    /// Connections: they show in no HTTP metric.
    Tcp,
}

/// Where a fraction of the requests goes.
pub(super) struct Destination<'v> {
    pub(super) host: &'v str,
    pub(super) subset: Option<&'v str>,
    pub(super) fraction: f64,
}

/// The fields of a match that users fulfil, or that a path alone fulfils.
const HARMLESS: [&str; 6] = ["uri", "ignoreUriCase", "name", "gateways", "port", "scheme"];

/// The destinations of users. A route whose weights are all 0 has none.
pub(super) fn destinations(virtual_service: &Value) -> (Protocol, Vec<Destination<'_>>) {
    let http = list(virtual_service, &["spec", "http"]);
    let (protocol, routes): (Protocol, Vec<&Value>) = if http.is_empty() {
        let tls = list(virtual_service, &["spec", "tls"]);
        let tcp = list(virtual_service, &["spec", "tcp"]);
        (Protocol::Tcp, tls.iter().chain(tcp).collect())
    } else {
        let end = http.iter().position(|route| list(route, &["match"]).is_empty());
        let reached = http.iter().take(end.map_or(http.len(), |end| end + 1));
        (Protocol::Http, reached.filter(|route| is_for_users(route)).collect())
    };
    let routes: Vec<&Value> =
        routes.into_iter().filter(|route| !list(route, &["route"]).is_empty()).collect();
    let each = 1.0 / number(routes.len().max(1) as u64);
    let split = routes.into_iter().flat_map(|route| split(route, each));
    (protocol, split.collect())
}

fn is_for_users(route: &Value) -> bool {
    let matches = list(route, &["match"]);
    matches.is_empty() || matches.iter().any(is_fulfilled)
}

fn is_fulfilled(found: &Value) -> bool {
    let Some(fields) = found.as_object() else { return false };
    fields.keys().all(|field| {
        HARMLESS.contains(&field.as_str())
            || (field == "method" && text(found, &["method", "exact"]) == "GET")
    })
}

/// The destinations of one route by their weights. That of a single destination is all.
fn split(route: &Value, whole: f64) -> Vec<Destination<'_>> {
    let entries = list(route, &["route"]);
    let weight = |entry: &Value| match (entries.len(), entry.get("weight")) {
        (1, _) => 100.0,
        (_, weight) => weight.and_then(Value::as_f64).unwrap_or(0.0).max(0.0),
    };
    let sum: f64 = entries.iter().map(weight).sum();
    let weighted = entries.iter().filter(|entry| weight(entry) > 0.0);
    let destinations = weighted.map(|entry| Destination {
        host: text(entry, &["destination", "host"]),
        subset: Some(text(entry, &["destination", "subset"])).filter(|subset| !subset.is_empty()),
        fraction: whole * weight(entry) / sum,
    });
    destinations.collect()
}

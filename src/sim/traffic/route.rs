//! The routes of a `VirtualService` that users take.
//!
//! In: a `VirtualService`, and users. Out: its destinations, each with the fraction of the users'
//! requests that goes to it, and that of copies. Users send GET requests, evenly over the routes that
//! take such requests; what stands behind a route that takes all of them is never reached.

use regex::Regex;
use serde_json::{Map, Value};

use super::{list, number, settings::Crowd, text};

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
    /// Whether they are copies, whose answers nobody gets.
    pub(super) copies: bool,
}

/// The fields of a match that a path alone fulfils.
const OF_PATH: [&str; 6] = ["uri", "ignoreUriCase", "gateways", "port", "scheme", "authority"];

/// The destinations of users. A route whose weights are all 0 has none.
pub(super) fn destinations<'v>(
    virtual_service: &'v Value,
    users: &Crowd,
) -> (Protocol, Vec<Destination<'v>>) {
    let http = list(virtual_service, &["spec", "http"]);
    let (protocol, routes): (Protocol, Vec<&Value>) = if http.is_empty() {
        let tls = list(virtual_service, &["spec", "tls"]);
        let tcp = list(virtual_service, &["spec", "tcp"]);
        (Protocol::Tcp, tls.iter().chain(tcp).collect())
    } else {
        (Protocol::Http, reached(http, users))
    };
    let routes: Vec<&Value> =
        routes.into_iter().filter(|route| !list(route, &["route"]).is_empty()).collect();
    let each = users.fraction / number(routes.len().max(1) as u64);
    let split = routes.into_iter().flat_map(|route| {
        let copies = copies(route, each);
        split(route, each).into_iter().chain(copies)
    });
    (protocol, split.collect())
}

/// The routes that take requests of these users: the first whose match a request fulfils takes it.
fn reached<'v>(http: &'v [Value], users: &Crowd) -> Vec<&'v Value> {
    let mut taken: Vec<Map<String, Value>> = Vec::new();
    let mut reached = Vec::new();
    for route in http {
        let matches = list(route, &["match"]);
        let mut paths: Vec<_> = matches.iter().filter_map(|entry| paths(entry, users)).collect();
        if matches.is_empty() {
            paths.push(Map::new());
        }
        paths.retain(|path| !taken.contains(path));
        if paths.is_empty() {
            continue;
        }
        reached.push(route);
        if paths.iter().any(Map::is_empty) {
            return reached;
        }
        taken.extend(paths);
    }
    reached
}

/// What a match asks of the path, if users fulfil the rest of it.
fn paths(entry: &Value, users: &Crowd) -> Option<Map<String, Value>> {
    let mut paths = Map::new();
    for (field, found) in entry.as_object()? {
        let fulfilled = match field.as_str() {
            "name" => true,
            "method" => fits("GET", found),
            "headers" => headers(found).all(|(name, wanted)| {
                users.headers.get(name).is_some_and(|value| fits(value, wanted))
            }),
            "withoutHeaders" => !headers(found).any(|(name, wanted)| {
                users.headers.get(name).is_some_and(|value| fits(value, wanted))
            }),
            field if OF_PATH.contains(&field) => {
                paths.insert(field.to_owned(), found.clone());
                true
            }
            _ => false,
        };
        if !fulfilled {
            return None;
        }
    }
    Some(paths)
}

fn headers(found: &Value) -> impl Iterator<Item = (&String, &Value)> {
    found.as_object().into_iter().flatten()
}

/// Whether a text is as a match wants it; an empty match wants any.
fn fits(value: &str, wanted: &Value) -> bool {
    let of = |kind: &str| wanted.get(kind).and_then(Value::as_str);
    match (of("exact"), of("prefix"), of("regex")) {
        (Some(exact), _, _) => value == exact,
        (None, Some(prefix), _) => value.starts_with(prefix),
        (None, None, Some(regex)) => {
            Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(value))
        }
        (None, None, None) => true,
    }
}

/// Where copies of a route's requests go.
fn copies(route: &Value, whole: f64) -> Vec<Destination<'_>> {
    let share = |of: Option<&Value>| {
        let percent = of.and_then(|of| of.get("value")).and_then(Value::as_f64);
        whole * percent.unwrap_or(100.0) / 100.0
    };
    let mut found: Vec<(&Value, f64)> = Vec::new();
    if let Some(mirror) = route.get("mirror").filter(|mirror| mirror.is_object()) {
        found.push((mirror, share(route.get("mirrorPercentage"))));
    }
    for mirror in list(route, &["mirrors"]) {
        let to = mirror.get("destination").unwrap_or(&Value::Null);
        found.push((to, share(mirror.get("percentage"))));
    }
    let copies = found.into_iter().filter(|(_, fraction)| *fraction > 0.0);
    let copies = copies.map(|(to, fraction)| Destination {
        host: text(to, &["host"]),
        subset: Some(text(to, &["subset"])).filter(|subset| !subset.is_empty()),
        fraction,
        copies: true,
    });
    copies.collect()
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
        copies: false,
    });
    destinations.collect()
}

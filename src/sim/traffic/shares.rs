//! Which part of the users' requests goes to which pod.
//!
//! In: the objects that route requests, as the API server holds them. Out: for each `VirtualService`
//! the fractions, which sum to 1 (or to nothing, where no route takes users), copies left aside. A function of the
//! objects alone: the delay of the mesh is added by [`Traffic`](super::Traffic).
//!
//! Endpoints are those of the Service's `EndpointSlice`s with `conditions.ready`, as for Istio: the
//! slices follow the Service's selector by themselves. A subset takes of them the pods that have
//! its labels.

use std::collections::BTreeSet;

use serde_json::Value;

pub use super::route::Protocol;
use super::route::{Destination, destinations};
use super::settings::Crowd;
use super::{at, list, number, text};
use crate::traffic::istio::host::{same_host, service_of};

/// The objects that route requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Objects<'a> {
    /// All `VirtualService`s.
    pub virtual_services: &'a [&'a Value],
    /// All `DestinationRule`s.
    pub destination_rules: &'a [&'a Value],
    /// All Services.
    pub services: &'a [&'a Value],
    /// All `EndpointSlice`s.
    pub endpoint_slices: &'a [&'a Value],
    /// All pods.
    pub pods: &'a [&'a Value],
    /// Names of Services that users reach without a `VirtualService`.
    pub direct: &'a [String],
}

/// Where the requests to a `VirtualService` go.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Namespace of the `VirtualService`, or of the Service without one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it routes.
    pub protocol: Protocol,
    /// The fractions.
    pub shares: Vec<Share>,
}

/// Where a fraction of the requests goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The fraction, above 0.
    pub fraction: f64,
    /// Namespace of the Service.
    pub namespace: String,
    /// Name of the Service, or a host that is no Service.
    pub service: String,
    /// Where to.
    pub to: To,
    /// Whether they are copies, whose answers nobody gets.
    pub copies: bool,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To the pod of this name, in the namespace of the Service.
    Pod(String),
    /// Nowhere: the Service or subset has no ready endpoint.
    NoEndpoint,
    /// Nowhere: there is no such Service or subset.
    NoCluster,
}

/// Evenly to the pods of a Service.
fn plain(objects: &Objects<'_>, service: &Value) -> Split {
    let namespace = text(service, &["metadata", "namespace"]);
    let name = text(service, &["metadata", "name"]);
    let destination = Destination { host: name, subset: None, fraction: 1.0, copies: false };
    Split {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        protocol: Protocol::Plain,
        shares: to_pods(objects, namespace, &destination),
    }
}

/// The split of each `VirtualService` for users without headers, in the order in which they are given,
/// and of each Service that users reach without one.
pub fn shares(objects: &Objects<'_>) -> Vec<Split> {
    shares_of(objects, &[Crowd::default()])
}

/// The split of each `VirtualService` for these users, and of each Service that they reach without one.
pub fn shares_of(objects: &Objects<'_>, crowds: &[Crowd]) -> Vec<Split> {
    let routed = objects.virtual_services.iter().map(|found| split(objects, found, crowds));
    let is_direct = |service: &&&Value| {
        objects.direct.iter().any(|name| text(service, &["metadata", "name"]) == name)
    };
    let direct = objects.services.iter().filter(is_direct).map(|found| plain(objects, found));
    routed.chain(direct).collect()
}

fn split(objects: &Objects<'_>, virtual_service: &Value, crowds: &[Crowd]) -> Split {
    let namespace = text(virtual_service, &["metadata", "namespace"]);
    let mut protocol = Protocol::Http;
    let mut all = Vec::new();
    for crowd in crowds {
        let (found, destinations) = destinations(virtual_service, crowd);
        protocol = found;
        all.extend(destinations);
    }
    let mut shares: Vec<Share> = Vec::new();
    for destination in all {
        for share in to_pods(objects, namespace, &destination) {
            let same = |other: &&mut Share| {
                (&other.namespace, &other.service, &other.to, other.copies)
                    == (&share.namespace, &share.service, &share.to, share.copies)
            };
            match shares.iter_mut().find(same) {
                Some(same) => same.fraction += share.fraction,
                None => shares.push(share),
            }
        }
    }
    Split {
        namespace: namespace.to_owned(),
        name: text(virtual_service, &["metadata", "name"]).to_owned(),
        protocol,
        shares,
    }
}

/// Evenly to the pods of one destination.
fn to_pods(objects: &Objects<'_>, namespace: &str, destination: &Destination<'_>) -> Vec<Share> {
    let found = service_of(destination.host, namespace);
    let (service_namespace, service) = found.unwrap_or(("", destination.host));
    let share = |fraction, to| Share {
        fraction,
        namespace: service_namespace.to_owned(),
        service: service.to_owned(),
        to,
        copies: destination.copies,
    };
    let is_service = |object: &&&Value| {
        text(object, &["metadata", "name"]) == service
            && text(object, &["metadata", "namespace"]) == service_namespace
    };
    if found.is_none() || !objects.services.iter().any(|object| is_service(&object)) {
        return vec![share(destination.fraction, To::NoCluster)];
    }
    let mut pods = endpoints(objects, service_namespace, service);
    if let Some(name) = destination.subset {
        let Some(labels) = subset(objects, namespace, destination.host, name) else {
            return vec![share(destination.fraction, To::NoCluster)];
        };
        pods.retain(|pod| has_labels(objects, service_namespace, pod, labels));
    }
    if pods.is_empty() {
        return vec![share(destination.fraction, To::NoEndpoint)];
    }
    let each = destination.fraction / number(pods.len() as u64);
    pods.into_iter().map(|pod| share(each, To::Pod(pod.to_owned()))).collect()
}

/// The names of the pods that are ready endpoints of a Service.
fn endpoints<'a>(objects: &Objects<'a>, namespace: &str, service: &str) -> BTreeSet<&'a str> {
    let slices = objects.endpoint_slices.iter().filter(|slice| {
        text(slice, &["metadata", "namespace"]) == namespace
            && text(slice, &["metadata", "labels", "kubernetes.io/service-name"]) == service
    });
    let endpoints = slices.flat_map(|slice| list(slice, &["endpoints"]));
    // Without a word on it an endpoint is ready.
    let ready =
        endpoints.filter(|found| at(found, &["conditions", "ready"]).as_bool().unwrap_or(true));
    let names = ready.map(|found| text(found, &["targetRef", "name"]));
    names.filter(|name| !name.is_empty()).collect()
}

/// The labels of a subset; none if no `DestinationRule` of the host has it.
fn subset<'a>(objects: &Objects<'a>, namespace: &str, host: &str, name: &str) -> Option<&'a Value> {
    let of_host = objects.destination_rules.iter().filter(|rule| {
        let rule_namespace = text(rule, &["metadata", "namespace"]);
        same_host(text(rule, &["spec", "host"]), rule_namespace, host, namespace)
    });
    let mut subsets = of_host.flat_map(|rule| list(rule, &["spec", "subsets"]));
    subsets.find(|subset| text(subset, &["name"]) == name).map(|subset| at(subset, &["labels"]))
}

fn has_labels(objects: &Objects<'_>, namespace: &str, pod: &str, labels: &Value) -> bool {
    let found = objects.pods.iter().find(|object| {
        text(object, &["metadata", "name"]) == pod
            && text(object, &["metadata", "namespace"]) == namespace
    });
    let Some(pod) = found else { return false };
    let own = at(pod, &["metadata", "labels"]);
    let none = serde_json::Map::new();
    let labels = labels.as_object().unwrap_or(&none);
    labels.iter().all(|(name, value)| own.get(name) == Some(value))
}

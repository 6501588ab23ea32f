//! Which Service a destination host means.
//!
//! In: the host as written in a `VirtualService` or `DestinationRule`, and the namespace of that
//! object. Istio completes a host without a dot by the namespace of the object it stands in, *not*
//! by that of the Service: `web` in a `VirtualService` of `istio-system` is `web.istio-system`.

use serde_json::Value;

use super::{RouteTarget, Split};

/// The Service that `host` means in an object of `namespace`, as (namespace, name). `None` if it is
/// no Service of the cluster: a wildcard, an address, a name of the outer world.
///
/// `web`, `web.shop`, `web.shop.svc` and `web.shop.svc.<any cluster domain>` are understood. Istio
/// itself completes only names without a dot, so `web.shop` is what its author meant rather than
/// what the proxies find; it is matched all the same, because it can mean nothing else. A name
/// of two parts could also be of the outer world (`example.com`); it then reads as a Service of a
/// namespace `com`, which no Rollout's Service is.
pub fn service_of<'a>(host: &'a str, namespace: &'a str) -> Option<(&'a str, &'a str)> {
    let mut parts = host.split('.');
    let name = parts.next()?;
    let namespace = parts.next().unwrap_or(namespace);
    let rest_is_cluster = match parts.next() {
        None => true,
        Some(third) => third == "svc" && parts.all(is_label),
    };
    (rest_is_cluster && is_label(name) && is_label(namespace)).then_some((namespace, name))
}

/// Whether the host `left` in an object of namespace `left_namespace` is the host `right` in one of
/// `right_namespace`.
pub fn same_host(left: &str, left_namespace: &str, right: &str, right_namespace: &str) -> bool {
    match (service_of(left, left_namespace), service_of(right, right_namespace)) {
        (Some(left), Some(right)) => left == right,
        // Hosts outside the cluster mean the same everywhere.
        (None, None) => left == right,
        _ => false,
    }
}

/// A DNS label: the names of Services and namespaces, and the parts of a cluster domain.
fn is_label(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(letter)
        && text.ends_with(letter)
        && text.chars().all(|c| letter(c) || c == '-')
}

/// One of the two sides of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Stable,
    Canary,
}

/// Tells the sides of a split apart among the destinations of one `VirtualService`.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    target: RouteTarget<'a>,
    /// The namespace of the `VirtualService`.
    namespace: &'a str,
}

// === impl Sides ===

impl<'a> Sides<'a> {
    pub(super) fn new(target: RouteTarget<'a>, namespace: &'a str) -> Self {
        Self { target, namespace }
    }

    /// The side that `route_destination` (an entry of a route's `route` list) is, if any.
    pub(super) fn of(&self, route_destination: &Value) -> Option<Side> {
        [Side::Stable, Side::Canary].into_iter().find(|side| self.is(*side, route_destination))
    }

    fn is(&self, side: Side, route_destination: &Value) -> bool {
        let field = |name| route_destination.get("destination")?.get(name)?.as_str();
        let (host, subset) = self.host_and_subset(side);
        let same = |found| same_host(found, self.namespace, host, self.target.namespace);
        field("host").is_some_and(same) && (subset.is_none() || field("subset") == subset)
    }

    fn host_and_subset(&self, side: Side) -> (&'a str, Option<&'a str>) {
        match (self.target.split, side) {
            (Split::Hosts { stable, .. }, Side::Stable) => (stable, None),
            (Split::Hosts { canary, .. }, Side::Canary) => (canary, None),
            (Split::Subsets { host, stable, .. }, Side::Stable) => (host, Some(stable)),
            (Split::Subsets { host, canary, .. }, Side::Canary) => (host, Some(canary)),
        }
    }

    /// The host of `side` as it must be written in this `VirtualService`.
    fn written_host(&self, side: Side) -> String {
        let (host, _) = self.host_and_subset(side);
        match service_of(host, self.target.namespace) {
            Some((namespace, name)) if namespace != self.namespace => {
                format!("{name}.{namespace}.svc.cluster.local")
            }
            _ => host.into(),
        }
    }

    /// `side` in the words of a message: `web-canary`, `web subset canary`.
    pub(super) fn name(&self, side: Side) -> String {
        destination_name(&self.written_host(side), self.host_and_subset(side).1)
    }

    /// `side` as an entry of a route's `route` list, in YAML's flow style: messages are one line.
    pub(super) fn yaml(&self, side: Side) -> String {
        let host = self.written_host(side);
        let subset = self.host_and_subset(side).1;
        let subset = subset.map_or_else(String::new, |subset| format!(", subset: {subset}"));
        let weight = match side {
            Side::Stable => self.target.total,
            Side::Canary => 0,
        };
        format!("{{destination: {{host: {host}{subset}}}, weight: {weight}}}")
    }
}

/// A destination in the words of a message.
pub(super) fn destination_name(host: &str, subset: Option<&str>) -> String {
    subset.map_or_else(|| host.into(), |subset| format!("{host} subset {subset}"))
}

//! One route of a `VirtualService`, and what people call it.

use serde_json::Value;

use super::{host::destination_name, listed};

/// The three lists of routes in a `VirtualService`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Http,
    Tls,
    Tcp,
}

/// One route, by its place in the object.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) protocol: Protocol,
    pub(super) index: usize,
    object: &'a Value,
}

// === impl Protocol ===

impl Protocol {
    pub(super) const ALL: [Self; 3] = [Self::Http, Self::Tls, Self::Tcp];

    /// The field of `spec` that holds the list.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }

    /// The field of the Rollout in which routes of this kind are named.
    pub(super) fn reference_field(self) -> &'static str {
        match self {
            Self::Http => "routes",
            Self::Tls => "tlsRoutes",
            Self::Tcp => "tcpRoutes",
        }
    }

    /// The routes of this kind in `virtual_service`.
    pub(super) fn routes(self, virtual_service: &Value) -> Vec<Route<'_>> {
        let list = virtual_service
            .get("spec")
            .and_then(|spec| spec.get(self.field()))
            .and_then(Value::as_array);
        let routes = list.into_iter().flatten().enumerate();
        routes.map(|(index, object)| Route { protocol: self, index, object }).collect()
    }
}

// === impl Route ===

impl<'a> Route<'a> {
    /// The entries of the route's `route` list.
    pub(super) fn destinations(&self) -> &'a [Value] {
        let list = self.object.get("route").and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    /// The name that the user gave the route; only http routes can have one.
    pub(super) fn given_name(&self) -> Option<&'a str> {
        let name = self.object.get("name")?.as_str()?;
        (self.protocol == Protocol::Http && !name.is_empty()).then_some(name)
    }

    /// What the route does instead of sending to destinations.
    pub(super) fn other_action(&self) -> Option<&'static str> {
        ["redirect", "directResponse", "delegate"]
            .into_iter()
            .find(|action| self.object.get(action).is_some_and(|found| !found.is_null()))
    }

    /// Whether one of the route's matches has this port (if any is asked for) and exactly these
    /// SNI hosts (if any are asked for).
    pub(super) fn matches(&self, port: Option<i32>, sni_hosts: &[String]) -> bool {
        self.match_entries().iter().any(|entry| {
            let port_fits = port.is_none_or(|port| match_port(entry) == Some(i64::from(port)));
            let found = match_sni_hosts(entry);
            let same_hosts = found.len() == sni_hosts.len()
                && sni_hosts.iter().all(|host| found.contains(&host.as_str()));
            port_fits && (sni_hosts.is_empty() || same_hosts)
        })
    }

    /// A field of the route, unless it is not there or null.
    pub(super) fn field(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|found| !found.is_null())
    }

    pub(super) fn match_entries(&self) -> &'a [Value] {
        let list = self.object.get("match").and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    /// The route in the words of a message.
    pub(super) fn name(&self) -> String {
        let first = self.match_entries().first();
        if self.protocol != Protocol::Http {
            let port = first.and_then(match_port);
            let hosts = first.map(match_sni_hosts).unwrap_or_default();
            if port.is_none() && hosts.is_empty() {
                return format!("{} route {}", self.protocol.field(), self.index);
            }
            return l4_name(self.protocol, port, &hosts);
        }
        if let Some(name) = self.given_name() {
            return format!("http route \"{name}\"");
        }
        let condition = first.map_or_else(|| "any request".into(), http_condition);
        format!("http route {} ({condition})", self.index)
    }
}

/// A tls or tcp route by what its match has: `tls route port 443 for a.example.com`.
pub(super) fn l4_name(protocol: Protocol, port: Option<i64>, sni_hosts: &[&str]) -> String {
    let port = port.map(|port| format!(" port {port}"));
    let hosts = (!sni_hosts.is_empty()).then(|| format!(" for {}", sni_hosts.join(", ")));
    let [port, hosts] = [port, hosts].map(Option::unwrap_or_default);
    format!("{} route{port}{hosts}", protocol.field())
}

/// An entry of a `route` list in the words of a message.
pub(super) fn found_name(route_destination: &Value) -> String {
    let field = |name| route_destination.get("destination")?.get(name)?.as_str();
    destination_name(field("host").unwrap_or("(no host)"), field("subset"))
}

/// The names of `routes`, for a message.
pub(super) fn names(routes: &[Route]) -> String {
    let names: Vec<String> = routes.iter().map(Route::name).collect();
    listed(&names)
}

fn match_port(entry: &Value) -> Option<i64> {
    entry.get("port")?.as_i64()
}

fn match_sni_hosts(entry: &Value) -> Vec<&str> {
    let hosts = entry.get("sniHosts").and_then(Value::as_array);
    hosts.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The first condition of an http match: `prefix /api`, else the fields that it looks at.
fn http_condition(entry: &Value) -> String {
    let uri = entry.get("uri").and_then(Value::as_object);
    let text = uri.and_then(|uri| uri.iter().find_map(|(kind, v)| Some((kind, v.as_str()?))));
    if let Some((kind, path)) = text {
        return format!("{kind} {path}");
    }
    let fields = entry.as_object().map(|entry| entry.keys().cloned().collect::<Vec<_>>());
    match fields {
        Some(fields) if !fields.is_empty() => format!("match on {}", fields.join(", ")),
        _ => "any request".into(),
    }
}

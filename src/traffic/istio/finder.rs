//! The managed routes of one `VirtualService`: which they are, and what is made of them.
//!
//! In: the object, and how the Rollout names its routes. Out: places of weights, and routes of ours for
//! some requests.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    MatchRoute, RouteError, RouteTarget, RouteWeights,
    host::{Side, Sides},
    match_route::Base,
    object_name,
    route::{Protocol, Route, found_name, l4_name, names},
};
use crate::api::{ManagedRoute, Weights};

/// A managed route: what it has, and where its two weights are.
pub(super) struct Managed {
    pub(super) weights: RouteWeights,
    pub(super) protocol: Protocol,
    pub(super) index: usize,
    /// JSON pointers to the two entries of the `route` list.
    pub(super) stable: String,
    pub(super) canary: String,
}

/// What is needed to find the managed routes of one `VirtualService`.
pub(super) struct Finder<'a> {
    object: &'a Value,
    /// Namespace and name, for messages.
    pub(super) name: String,
    target: RouteTarget<'a>,
    sides: Sides<'a>,
}

/// The weight of an entry of a `route` list; the only one of a route takes all.
pub(super) fn weight_of(
    object: &str,
    route: &Route,
    destination: &Value,
) -> Result<i32, RouteError> {
    let found = match destination.get("weight") {
        None | Some(Value::Null) if route.destinations().len() == 1 => return Ok(100),
        None | Some(Value::Null) => return Ok(0),
        Some(found) => found,
    };
    let weight = found.as_i64().and_then(|weight| i32::try_from(weight).ok());
    weight.filter(|weight| *weight >= 0).ok_or_else(|| RouteError::BadWeight {
        object: object.into(),
        route: route.name(),
        destination: found_name(destination),
        found: found.to_string(),
    })
}

// === impl Finder ===

impl<'a> Finder<'a> {
    pub(super) fn new(object: &'a Value, target: RouteTarget<'a>) -> Self {
        let of_object = object.pointer("/metadata/namespace").and_then(Value::as_str);
        let namespace =
            of_object.or(target.reference.namespace.as_deref()).unwrap_or(target.namespace);
        Self {
            object,
            name: object_name(object, namespace),
            target,
            sides: Sides::new(target, namespace),
        }
    }

    /// The managed routes, each with its weights and where they are.
    pub(super) fn all_managed(&self) -> Result<Vec<Managed>, RouteError> {
        let routes = self.routes()?;
        routes.iter().map(|route| self.managed(route)).collect()
    }

    /// The routes of ours that `extra` asks for, made of those of `copy`: in the order of their names
    /// in the spec, and each in the order of the routes that it is made of.
    pub(super) fn match_routes(
        &self,
        copy: &Value,
        managed: &[Managed],
        extra: &[MatchRoute],
    ) -> Result<Vec<Value>, RouteError> {
        let mut first = Vec::new();
        for ManagedRoute { name } in self.target.managed {
            let wanted = extra.iter().rfind(|route| route.name() == name);
            if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
                first.extend(self.made(copy, managed, wanted)?);
            }
        }
        Ok(first)
    }

    /// What `wanted` becomes, once for each managed http route of `copy`.
    pub(super) fn made(
        &self,
        copy: &Value,
        managed: &[Managed],
        wanted: &MatchRoute,
    ) -> Result<Vec<Value>, RouteError> {
        let mut made = Vec::new();
        for route in managed.iter().filter(|route| route.protocol == Protocol::Http) {
            let http = copy.pointer(&format!("/spec/http/{}", route.index));
            let Some((http, canary)) = http.zip(copy.pointer(&route.canary)) else { continue };
            let base = Base {
                object: &self.name,
                name: route.weights.route.clone(),
                route: http,
                canary,
                total: self.target.total,
            };
            made.extend(base.with(wanted)?);
        }
        Ok(made)
    }

    /// The routes of a kind that are not ours.
    fn of(&self, protocol: Protocol) -> Vec<Route<'a>> {
        let mut routes = protocol.routes(self.object);
        routes.retain(|route| !route.given_name().is_some_and(|name| self.target.is_ours(name)));
        routes
    }

    /// The managed routes, in the order of the object.
    fn routes(&self) -> Result<Vec<Route<'a>>, RouteError> {
        let reference = self.target.reference;
        let mut chosen = Vec::new();
        for name in &reference.routes {
            if self.target.is_ours(name) {
                let name = name.clone();
                return Err(RouteError::ManagedName { object: self.name.clone(), name });
            }
            chosen.push(self.named(name)?);
        }
        for tls in &reference.tls_routes {
            chosen.push(self.matching(Protocol::Tls, tls.port, &tls.sni_hosts)?);
        }
        for tcp in &reference.tcp_routes {
            chosen.push(self.matching(Protocol::Tcp, Some(tcp.port), &[])?);
        }
        if chosen.is_empty() {
            return self.only_split().map(|route| vec![route]);
        }
        // One route may be named twice, as by its port and by its SNI hosts.
        let mut seen = BTreeSet::new();
        chosen.retain(|route| seen.insert((route.protocol, route.index)));
        chosen.sort_by_key(|route| (route.protocol, route.index));
        Ok(chosen)
    }

    fn named(&self, name: &str) -> Result<Route<'a>, RouteError> {
        let routes = self.of(Protocol::Http);
        let mut fitting = routes.clone();
        fitting.retain(|route| route.given_name() == Some(name));
        let route = match fitting.as_slice() {
            [route] => *route,
            [] => {
                return Err(RouteError::NoSuchRoute {
                    object: self.name.clone(),
                    name: name.into(),
                    found: names(&routes),
                });
            }
            several => {
                let indices: Vec<_> = several.iter().map(|r| r.index.to_string()).collect();
                return Err(RouteError::SameName {
                    object: self.name.clone(),
                    name: name.into(),
                    indices: indices.join(", "),
                });
            }
        };
        match route.other_action() {
            None => Ok(route),
            Some(action) => Err(RouteError::NoDestinations {
                object: self.name.clone(),
                route: route.name(),
                action,
            }),
        }
    }

    fn matching(
        &self,
        protocol: Protocol,
        port: Option<i32>,
        sni_hosts: &[String],
    ) -> Result<Route<'a>, RouteError> {
        let routes = self.of(protocol);
        let mut fitting = routes.clone();
        fitting.retain(|route| route.matches(port, sni_hosts));
        let wanted = || {
            let hosts: Vec<_> = sni_hosts.iter().map(String::as_str).collect();
            l4_name(protocol, port.map(i64::from), &hosts)
        };
        match fitting.as_slice() {
            [route] => Ok(*route),
            [] => Err(RouteError::NoSuchMatch {
                object: self.name.clone(),
                wanted: wanted(),
                found: names(&routes),
                field: protocol.reference_field(),
            }),
            several => Err(RouteError::SeveralMatches {
                object: self.name.clone(),
                wanted: wanted(),
                count: several.len(),
                found: names(several),
                field: protocol.reference_field(),
            }),
        }
    }

    /// The one route that has both destinations.
    fn only_split(&self) -> Result<Route<'a>, RouteError> {
        let [with_stable, with_canary] = [Side::Stable, Side::Canary].map(|side| {
            let mut routes = self.all();
            routes.retain(|route| !self.entries(route, side).is_empty());
            routes
        });
        let mut both = with_stable.clone();
        both.retain(|route| !self.entries(route, Side::Canary).is_empty());
        match both.as_slice() {
            [route] => Ok(*route),
            [] => Err(RouteError::NoSplit {
                object: self.name.clone(),
                found: [(Side::Stable, &with_stable), (Side::Canary, &with_canary)]
                    .map(|(side, routes)| self.whereabouts(side, routes))
                    .join("; "),
                add: [Side::Stable, Side::Canary].map(|s| self.sides.yaml(s)).join(", "),
            }),
            several => Err(self.ambiguous(several)),
        }
    }

    fn whereabouts(&self, side: Side, routes: &[Route]) -> String {
        let place = if routes.is_empty() { "no route".into() } else { names(routes) };
        format!("{} is in {place}", self.sides.name(side))
    }

    fn ambiguous(&self, routes: &[Route]) -> RouteError {
        let mut fields: Vec<_> = routes.iter().map(|r| r.protocol.reference_field()).collect();
        fields.dedup();
        let http = |route: &Route| route.protocol == Protocol::Http;
        let nameless = |route: &Route| http(route) && route.given_name().is_none();
        RouteError::Ambiguous {
            object: self.name.clone(),
            found: names(routes),
            fields: fields.join(" and "),
            unnamed: if routes.iter().any(nameless) {
                ", and give a `name` to each http route that has none"
            } else {
                ""
            },
        }
    }

    fn all(&self) -> Vec<Route<'a>> {
        Protocol::ALL.into_iter().flat_map(|protocol| self.of(protocol)).collect()
    }

    /// Where `side` stands in the route's `route` list.
    fn entries(&self, route: &Route, side: Side) -> Vec<usize> {
        let destinations = route.destinations().iter().enumerate();
        let fitting = destinations.filter(|(_, found)| self.sides.of(found) == Some(side));
        fitting.map(|(index, _)| index).collect()
    }

    fn managed(&self, route: &Route) -> Result<Managed, RouteError> {
        let (stable, canary) = self.pair(route)?;
        self.refuse_third(route)?;
        let destinations = route.destinations();
        let weight = |index: usize| weight_of(&self.name, route, &destinations[index]);
        let pointer = |index: usize| {
            format!("/spec/{}/{}/route/{index}", route.protocol.field(), route.index)
        };
        Ok(Managed {
            weights: RouteWeights {
                route: route.name(),
                weights: Weights { stable: weight(stable)?, canary: weight(canary)? },
            },
            protocol: route.protocol,
            index: route.index,
            stable: pointer(stable),
            canary: pointer(canary),
        })
    }

    /// The entries of stable and canary, each of which must stand in the route exactly once.
    fn pair(&self, route: &Route) -> Result<(usize, usize), RouteError> {
        let stable = self.entries(route, Side::Stable);
        let canary = self.entries(route, Side::Canary);
        if let ([stable], [canary]) = (stable.as_slice(), canary.as_slice()) {
            return Ok((*stable, *canary));
        }
        let sides = [(Side::Stable, stable.len()), (Side::Canary, canary.len())];
        if let Some((side, _)) = sides.iter().find(|(_, count)| *count > 1) {
            return Err(RouteError::DuplicateDestination {
                object: self.name.clone(),
                route: route.name(),
                destination: self.sides.name(*side),
            });
        }
        let missing = sides.iter().filter(|(_, count)| *count == 0);
        let missing: Vec<_> = missing.map(|(side, _)| *side).collect();
        let texts = |text: &dyn Fn(Side) -> String| -> Vec<_> {
            missing.iter().map(|side| text(*side)).collect()
        };
        Err(RouteError::MissingDestination {
            object: self.name.clone(),
            route: route.name(),
            missing: texts(&|side| self.sides.name(side)).join(" and no destination "),
            add: texts(&|side| self.sides.yaml(side)).join(", "),
        })
    }

    fn refuse_third(&self, route: &Route) -> Result<(), RouteError> {
        for destination in route.destinations() {
            if self.sides.of(destination).is_some() {
                continue;
            }
            let weight = weight_of(&self.name, route, destination)?;
            if weight > 0 {
                return Err(RouteError::ThirdDestination {
                    object: self.name.clone(),
                    route: route.name(),
                    destination: found_name(destination),
                    weight,
                });
            }
        }
        Ok(())
    }
}

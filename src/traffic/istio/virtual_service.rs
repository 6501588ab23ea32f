//! The weights in a `VirtualService`.
//!
//! In: the object as the API server holds it, and where the Rollout wants its weights. Out: the
//! weights of the managed routes, or a copy of the object with other weights.
//!
//! Managed are the routes that the Rollout names; if it names none, the one route that has both the
//! stable and the canary destination. A route that has only one of them, such as a header route to
//! the canary, is the user's own and stays as it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    MatchRoute, RouteError, RouteTarget, RouteWeights,
    host::{Side, Sides},
    object_name,
    route::{Protocol, Route, found_name, l4_name, names},
};
use crate::api::Weights;

/// The weights that the managed routes have now, in the order http, tls, tcp and by index.
///
/// A destination without a weight counts as 0, as it does for Istio beside others.
///
/// # Errors
///
/// When a route that the Rollout names is not there or cannot carry the split, or when no route is
/// named and not exactly one route splits: a person must change the `VirtualService` or the
/// Rollout.
pub fn weights(object: &Value, target: RouteTarget) -> Result<Vec<RouteWeights>, RouteError> {
    let managed = managed(object, target)?;
    Ok(managed.into_iter().map(|route| route.weights).collect())
}

/// A copy of `object` in which every managed route gives `canary` percent to the canary and the
/// rest to stable. All else is as it was; weights that already say so are not rewritten, so a copy
/// equal to `object` means that there is nothing to write.
///
/// # Errors
///
/// As [`weights`], and when `canary` is no share of 100.
pub fn with_canary_weight(
    object: &Value,
    target: RouteTarget,
    canary: i32,
    extra: &[MatchRoute],
) -> Result<Value, RouteError> {
    if !(0..=target.total).contains(&canary) {
        return Err(RouteError::CanaryWeight { found: canary });
    }
    let _ = extra;
    let wanted = Weights::of(target.total, canary);
    let mut copy = object.clone();
    for route in managed(object, target)? {
        let found = route.weights.weights;
        if found.stable != wanted.stable {
            set_weight(&mut copy, &route.stable, wanted.stable);
        }
        if found.canary != wanted.canary {
            set_weight(&mut copy, &route.canary, wanted.canary);
        }
    }
    Ok(copy)
}

/// Whether a route of ours for some requests stands in the object.
pub fn has_match_routes(object: &Value, target: RouteTarget) -> bool {
    let routes = Protocol::Http.routes(object);
    let ours = |name: &str| target.managed.iter().any(|route| route.name == name);
    routes.iter().any(|route| route.given_name().is_some_and(ours))
}

/// The rules of Istio's own webhook that a weight can break, over all routes of `object`: no weight
/// below 0, and no route with several destinations whose weights sum to 0 or to more than 32 bits.
/// Istio does not ask that they sum to 100.
///
/// # Errors
///
/// When Istio would refuse the object.
pub fn validate_istio(object: &Value) -> Result<(), RouteError> {
    let name = object_name(object, "default");
    for route in Protocol::ALL.into_iter().flat_map(|p| p.routes(object)) {
        let destinations = route.destinations();
        let mut sum = 0;
        for destination in destinations {
            sum += i64::from(weight_of(&name, &route, destination)?);
        }
        if destinations.len() > 1 && !(1..=i64::from(u32::MAX)).contains(&sum) {
            return Err(RouteError::BadSum { object: name, route: route.name(), sum });
        }
    }
    Ok(())
}

/// A managed route: what it has, and where its two weights are.
struct Managed {
    weights: RouteWeights,
    /// JSON pointers to the two entries of the `route` list.
    stable: String,
    canary: String,
}

/// What is needed to find the managed routes of one `VirtualService`.
struct Finder<'a> {
    object: &'a Value,
    /// Namespace and name, for messages.
    name: String,
    target: RouteTarget<'a>,
    sides: Sides<'a>,
}

fn managed(object: &Value, target: RouteTarget) -> Result<Vec<Managed>, RouteError> {
    let finder = Finder::new(object, target);
    let routes = finder.routes()?;
    routes.iter().map(|route| finder.managed(route)).collect()
}

fn set_weight(object: &mut Value, pointer: &str, weight: i32) {
    let destination = object.pointer_mut(pointer).and_then(Value::as_object_mut);
    if let Some(destination) = destination {
        destination.insert("weight".into(), weight.into());
    }
}

/// The weight of an entry of a `route` list; the only one of a route takes all.
fn weight_of(object: &str, route: &Route, destination: &Value) -> Result<i32, RouteError> {
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
    fn new(object: &'a Value, target: RouteTarget<'a>) -> Self {
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

    /// The managed routes, in the order of the object.
    fn routes(&self) -> Result<Vec<Route<'a>>, RouteError> {
        let reference = self.target.reference;
        let mut chosen = Vec::new();
        for name in &reference.routes {
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
        let routes = Protocol::Http.routes(self.object);
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
        let routes = protocol.routes(self.object);
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
        let routes = Protocol::ALL.into_iter();
        routes.flat_map(|p| p.routes(self.object)).collect()
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

//! The weights in a `VirtualService`.
//!
//! In: the object as the API server holds it, and where the Rollout wants its weights. Out: the
//! weights of the managed routes, or a copy of the object with other weights and other routes of ours.
//!
//! Managed are the routes that the Rollout names; if it names none, the one route that has both the
//! stable and the canary destination. A route that has only one of them, such as a header route to
//! the canary, is the user's own and stays as it is. Routes with the names of
//! `traffic.managedRoutes` are ours: made of the managed ones, and never taken for one of them.

use serde_json::Value;

use super::{
    MatchRoute, RouteError, RouteTarget, RouteWeights, finder::Finder, listed, route::Protocol,
};
use crate::api::Weights;

pub use super::validate::validate_istio;

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
    let managed = Finder::new(object, target).all_managed()?;
    Ok(managed.into_iter().map(|route| route.weights).collect())
}

/// A copy of `object` in which every managed route gives `canary` parts of the total to the canary and
/// the rest to stable, and in which of the routes that belong to us exactly those that `extra` asks
/// for stand before all others. All else is as it was; what already says so is not rewritten, so a
/// copy equal to `object` means that there is nothing to write.
///
/// # Errors
///
/// As [`weights`], when `canary` is no share of the total, and when a route of `extra` cannot be
/// made of the managed ones.
pub fn with_canary_weight(
    object: &Value,
    target: RouteTarget,
    canary: i32,
    extra: &[MatchRoute],
) -> Result<Value, RouteError> {
    if !(0..=target.total).contains(&canary) {
        return Err(RouteError::CanaryWeight { found: canary, total: target.total });
    }
    let wanted = Weights::of(target.total, canary);
    let finder = Finder::new(object, target);
    let managed = finder.all_managed()?;
    let mut copy = object.clone();
    for route in &managed {
        let found = route.weights.weights;
        if found.stable != wanted.stable {
            set_weight(&mut copy, &route.stable, wanted.stable);
        }
        if found.canary != wanted.canary {
            set_weight(&mut copy, &route.canary, wanted.canary);
        }
    }
    let first = finder.match_routes(&copy, &managed, extra)?;
    if let Some(list) = copy.pointer_mut("/spec/http").and_then(Value::as_array_mut) {
        let bases = managed.iter().filter(|route| route.protocol == Protocol::Http);
        let base = bases.map(|route| route.index).min().unwrap_or(list.len());
        if !stand(list, base, &first, target) {
            list.retain(|route| !is_ours(route, target));
            list.splice(..0, first);
        }
    }
    Ok(copy)
}

/// Whether the routes of ours stand in `list` already, and before its first managed route. There may
/// be others before them: two Rollouts that share a `VirtualService` must not push each other back.
fn stand(list: &[Value], base: usize, wanted: &[Value], target: RouteTarget) -> bool {
    let ours = list.iter().enumerate().filter(|(_, route)| is_ours(route, target));
    let ours: Vec<(usize, &Value)> = ours.collect();
    ours.iter().all(|(index, _)| *index < base)
        && ours.iter().map(|(_, route)| *route).eq(wanted.iter())
}

/// Whether the route that a step asks for can be made of the managed ones.
///
/// # Errors
///
/// As [`weights`], and when it cannot: a person must change the step or the `VirtualService`.
pub fn check_match_route(
    object: &Value,
    target: RouteTarget,
    wanted: &MatchRoute,
) -> Result<(), RouteError> {
    let finder = Finder::new(object, target);
    let managed = finder.all_managed()?;
    if wanted.is_empty() {
        return Ok(());
    }
    let names = || managed.iter().map(|route| route.weights.route.clone()).collect::<Vec<_>>();
    let (object_name, name) = (finder.name.clone(), wanted.name().to_owned());
    if !managed.iter().any(|route| route.protocol == Protocol::Http) {
        let found = listed(&names());
        return Err(RouteError::NoHttpRoute { object: object_name, name, found });
    }
    if finder.made(object, &managed, wanted)?.is_empty() {
        let found = listed(&names());
        return Err(RouteError::NothingMatches { object: object_name, name, found });
    }
    Ok(())
}

/// Names of the routes of ours for some requests that stand in the object, each once.
pub fn match_routes(object: &Value, target: RouteTarget) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for route in Protocol::Http.routes(object) {
        let name = route.given_name().filter(|name| target.is_ours(name));
        found.extend(name.filter(|name| !found.iter().any(|f| f == name)).map(str::to_owned));
    }
    found
}

fn is_ours(route: &Value, target: RouteTarget) -> bool {
    let name = route.get("name").and_then(Value::as_str);
    name.is_some_and(|name| target.is_ours(name))
}

fn set_weight(object: &mut Value, pointer: &str, weight: i32) {
    let destination = object.pointer_mut(pointer).and_then(Value::as_object_mut);
    if let Some(destination) = destination {
        destination.insert("weight".into(), weight.into());
    }
}

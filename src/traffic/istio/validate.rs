//! What Istio's own webhook would say.
//!
//! In: a `VirtualService`. Out: nothing, or the first thing that Istio would refuse: the rules that
//! our edits could break, so that the tests and the simulated API server hold to them.

use serde_json::Value;

use super::{
    RouteError,
    finder::weight_of,
    object_name,
    route::{Protocol, Route},
};

/// The rules of Istio's own webhook that an edit can break, over all routes of `object`: at least one
/// route; no weight below 0, and no route with several destinations whose weights sum to 0 or to
/// more than 32 bits (Istio does not ask that they sum to 100); an http route that leads somewhere;
/// headers with a name; copies for a share of 0 to 100 percent, in one of the two ways to ask for
/// them.
///
/// # Errors
///
/// When Istio would refuse the object.
pub fn validate_istio(object: &Value) -> Result<(), RouteError> {
    let name = object_name(object, "default");
    let routes: Vec<Route> = Protocol::ALL.into_iter().flat_map(|p| p.routes(object)).collect();
    if routes.is_empty() && object.get("spec").is_some() {
        let why = "http, tcp or tls must be provided in virtual service".into();
        return Err(RouteError::Refused { object: name, route: "spec".into(), why });
    }
    for route in routes {
        let destinations = route.destinations();
        let mut sum = 0;
        for destination in destinations {
            sum += i64::from(weight_of(&name, &route, destination)?);
        }
        if destinations.len() > 1 && !(1..=i64::from(u32::MAX)).contains(&sum) {
            return Err(RouteError::BadSum { object: name, route: route.name(), sum });
        }
        if let Some(why) = refused(&route) {
            return Err(RouteError::Refused { object: name, route: route.name(), why });
        }
    }
    Ok(())
}

/// Why an http route is refused, if it is.
fn refused(route: &Route) -> Option<String> {
    if route.protocol != Protocol::Http {
        return None;
    }
    if route.destinations().is_empty() && route.other_action().is_none() {
        return Some("HTTP route, redirect or direct_response is required".into());
    }
    let names = route.match_entries().iter().filter_map(|entry| entry.get("headers")?.as_object());
    for (name, text) in names.flatten() {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.starts_with('@') && !name.chars().all(letter) {
            return Some(format!("header name {name} is not a valid header name"));
        }
        if text.is_null() {
            return Some(format!("header match {name} cannot be null"));
        }
        if let Some(kind) = ["prefix", "regex"].into_iter().find(|kind| text[*kind] == "") {
            return Some(format!("header match {name}: {kind} should not be empty"));
        }
    }
    let [mirror, mirrors] = ["mirror", "mirrors"].map(|field| route.field(field));
    let shares = [route.field("mirrorPercentage")].into_iter().flatten();
    let of_mirrors = mirrors.and_then(Value::as_array).into_iter().flatten();
    let shares = shares.chain(of_mirrors.filter_map(|mirror| mirror.get("percentage")));
    let mut shares = shares.filter_map(|share| share.get("value")?.as_f64());
    if let Some(share) = shares.find(|share| !(0.0..=100.0).contains(share)) {
        return Some(format!("mirror_percentage is {share}, not from 0 to 100"));
    }
    let both = mirror.is_some() && mirrors.is_some();
    both.then(|| "HTTP route cannot contain both mirror and mirrors".into())
}

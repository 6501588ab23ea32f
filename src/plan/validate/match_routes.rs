//! The steps that add routes for some requests: whether these routes can be made and be answered.

use crate::{
    api::{SetCanaryScale, Step},
    plan::gate,
    traffic::istio::{MatchRoute, RouteError, Split, virtual_service},
    world::{Route, World},
};

/// The routes that the steps ask for, each with its field; those without a match take one away.
fn routes(world: &World) -> Vec<(usize, String, MatchRoute)> {
    let mut routes = Vec::new();
    for (index, step) in world.program.steps.iter().enumerate() {
        let header = step.step.set_header_route.clone().map(MatchRoute::Header);
        let route = header.or_else(|| step.step.set_mirror_route.clone().map(MatchRoute::Mirror));
        if let Some(route) = route {
            routes.push((index, format!("{}.{}", step.field, route.field()), route));
        }
    }
    routes
}

/// Names that are not listed, and routes to a canary that is to have no pods. The API server refuses
/// most of these too; objects stored before the rule existed reach us all the same.
pub(super) fn named(world: &World, found: &mut Vec<String>) {
    let traffic = world.program.traffic.as_ref();
    for (index, field, route) in routes(world) {
        let name = route.name();
        let Some(traffic) = traffic else {
            found.push(format!(
                "{field}: spec.strategy.canary.traffic is missing, and with it the routes before \
                 which `{name}` could stand; add it, or take the step out"
            ));
            continue;
        };
        if !traffic.managed_routes.iter().any(|managed| managed.name == name) {
            let listed = traffic.managed_routes.iter().map(|route| route.name.as_str());
            let listed: Vec<&str> = listed.collect();
            let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
            found.push(format!(
                "{field}.name: found `{name}`, allowed are the names in \
                 spec.strategy.canary.traffic.managedRoutes ({listed})"
            ));
        }
        let steps = world.program.steps.iter().take(index).map(|step| &step.step);
        if !route.is_empty() && steps.filter_map(scale).next_back().is_some_and(is_nothing) {
            found.push(format!(
                "{field}: the setCanaryScale before it leaves the canary without pods, so that \
                 nobody could answer the requests of `{name}`; allowed is at least one pod"
            ));
        }
    }
}

fn scale(step: &Step) -> Option<&SetCanaryScale> {
    step.set_canary_scale.as_ref()
}

fn is_nothing(scale: &SetCanaryScale) -> bool {
    scale.replicas.or(scale.weight) == Some(0)
}

/// Routes that cannot be made of those with the weights.
pub(super) fn made(world: &World, split: &Split, found: &mut Vec<String>) {
    let references = world.program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
    // What belongs to somebody else is said elsewhere.
    let ours = |route: &&Route| route.allows(&world.rollout.namespace);
    let routes_of = world.routes.iter().map(|route| route.as_ref().filter(ours));
    let services: Vec<_> = references.zip(routes_of).collect();
    for (_, field, route) in routes(world) {
        let errors = services.iter().filter_map(|(reference, service)| {
            let target = gate::target(world, reference, split);
            // What is wrong with the VirtualService itself is said once, and elsewhere.
            virtual_service::weights(&service.as_ref()?.object, target).ok()?;
            let checked =
                virtual_service::check_match_route(&service.as_ref()?.object, target, &route);
            Some(checked.err())
        });
        let checked: Vec<Option<RouteError>> = errors.collect();
        // One VirtualService with http routes is enough.
        let no_http =
            |error: &&Option<RouteError>| matches!(error, Some(RouteError::NoHttpRoute { .. }));
        let none = checked.iter().all(|error| no_http(&error));
        for error in checked.iter().filter(|error| none || !no_http(error)).flatten() {
            found.push(format!("{field}: {error}"));
        }
    }
}

//! From what is wanted to writes: only what differs from what is observed.

use serde_json::Value;

use super::{Action, Draft, RouteKind, Write, gate::Traffic, messages};
use crate::{
    api::{Contest, DestinationRuleRef},
    traffic::istio::{MatchRoute, destination_rule, virtual_service},
    world::{ACTIVE, DestinationRule, Route, Shift, StrategyKind, World},
};

/// Field manager of all our writes, as `managedFields` shows it.
pub const FIELD_MANAGER: &str = "sluice";

/// Edits by others that are put back before we stop and say so.
const TOLERATED_EDITS: i32 = 2;

/// What is wanted of the traffic; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The canary's weight, in parts of the program's total.
    pub(super) weight: Option<i32>,
    /// The routes for some requests that stand beside the weight; none without a weight.
    pub(super) extra: Vec<MatchRoute>,
    /// The revision that the stable destination should reach.
    pub(super) stable_at: Option<String>,
    /// The revision that the canary destination should reach.
    pub(super) canary_at: Option<String>,
}

/// Whether somebody else keeps writing the weights.
pub(super) fn is_contested(draft: &Draft) -> bool {
    draft.status.contest.as_ref().is_some_and(|contest| contest.count > TOLERATED_EDITS)
}

/// Plans the writes towards `wanted`.
pub(super) fn wanted(world: &World, draft: &mut Draft, traffic: &Traffic, wanted: &Wanted) {
    services(world, draft, traffic, wanted);
    subsets(world, draft, wanted);
    if let Some(weight) = wanted.weight {
        weights(world, draft, traffic, weight, &wanted.extra);
    }
}

fn services(world: &World, draft: &mut Draft, traffic: &Traffic, wanted: &Wanted) {
    let [stable, canary] = world.program.roles();
    let stable = wanted.stable_at.as_ref().map(|to| (&traffic.stable, to, stable));
    let canary = wanted.canary_at.as_ref().map(|to| (&traffic.canary, to, canary));
    for (pointer, to, role) in stable.into_iter().chain(canary) {
        for (service, at, _) in &pointer.services {
            if at.as_ref() == Some(to) {
                continue;
            }
            let write = Write::SelectRevision {
                service: service.clone(),
                from: at.clone(),
                to: Some(to.clone()),
            };
            let switch = world.program.shift == Shift::Switch && role == ACTIVE;
            let back = draft.stable.as_ref() == Some(to);
            if switch && back {
                draft.urgent.push(Action { write, why: messages::switch_back(to) });
            } else if switch && at.is_some() {
                draft.push(write, messages::switch(to));
            } else {
                draft.push(write, messages::pointer(role, to));
            }
        }
    }
}

/// Both subsets are edited in one write, as they stand in one object.
fn subsets(world: &World, draft: &mut Draft, wanted: &Wanted) {
    let reference = world.program.istio().and_then(|istio| istio.destination_rule.as_ref());
    let Some((reference, rule)) = reference.zip(world.destination_rule.as_ref()) else { return };
    let DestinationRuleRef { stable_subset, canary_subset, .. } = reference;
    let mut object = (*rule.object).clone();
    let mut why = Vec::new();
    let [stable, canary] = world.program.roles();
    for (subset, to, role) in
        [(stable_subset, &wanted.stable_at, stable), (canary_subset, &wanted.canary_at, canary)]
    {
        let Some(set) = to.as_ref().and_then(|to| world.revision(to)) else { continue };
        // `validate` has tried this already; an error here would show there.
        if let Ok(edited) =
            destination_rule::with_subset_revision(&object, subset, &set.revision, &set.pod_labels)
            && edited != object
        {
            object = edited;
            why.push(messages::pointer(role, &set.revision));
        }
    }
    if object != *rule.object {
        draft.push(rule_edit(world, rule, object), why.join("; "));
    }
}

/// The write that makes `object` of a DestinationRule.
pub(super) fn rule_edit(world: &World, rule: &DestinationRule, object: Value) -> Write {
    Write::EditRoute {
        kind: RouteKind::DestinationRule,
        namespace: world.rollout.namespace.clone(),
        name: rule.name.clone(),
        resource_version: rule.resource_version.clone(),
        from: Box::new((*rule.object).clone()),
        to: Box::new(object),
    }
}

fn weights(world: &World, draft: &mut Draft, traffic: &Traffic, weight: i32, extra: &[MatchRoute]) {
    let references = world.program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
    for (reference, (route, shown)) in references.zip(&traffic.routes) {
        let target = traffic.target(world, reference);
        let edit =
            |extra| virtual_service::with_canary_weight(&route.object, target, weight, extra);
        // Somebody edited the route so that ours cannot be made of it any more, which `validate` says:
        // the weight counts all the same.
        let Ok(object) = edit(extra).or_else(|_| edit(&[])) else { continue };
        if object == *route.object {
            continue;
        }
        let standing = virtual_service::match_routes(&route.object, target);
        let stands = |name: &str| standing.iter().any(|standing| standing == name);
        let mut names = extra.iter().map(MatchRoute::name);
        let taken =
            names.find(|name| draft.status.routes.iter().any(|r| r == name) && !stands(name));
        let edited = is_edited_by_others(draft, route, shown, weight, taken);
        if edited {
            count_contest(draft, route, shown, weight, taken);
        }
        let highest = shown.iter().copied().max().unwrap_or(0);
        let removes = standing.iter().any(|name| extra.iter().all(|route| route.name() != name));
        // In a contest nothing is written any more but what takes traffic off the canary.
        if is_contested(draft) && (weight >= highest && !removes || !draft.in_release()) {
            continue;
        }
        let action = Action {
            write: Write::EditRoute {
                kind: RouteKind::VirtualService,
                namespace: route.namespace.clone(),
                name: route.name.clone(),
                resource_version: route.resource_version.clone(),
                from: Box::new((*route.object).clone()),
                to: Box::new(object),
            },
            why: why(world, draft, traffic, weight, || {
                messages::weight(highest, weight, extra, &standing)
            }),
        };
        let names = || extra.iter().map(|route| route.name().to_owned()).collect();
        if edited {
            // So that the same edit, made again before the next status, is seen as one more.
            draft.written = Some((weight, names()));
        }
        if weight < highest || weight == 0 && extra.is_empty() {
            draft.written = Some((weight, names()));
            draft.urgent.push(action);
        } else {
            draft.actions.push(action);
        }
    }
}

/// The reason of a change of weights; that of a canary, unless a blue-green release is switched.
fn why(
    world: &World,
    draft: &Draft,
    traffic: &Traffic,
    to: i32,
    canary: impl FnOnce() -> String,
) -> String {
    if world.program.strategy != StrategyKind::BlueGreen {
        return canary();
    }
    match &draft.stable {
        _ if to == world.program.total() => messages::switch(&draft.target),
        _ if traffic.stable.all_at(&draft.target) => messages::switch_settles(&draft.target),
        Some(stable) if to == 0 => messages::switch_back(stable),
        _ => canary(),
    }
}

/// Whether the weights were neither left by us nor are on their way, or a route of ours is `taken`:
/// somebody else wrote them since the status was last written.
fn is_edited_by_others(
    draft: &Draft,
    route: &Route,
    shown: &[i32],
    wanted: i32,
    taken: Option<&str>,
) -> bool {
    let Some(last) = draft.status.weights else { return false };
    let foreign = !route.last_writer.is_empty() && route.last_writer != FIELD_MANAGER;
    let weights = || shown.iter().any(|shown| *shown != wanted && *shown != last.canary);
    foreign && (taken.is_some() || weights())
}

fn count_contest(
    draft: &mut Draft,
    route: &Route,
    shown: &[i32],
    wanted: i32,
    taken: Option<&str>,
) {
    let object = format!("VirtualService {}/{}", route.namespace, route.name);
    let count = draft.status.contest.as_ref().map_or(0, |contest| contest.count) + 1;
    // Once contested, the count stays: it would otherwise change the status at each look.
    let count = count.min(TOLERATED_EDITS + 1);
    let contest = Contest { count, by: route.last_writer.clone(), object };
    if draft.status.contest.as_ref() != Some(&contest) {
        let found = shown.iter().copied().max().unwrap_or(0);
        let edit = match taken.filter(|_| found == wanted) {
            Some(taken) => messages::route_taken(&contest, taken),
            None => messages::weight_set(&contest, found, wanted),
        };
        let note = messages::route_edited(&edit, count > TOLERATED_EDITS);
        draft.note(note);
    }
    draft.status.contest = Some(contest);
}

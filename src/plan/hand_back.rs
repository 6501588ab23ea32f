//! What was taken over is given back: when a Rollout is deleted, or names it no longer.
//!
//! Taken over are the selectors of Services and the labels of subsets, to which the revision was
//! added, and the pods of a workload. `status.held` remembers them; a finalizer keeps the Rollout
//! until all of it is back (lesson 42).

use jiff::Timestamp;

use super::{
    Action, Draft, Plan, Write,
    gate::Traffic,
    identify, messages, scale, workload,
    write::{self, Wanted},
};
use crate::{
    api::{FINALIZER, REVISION_LABEL, ScaleDown},
    traffic::istio::destination_rule,
    world::{WorkloadState, World},
};

/// The finalizer of `kubectl delete --cascade=orphan`.
const ORPHAN: &str = "orphan";

/// The finalizer of `kubectl delete --cascade=foreground`: our pods go at once, whoever waits.
const FOREGROUND: &str = "foregroundDeletion";

/// What the spec names, of all that no two Rollouts may have.
fn named(world: &World) -> Vec<String> {
    let program = &world.program;
    let services = program.stable_service.iter().chain(&program.canary_service);
    let mut named: Vec<String> = services
        .filter(|name| world.services.contains_key(*name))
        .map(|name| format!("Service/{name}"))
        .collect();
    let rule = program.istio().and_then(|istio| istio.destination_rule.as_ref());
    if let Some(rule) = rule.filter(|_| world.destination_rule.is_some()) {
        for subset in [&rule.stable_subset, &rule.canary_subset] {
            named.push(format!("DestinationRule/{}/{subset}", rule.name));
        }
    }
    let references = program.istio().into_iter().flat_map(|istio| &istio.virtual_services);
    let managed = program.traffic.iter().flat_map(|traffic| &traffic.managed_routes);
    for (reference, _) in references.zip(&world.routes).filter(|(_, route)| route.is_some()) {
        let owner = reference.namespace.as_ref().unwrap_or(&world.rollout.namespace);
        let routes = reference.routes.iter().chain(managed.clone().map(|route| &route.name));
        let held = routes.map(|route| format!("VirtualService/{owner}/{}/{route}", reference.name));
        named.extend(held);
    }
    if let (Some(reference), Some(_)) = (&world.rollout.spec.workload_ref, world.workload.found()) {
        named.push(format!("{}/{}", reference.kind, reference.name));
    }
    named
}

/// Whether a held item carries a mark of ours, which only this controller takes off again.
fn is_marked(item: &str) -> bool {
    item.starts_with("Service/") || item.starts_with("DestinationRule/")
}

/// Keeps `status.held` and the finalizer, and gives back what the spec does not name any more.
pub(super) fn keep_account(world: &World, draft: &mut Draft) {
    let named = named(world);
    let gone: Vec<String> =
        draft.status.held.iter().filter(|held| !named.contains(held)).cloned().collect();
    let mut held = named;
    if !world.rival_claims.is_empty() {
        // Naming what another Rollout has is not having it.
        held.retain(|item| draft.status.held.contains(item));
    }
    for item in gone {
        if let Some(write) = release(world, &item) {
            draft.cleanup.push(Action { write, why: messages::released(&item) });
            held.push(item);
        }
    }
    draft.status.held = held;
    let reference = world.rollout.spec.workload_ref.as_ref();
    let needed = draft.status.held.iter().any(|item| is_marked(item))
        || reference.is_some_and(|reference| reference.scale_down != ScaleDown::Never);
    let present = world.rollout.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    let write = Write::Finalizer { present: needed };
    if needed && !present {
        draft.urgent.insert(0, Action { write, why: messages::finalizer() });
    } else if present && !needed {
        draft.cleanup.push(Action { write, why: messages::all_handed_back() });
    }
}

/// The write that takes our revision off `item`; none if it is off already, or if another Rollout has
/// it by now.
fn release(world: &World, item: &str) -> Option<Write> {
    let mut parts = item.split('/');
    let (kind, name, subset) = (parts.next()?, parts.next()?, parts.next());
    match (kind, subset) {
        ("Service", _) => {
            let at = world.services.get(name)?.selector.get(REVISION_LABEL)?;
            is_ours(world, at).then(|| Write::SelectRevision {
                service: name.to_owned(),
                from: Some(at.clone()),
                to: None,
            })
        }
        ("DestinationRule", Some(subset)) => {
            let rule = world.held_rules.get(name)?;
            let labels = destination_rule::subset_labels(&rule.object, subset).ok()?;
            let at = labels.get(REVISION_LABEL)?;
            let object = destination_rule::without_subset_revision(&rule.object, subset);
            is_ours(world, at).then(|| write::rule_edit(world, rule, object))
        }
        _ => None,
    }
}

/// Whether a revision is one of this Rollout: also one whose ReplicaSet somebody deleted.
fn is_ours(world: &World, revision: &str) -> bool {
    let status = &world.rollout.status;
    let named = status.stable_revision.iter().chain(&status.current_revision);
    let sets = world.revisions.iter().chain(&world.orphans).map(|set| &set.revision);
    named.chain(sets).any(|ours| ours == revision)
}

/// The plan for a Rollout that is being deleted. With a workload that has pods: those come back, then
/// the Services and subsets reach them, then the weights go to stable, and our own pods go last, with
/// the Rollout. Without one nothing can be kept alive, and all is given back at once.
pub(super) fn plan(world: &World) -> Plan {
    let has = |name: &str| world.rollout.finalizers.iter().any(|finalizer| finalizer == name);
    let mut draft = identify::unchanged(world);
    if !has(FINALIZER) || world.workload == WorkloadState::Unknown {
        return Plan { status: draft.status, ..Plan::default() };
    }
    // With `--cascade=orphan` the pods stay, and with them what selects them.
    let orphaned = world.revisions.is_empty() && !world.orphans.is_empty();
    if has(ORPHAN) || orphaned {
        return done(draft);
    }
    let waits = workload::restore(world, &mut draft);
    if let Some(waits) = &waits
        && !has(FOREGROUND)
        && is_serving(world)
    {
        return waiting(world, draft, waits);
    }
    for item in &world.rollout.status.held {
        if let Some(write) = release(world, item) {
            draft.push(write, messages::released(item));
        }
    }
    let served = world.workload.found().is_some_and(|workload| workload.replicas > 0);
    if served && let Some(waits) = unsettled(world, &mut draft) {
        return waiting(world, draft, &waits);
    }
    weights(world, &mut draft);
    match waits {
        Some(waits) => waiting(world, draft, &waits),
        None if served && !draft.is_idle() => {
            waiting(world, draft, &messages::waiting_for_proxies(world))
        }
        None => done(draft),
    }
}

/// All weight goes to stable, as between releases.
fn weights(world: &World, draft: &mut Draft) {
    let traffic = Traffic::observe(world, draft).filter(|_| world.rival_claims.is_empty());
    if let Some(traffic) = traffic.filter(|_| draft.stable.is_some()) {
        let wanted = Wanted { weight: Some(0), ..Wanted::default() };
        write::wanted(world, draft, &traffic, &wanted);
    }
}

/// Whether pods of ours answer requests.
fn is_serving(world: &World) -> bool {
    world.revisions.iter().any(|set| world.available(&set.revision) > 0)
}

/// What is missing until the Services and subsets reach the workload's pods, and every proxy knows it.
fn unsettled(world: &World, draft: &mut Draft) -> Option<String> {
    if !draft.is_idle() {
        return Some(messages::waiting_for_proxies(world));
    }
    let mut since: Vec<Timestamp> = world.held_rules.values().map(|rule| rule.since).collect();
    let workload = world.workload.found();
    since.extend(workload.map(|workload| workload.since));
    let pods = workload.map_or(0, |workload| workload.replicas);
    let needed = scale::enough(world, world.desired().min(pods));
    for service in world.services.values() {
        since.push(service.since);
        let published = foreign_endpoints(world, &service.name);
        if published < needed && is_serving(world) {
            return Some(messages::waiting_for_service(&service.name, published, needed));
        }
    }
    let settle = since.into_iter().max().map(|since| world.program.delay().after(since))?;
    if settle <= world.now {
        return None;
    }
    draft.check_at(settle);
    Some(messages::waiting_for_proxies(world))
}

/// Ready endpoints of a Service that are no pods of ours.
fn foreign_endpoints(world: &World, service: &str) -> u32 {
    let Some(endpoints) = world.endpoints.get(service) else { return 0 };
    let ours = |name: &String| {
        let mut pods = world.revisions.iter().flat_map(|set| &set.pods);
        pods.any(|pod| pod.name == *name)
    };
    let foreign = endpoints.ready_pods.iter().filter(|pod| !ours(pod));
    u32::try_from(foreign.count()).unwrap_or(u32::MAX)
}

/// The Rollout may go.
fn done(draft: Draft) -> Plan {
    let mut actions = draft.urgent;
    actions.extend(draft.actions);
    actions.extend(draft.cleanup);
    let write = Write::Finalizer { present: false };
    actions.push(Action { write, why: messages::all_handed_back() });
    Plan { actions, status: draft.status, ..Plan::default() }
}

/// Says in the status what the deletion waits for.
fn waiting(world: &World, draft: Draft, text: &str) -> Plan {
    let mut status = (*world.rollout.status).clone();
    status.message = messages::deleting(text);
    let mut actions = draft.urgent;
    if status != *world.rollout.status {
        let write = Write::Status(Box::new(status.clone()));
        actions.push(Action { write, why: status.message.clone() });
    }
    actions.extend(draft.actions);
    actions.extend(draft.cleanup);
    Plan { actions, status, next_check: draft.next_check, ..Plan::default() }
}

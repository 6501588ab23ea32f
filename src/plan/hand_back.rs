//! What was taken over is given back: when a Rollout is deleted, or names it no longer.
//!
//! Taken over are the selectors of Services and the labels of subsets, to which the revision was
//! added, and the pods of a workload. `status.held` remembers the first two; a finalizer keeps the
//! Rollout until all of it is back (lesson 42).

use super::{
    Action, Draft, Plan, RouteKind, Write,
    gate::Traffic,
    identify, messages, workload,
    write::{self, Wanted},
};
use crate::{
    api::{FINALIZER, ScaleDown},
    traffic::istio::destination_rule,
    world::{DestinationRule, WorkloadState, World},
};

/// The finalizer of `kubectl delete --cascade=orphan`: the pods stay, and with them what selects them.
const ORPHAN: &str = "orphan";

/// What the spec names of that which is held.
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
    named
}

/// Keeps `status.held` and the finalizer, and gives back what the spec does not name any more.
pub(super) fn keep_account(world: &World, draft: &mut Draft) {
    let named = named(world);
    let gone: Vec<String> =
        draft.status.held.iter().filter(|held| !named.contains(held)).cloned().collect();
    let mut held = named;
    for item in gone {
        if let Some(write) = release(world, &item) {
            draft.cleanup.push(Action { write, why: messages::released(&item) });
            held.push(item);
        }
    }
    draft.status.held = held;
    let reference = world.rollout.spec.workload_ref.as_ref();
    let needed = !draft.status.held.is_empty()
        || reference.is_some_and(|reference| reference.scale_down != ScaleDown::Never);
    let present = world.rollout.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    if needed && !present {
        let write = Write::Finalizer { present: true };
        draft.urgent.insert(0, Action { write, why: messages::finalizer() });
    }
}

/// The write that takes our revision off `item`; none if it is off already.
fn release(world: &World, item: &str) -> Option<Write> {
    let mut parts = item.split('/');
    let (kind, name, subset) = (parts.next()?, parts.next()?, parts.next());
    match (kind, subset) {
        ("Service", _) => {
            let at = world.services.get(name)?.selector.get(crate::api::REVISION_LABEL)?;
            // Another Rollout may have it by now.
            world.revision(at)?;
            Some(Write::SelectRevision {
                service: name.to_owned(),
                from: Some(at.clone()),
                to: None,
            })
        }
        ("DestinationRule", Some(subset)) => {
            let rule = world.held_rules.get(name)?;
            let object = destination_rule::without_subset_revision(&rule.object, subset);
            (object != *rule.object).then(|| edit(world, rule, object))
        }
        _ => None,
    }
}

fn edit(world: &World, rule: &DestinationRule, object: serde_json::Value) -> Write {
    Write::EditRoute {
        kind: RouteKind::DestinationRule,
        namespace: world.rollout.namespace.clone(),
        name: rule.name.clone(),
        resource_version: rule.resource_version.clone(),
        from: Box::new((*rule.object).clone()),
        to: Box::new(object),
    }
}

/// The plan for a Rollout that is being deleted: the workload's pods come back, traffic goes to
/// whatever the Services' own selectors say, and then the Rollout may go.
pub(super) fn plan(world: &World) -> Plan {
    let has = |name: &str| world.rollout.finalizers.iter().any(|finalizer| finalizer == name);
    let mut draft = identify::unchanged(world);
    let status = (*world.rollout.status).clone();
    if !has(FINALIZER) || world.workload == WorkloadState::Unknown {
        return Plan { status, ..Plan::default() };
    }
    let done = |draft: Draft| {
        let mut actions = draft.urgent;
        actions.extend(draft.actions);
        actions.extend(draft.cleanup);
        let write = Write::Finalizer { present: false };
        actions.push(Action { write, why: messages::all_handed_back() });
        Plan { actions, status: status.clone(), ..Plan::default() }
    };
    if has(ORPHAN) {
        return done(draft);
    }
    let waits = workload::restore(world, &mut draft);
    if let Some(waits) = waits {
        return waiting(world, draft, &waits);
    }
    let traffic = Traffic::observe(world, &draft).filter(|_| world.rival_claims.is_empty());
    if let Some(traffic) = &traffic
        && draft.stable.is_some()
    {
        let wanted = Wanted { weight: Some(0), ..Wanted::default() };
        write::wanted(world, &mut draft, traffic, &wanted);
    }
    let held = world.rollout.status.held.clone();
    for item in &held {
        if let Some(write) = release(world, item) {
            draft.cleanup.push(Action { write, why: messages::released(item) });
        }
    }
    // Our pods go with the Rollout: not before all know of those of the workload.
    let served = world.rollout.spec.workload_ref.is_some();
    if served && !(draft.actions.is_empty() && draft.urgent.is_empty() && draft.cleanup.is_empty())
    {
        return waiting(world, draft, &messages::waiting_for_proxies(world));
    }
    if let Some(at) = traffic.filter(|_| served).and_then(|traffic| traffic.pointers_settle())
        && at > world.now
    {
        draft.check_at(at);
        return waiting(world, draft, &messages::waiting_for_proxies(world));
    }
    done(draft)
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

//! What is wanted, by mode: first deployment, nothing to release, aborted, or under way.

use super::{
    Draft, Problem, WaitKind,
    gate::Traffic,
    messages, outcome, pods, restart, runs, scale, shift, step, workload,
    write::{self, Wanted},
};
use crate::world::{Shift, World};

/// Decides by mode.
pub(super) fn decide(
    world: &World,
    draft: &mut Draft,
    traffic: Option<&Traffic>,
    problems: &[Problem],
) {
    // Without readable routes, or with anything that another Rollout claims, none of them is touched.
    let Some(traffic) = traffic.filter(|_| world.rival_claims.is_empty()) else {
        keep_stable(world, draft, None);
        return;
    };
    let invalid = !problems.is_empty();
    if !invalid {
        scale::retire(world, draft, traffic);
        scale::prune(world, draft);
    }
    if draft.stable.is_none() {
        if !invalid {
            first_deployment(world, draft, traffic);
        }
    } else if !draft.in_release() {
        keep_stable(world, draft, Some(traffic));
        draft.status.progress = None;
        fall_back(world, draft, traffic);
    } else if draft.status.abort.is_some() {
        aborted(world, draft, traffic);
    } else {
        release(world, draft, traffic, invalid);
    }
    if !invalid {
        workload::make_way(world, draft, traffic);
    }
    restart::restart(world, draft, traffic);
}

/// The stable revision has its full size: an abort must find it ready. Where the pods are the weight,
/// `pods` decides; where stable may shrink, it has the size that its weight needs.
fn keep_stable(world: &World, draft: &mut Draft, traffic: Option<&Traffic>) {
    let Some(stable) = draft.stable.clone() else { return };
    let by_pods = world.program.shift == Shift::Pods && traffic.is_some();
    // One that somebody deleted comes again where the spec still has its template.
    if by_pods || (world.revision(&stable).is_none() && draft.target != stable) {
        return;
    }
    let (size, why) = match traffic {
        Some(traffic) if world.program.dynamic_stable => {
            let settle = traffic.weights_settle(traffic.highest());
            if let Some(at) = settle.filter(|at| *at > world.now) {
                draft.check_at(at);
            }
            let size = scale::dynamic_stable_size(world, draft, traffic);
            (size, messages::dynamic_stable_size())
        }
        _ => (world.desired(), messages::stable_size()),
    };
    let surged = restart::with_surge(world, draft, &stable, size);
    let why = if surged > size { messages::restart_surge() } else { why };
    scale::bring_to(world, draft, &stable, surged, &why);
}

/// No traffic of ours to protect yet: the Services are narrowed once the revision can take it all.
fn first_deployment(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let target = draft.target.clone();
    let desired = world.desired();
    if world.rollout.spec.paused {
        draft.wait(WaitKind::Pause, messages::held_by_spec());
        return;
    }
    if world.program.shift == Shift::Pods {
        pods::balance(world, draft, &[(&target, desired)], &messages::first_deployment());
    } else {
        scale::bring_to(world, draft, &target, desired, &messages::first_deployment());
    }
    workload::shrink_in_step(world, draft, traffic);
    let available = traffic.selectable(world, &target);
    outcome::track_progress(world, draft, available < desired, desired);
    if available < desired {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &target, desired));
        return;
    }
    let pointed = traffic.stable.all_at(&target) && traffic.canary.all_at(&target);
    let wanted = Wanted {
        stable_at: Some(target.clone()),
        canary_at: Some(target.clone()),
        weight: pointed.then_some(0),
        ..Wanted::default()
    };
    write::wanted(world, draft, traffic, &wanted);
    if !pointed || !traffic.all_weights_are(0) {
        return;
    }
    // Healthy means that users are served, and a release that follows at once may fall back on it.
    let serving = traffic.stable_capacity(world, &target);
    if serving < desired {
        draft.wait(WaitKind::Pods, messages::waiting_for_endpoints(world, serving, desired));
        return;
    }
    outcome::complete(world, draft, "first deployment");
}

/// Traffic goes to stable; between releases, and after an abort.
fn fall_back(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let Some(stable) = draft.stable.clone() else { return };
    let mut wanted = Wanted::default();
    let nobody = traffic.serving(world, &stable) == 0 && world.desired() > 0;
    let canary_serves = match world.program.shift {
        Shift::Pods => false,
        Shift::Switch => shift::way_back(world, draft, traffic).is_none(),
        Shift::Routes => {
            let new = draft.in_release() && world.available(&draft.target) > 0;
            traffic.reaches_canary() && (new || traffic.canary_endpoints(world) > 0)
        }
    };
    if nobody && canary_serves {
        draft.wait(WaitKind::Pods, messages::stable_serves_nobody(world, &stable));
        return;
    }
    wanted.stable_at = Some(stable.clone());
    if traffic.stable.all_at(&stable) {
        let weight = shift::lowest_weight(world, draft, traffic, 0);
        if weight > 0 {
            let wait = messages::waiting_for_pods(world, &stable, world.desired());
            draft.wait(WaitKind::Pods, wait);
        }
        wanted.weight = Some(weight);
    }
    // The preview Service carries no weight that a proxy could remember.
    let weighs = world.program.shift != Shift::Switch;
    match traffic.quiet() {
        Some(_) if scale::is_kept_for_a_look(world, draft, traffic) => {}
        Some(at) if weighs && at > world.now && traffic.canary.elsewhere(&stable).is_some() => {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
        }
        // Users may have routes of their own to it.
        Some(_) if nobody && left_behind(world, traffic, &stable) => {}
        Some(_) => wanted.canary_at = Some(stable),
        None => {}
    }
    write::wanted(world, draft, traffic, &wanted);
    if world.program.shift == Shift::Pods {
        pods::fall_back(world, draft, traffic);
    }
}

/// Whether the canary destination reaches pods that answer, of another revision than stable.
fn left_behind(world: &World, traffic: &Traffic, stable: &str) -> bool {
    traffic.canary.elsewhere(stable).is_some_and(|at| world.available(at) > 0)
}

fn aborted(world: &World, draft: &mut Draft, traffic: &Traffic) {
    keep_stable(world, draft, Some(traffic));
    draft.status.progress = None;
    fall_back(world, draft, traffic);
    if world.program.dynamic_stable {
        shift::shrink_aborted(world, draft, traffic);
    }
}

/// An invalid spec holds the release where it is, as a pause does; what protects traffic goes on.
fn release(world: &World, draft: &mut Draft, traffic: &Traffic, invalid: bool) {
    keep_stable(world, draft, Some(traffic));
    let held = step::hold(world, draft).or_else(|| invalid.then(String::new));
    if let (Some(held), None) = (&held, world.revision(&draft.target)) {
        draft.status.progress = None;
        fall_back(world, draft, traffic);
        draft.wait = None;
        draft.wait(WaitKind::Pause, held.clone());
        return;
    }
    let asks = !invalid && runs::background(world, draft);
    if draft.status.abort.is_none() && !invalid {
        step::advance(world, draft, traffic, asks);
    }
    if draft.status.abort.is_none() {
        let held = held.is_some() || asks;
        match world.program.shift {
            Shift::Routes => shift::go_on(world, draft, traffic, held),
            Shift::Switch => shift::switch(world, draft, traffic, held),
            Shift::Pods => pods::go_on(world, draft, traffic, held),
        }
    }
    if let (Some(held), None) = (held, &draft.status.abort) {
        draft.wait = None;
        draft.wait(WaitKind::Pause, held);
    }
    if draft.status.abort.is_some() {
        aborted(world, draft, traffic);
    }
}

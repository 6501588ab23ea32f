//! The canary: from where the release stands and what is observed to what is wanted.

use super::{
    Draft, Problem, WaitKind,
    gate::Traffic,
    messages, outcome, runs, scale,
    step::{self, Intent, SizeRule},
    write::{self, Wanted},
};
use crate::world::World;

/// Decides by mode: first deployment, nothing to release, aborted, or under way.
pub(super) fn decide(
    world: &World,
    draft: &mut Draft,
    traffic: Option<&Traffic>,
    problems: &[Problem],
) {
    // Without readable routes, or with routes that an older Rollout claims, none of them is touched.
    let Some(traffic) = traffic.filter(|_| world.rival_claims.is_empty()) else {
        keep_stable(world, draft);
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
        keep_stable(world, draft);
        draft.status.progress = None;
        fall_back(world, draft, traffic);
    } else if draft.status.abort.is_some() {
        aborted(world, draft, traffic);
    } else {
        release(world, draft, traffic, invalid);
    }
}

/// The stable revision always has its full size: an abort must find it ready.
fn keep_stable(world: &World, draft: &mut Draft) {
    if let Some(stable) = draft.stable.clone()
        && world.revision(&stable).is_some()
    {
        scale::bring_to(world, draft, &stable, world.desired(), &messages::stable_size());
    }
}

/// No traffic of ours to protect yet: the Services are narrowed once the revision can take it all.
fn first_deployment(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let target = draft.target.clone();
    let desired = world.desired();
    if world.rollout.spec.paused {
        draft.wait(WaitKind::Pause, messages::held_by_spec());
        return;
    }
    scale::bring_to(world, draft, &target, desired, &messages::first_deployment());
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
    };
    write::wanted(world, draft, traffic, &wanted);
    if !pointed || !traffic.all_weights_are(0) {
        return;
    }
    // Healthy means that users are served, and a release that follows at once may fall back on it.
    let serving = traffic.stable_capacity(world, &target);
    if serving < desired {
        draft.wait(WaitKind::Pods, messages::waiting_for_endpoints(serving, desired));
        return;
    }
    outcome::complete(world, draft, "first deployment");
}

/// Traffic goes to stable; between releases, and after an abort.
fn fall_back(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let Some(stable) = draft.stable.clone() else { return };
    let mut wanted = Wanted::default();
    let nobody = traffic.serving(world, &stable) == 0 && world.desired() > 0;
    let canary_serves =
        draft.in_release() && traffic.highest() > 0 && world.available(&draft.target) > 0;
    if nobody && canary_serves {
        draft.wait(WaitKind::Pods, messages::stable_serves_nobody(world, &stable));
        return;
    }
    wanted.stable_at = Some(stable.clone());
    if traffic.stable.all_at(&stable) {
        wanted.weight = Some(0);
    }
    match traffic.weights_settle(0) {
        Some(at) if at > world.now && traffic.canary.elsewhere(&stable).is_some() => {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies());
        }
        Some(_) => wanted.canary_at = Some(stable),
        None => {}
    }
    write::wanted(world, draft, traffic, &wanted);
}

fn aborted(world: &World, draft: &mut Draft, traffic: &Traffic) {
    keep_stable(world, draft);
    draft.status.progress = None;
    fall_back(world, draft, traffic);
}

/// An invalid spec holds the release where it is, as a pause does; what protects traffic goes on.
fn release(world: &World, draft: &mut Draft, traffic: &Traffic, invalid: bool) {
    keep_stable(world, draft);
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
        go_on(world, draft, traffic, held.is_some() || asks);
    }
    if let (Some(held), None) = (held, &draft.status.abort) {
        draft.wait = None;
        draft.wait(WaitKind::Pause, held);
    }
    if draft.status.abort.is_some() {
        aborted(world, draft, traffic);
    }
}

/// Steps, or the promotion when all are done.
fn go_on(world: &World, draft: &mut Draft, traffic: &Traffic, held: bool) {
    let steps = &world.rollout.spec.strategy.canary.steps;
    let at = step::index(world, draft);
    let promoting = at >= steps.len();
    let intent = if promoting {
        Intent { weight: 100, size: SizeRule::MatchWeight }
    } else {
        step::intent(steps, at)
    };
    let target = draft.target.clone();
    let wanted_size = if promoting { world.desired() } else { scale::canary_size(world, intent) };
    // A delay that the user asked for is no lack of progress.
    let short = traffic.selectable(world, &target) < wanted_size
        && !scale::is_crowded(world, &target, wanted_size);
    if outcome::track_progress(world, draft, short && !held, wanted_size) {
        return;
    }
    // Not before the verdict, if a background analysis runs: it may still say no.
    let may_promote = !promoting || runs::background_agrees(world, draft);
    resize(world, draft, traffic, intent, wanted_size);
    let mut wanted = Wanted {
        canary_at: canary_pointer(world, draft, traffic, intent, wanted_size),
        ..Wanted::default()
    };
    let moved = traffic.stable.all_at(&target);
    if promoting && moved {
        finish_promotion(world, draft, traffic, &mut wanted);
    } else {
        // What an overtaken promotion pointed elsewhere comes back before any weight goes there.
        let stable = draft.stable.as_deref().unwrap_or_default();
        let astray = !promoting && traffic.stable.elsewhere(stable).is_some();
        let weight = allowed_weight(world, draft, traffic, intent, held || !may_promote);
        wanted.weight = (!astray).then_some(weight);
        wanted.stable_at = stable_pointer(world, draft, traffic, promoting && may_promote && !held);
    }
    write::wanted(world, draft, traffic, &wanted);
}

/// The canary's pods: up at once, down only as far as the weight that the proxies may still follow
/// allows.
fn resize(world: &World, draft: &mut Draft, traffic: &Traffic, intent: Intent, size: u32) {
    let target = draft.target.clone();
    let present = world.revision(&target).map_or(0, |set| set.replicas);
    let mut size = size;
    if size < present {
        let shown = traffic.highest();
        let settled = traffic.weights_settle(shown).filter(|at| *at <= world.now);
        if settled.is_none() {
            size = present;
            if let Some(at) = traffic.weights_settle(shown) {
                draft.check_at(at);
            }
        } else {
            size = size.max(scale::needed(world, shown, intent.size)).min(present);
        }
    }
    let why = messages::canary_size(draft, intent.weight);
    scale::bring_to(world, draft, &target, size, &why);
}

/// The canary destination moves to the new revision once that has the pods for the step, and never
/// while a weight, or a proxy's memory of one, still counts on another revision behind it.
fn canary_pointer(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    intent: Intent,
    size: u32,
) -> Option<String> {
    let target = draft.target.clone();
    if traffic.canary.all_at(&target) {
        return None;
    }
    let overtaken =
        traffic.canary.elsewhere(&target).is_some_and(|at| draft.stable.as_deref() != Some(at));
    if overtaken {
        match traffic.weights_settle(0) {
            Some(at) if at > world.now => {
                draft.check_at(at);
                draft.wait(WaitKind::Other, messages::waiting_for_proxies());
                return None;
            }
            Some(_) => {}
            None => return None,
        }
    }
    let need = match intent.weight {
        0 => size,
        weight => scale::needed(world, weight, intent.size),
    };
    let ready = traffic.selectable(world, &target);
    let serves = ready > 0 && size > 0 || world.desired() == 0;
    if ready >= need && serves {
        // Under weight it moves only where it selects no revision at all.
        let weighted = traffic.highest() > 0 && traffic.canary.elsewhere(&target).is_some();
        return (!weighted).then_some(target);
    }
    if overtaken { draft.stable.clone() } else { None }
}

/// The weight that the canary may have now. It rises only when all pods for it are there; it falls
/// to what the available pods can carry when some are lost.
fn allowed_weight(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    intent: Intent,
    held: bool,
) -> i32 {
    if world.desired() == 0 {
        return 0;
    }
    let shown = traffic.highest();
    let capacity = traffic.capacity(world, &draft.target);
    let needed = scale::needed(world, intent.weight, intent.size);
    if capacity < needed {
        let wait = messages::waiting_for_pods(world, &draft.target, needed);
        draft.wait(WaitKind::Pods, wait);
    }
    let contested = write::is_contested(draft);
    let may_rise = capacity >= needed && !held && !contested;
    let goal = if intent.weight <= shown || may_rise { intent.weight } else { shown };
    let stable = draft.stable.clone().unwrap_or_default();
    let [now, before] = step::recent_sizes(world, draft);
    let sizes = [intent.size, now, before];
    // Published as the canary's are counted: both follow a scale-up by the same delay.
    let keep = scale::needed_to_keep(world, traffic.serving(world, &stable), goal, &sizes);
    let allowed = if capacity >= keep {
        goal
    } else {
        let carried = i64::from(goal) * i64::from(capacity) / i64::from(keep.max(1));
        i32::try_from(carried).unwrap_or(goal).clamp(i32::from(capacity > 0), 100)
    };
    let told = draft.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Pods);
    if allowed < intent.weight && capacity < needed && !told {
        draft.shortfall =
            Some(messages::shortfall(world, &draft.target, allowed, intent.weight, needed));
    }
    allowed
}

/// The stable destination moves to the new revision once all traffic, and every proxy, is on the
/// canary destination; until then it belongs to stable, and is put back there if somebody moved it.
fn stable_pointer(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    promoting: bool,
) -> Option<String> {
    let target = draft.target.clone();
    let weight = if world.desired() == 0 { 0 } else { 100 };
    let settle = traffic.weights_settle(weight).filter(|_| promoting);
    if let Some(at) = settle {
        let needed = scale::needed(world, 100, SizeRule::MatchWeight);
        let full = traffic.canary.all_at(&target) && traffic.capacity(world, &target) >= needed;
        if at > world.now {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies());
            return None;
        }
        return full.then_some(target);
    }
    draft.stable.clone()
}

/// Stable's destination reaches the new revision: the weight goes back to it, and the release is
/// complete when every proxy follows.
fn finish_promotion(world: &World, draft: &mut Draft, traffic: &Traffic, wanted: &mut Wanted) {
    let target = draft.target.clone();
    let needed = scale::needed(world, 100, SizeRule::MatchWeight);
    let serving = traffic.stable_capacity(world, &target);
    if serving < needed && !traffic.all_weights_are(0) {
        draft.wait(WaitKind::Pods, messages::waiting_for_endpoints(serving, needed));
        return;
    }
    wanted.weight = Some(0);
    if !traffic.all_weights_are(0) {
        return;
    }
    let settle = traffic.weights_settle(0).into_iter().chain(traffic.pointers_settle()).max();
    match settle {
        Some(at) if at > world.now => {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies());
        }
        _ => {
            if traffic.canary.all_at(&target) {
                outcome::complete(world, draft, "all steps passed");
            }
        }
    }
}

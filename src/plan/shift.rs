//! A release whose weight is in routes, or in the selector of the active Service: from where it stands
//! and what is observed to what is wanted.

use super::{
    Draft, WaitKind,
    gate::Traffic,
    messages, outcome, restart, runs, scale,
    step::{self, Intent, SizeRule},
    write::{self, Wanted},
};
use crate::{
    traffic::istio::MatchRoute,
    world::{StrategyKind, World},
};

/// Steps, or the promotion when all are done.
pub(super) fn go_on(world: &World, draft: &mut Draft, traffic: &Traffic, held: bool) {
    let Pace { promoting, intent, wanted_size } = pace(world, draft);
    let target = draft.target.clone();
    if is_late(world, draft, traffic, wanted_size, held) {
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
        wanted.extra = shift_routes(world, draft, traffic);
        wanted.stable_at = stable_pointer(world, draft, traffic, promoting && may_promote && !held);
    }
    write::wanted(world, draft, traffic, &wanted);
}

/// Where a release stands.
struct Pace {
    /// Whether all steps are done.
    promoting: bool,
    /// What the steps add up to.
    intent: Intent,
    /// Pods of the new revision.
    wanted_size: u32,
}

fn pace(world: &World, draft: &Draft) -> Pace {
    let at = step::index(world, draft);
    let promoting = at >= world.program.steps.len();
    let intent = if promoting {
        Intent { weight: world.program.total(), size: SizeRule::MatchWeight }
    } else {
        step::intent(world, at)
    };
    let wanted_size = if promoting {
        world.desired()
    } else {
        scale::canary_size(world, intent).max(step::pods_for_routes(world, at, intent))
    };
    Pace { promoting, intent, wanted_size }
}

/// Runs the progress deadline. Returns whether it aborted the release.
fn is_late(world: &World, draft: &mut Draft, traffic: &Traffic, size: u32, held: bool) -> bool {
    let target = draft.target.clone();
    // A delay that the user asked for is no lack of progress.
    let short = traffic.selectable(world, &target) < scale::enough(world, size)
        && !scale::is_crowded(world, &target, size);
    outcome::track_progress(world, draft, short && !held, size)
}

/// The same where the selector of the active Service is the switch.
pub(super) fn switch(world: &World, draft: &mut Draft, traffic: &Traffic, held: bool) {
    let Pace { promoting, intent, wanted_size } = pace(world, draft);
    let target = draft.target.clone();
    let stable = draft.stable.clone();
    if is_late(world, draft, traffic, wanted_size, held) {
        return;
    }
    resize(world, draft, traffic, intent, wanted_size);
    let mut wanted = Wanted {
        canary_at: preview_pointer(world, draft, traffic, wanted_size),
        ..Wanted::default()
    };
    let switched = traffic.stable.all_at(&target);
    let needed = scale::enough(world, world.desired());
    let back = way_back(world, draft, traffic);
    if intent.weight == 0 {
        wanted.stable_at = back;
    } else if switched {
        // Judged by the pods alone: the endpoints follow the switch a moment later.
        let serves = world.available(&target) > 0 || world.desired() == 0;
        let fallback = stable.filter(|stable| !serves && world.available(stable) > 0);
        if fallback.is_some() {
            wanted.stable_at = fallback;
        }
    } else if world.available(&target) < needed {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &target, needed));
        wanted.stable_at = back;
    } else {
        wanted.stable_at = if held { back } else { Some(target.clone()) };
    }
    let goes_back = wanted.stable_at.is_some() && wanted.stable_at == draft.stable;
    if intent.weight > 0 && goes_back && world.available(&target) == 0 {
        draft.shortfall = Some(messages::given_back(world, &target, needed));
    }
    write::wanted(world, draft, traffic, &wanted);
    if promoting && switched && !held && traffic.canary.all_at(&target) {
        if traffic.stable_capacity(world, &target) < needed {
            let serving = traffic.stable_capacity(world, &target);
            draft.wait(WaitKind::Pods, messages::waiting_for_endpoints(world, serving, needed));
            return;
        }
        match traffic.pointers_settle() {
            Some(at) if at > world.now => {
                draft.check_at(at);
                draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
            }
            _ => outcome::complete(world, draft, "all steps passed"),
        }
    }
}

/// The stable revision, as the one that users go back to; none while it has no available pod and the
/// colour that they reach has one.
pub(super) fn way_back(world: &World, draft: &Draft, traffic: &Traffic) -> Option<String> {
    let stable = draft.stable.clone()?;
    let nobody = world.available(&stable) == 0 && world.desired() > 0;
    let other = traffic.stable.elsewhere(&stable).is_some_and(|at| world.available(at) > 0);
    (!(nobody && other)).then_some(stable)
}

/// The preview Service carries no weight of ours: it moves to the new revision as soon as that has its
/// pods, and away from an overtaken one at once.
fn preview_pointer(world: &World, draft: &Draft, traffic: &Traffic, size: u32) -> Option<String> {
    let target = draft.target.clone();
    let ready = world.available(&target);
    if ready >= size && (ready > 0 || world.desired() == 0) {
        return Some(target);
    }
    let stable = draft.stable.as_deref();
    let overtaken = traffic.canary.elsewhere(&target).is_some_and(|at| stable != Some(at));
    draft.stable.clone().filter(|stable| overtaken && world.available(stable) > 0)
}

/// The routes for some requests that should stand in the VirtualServices: those of the steps up to
/// now, while the canary can answer.
fn shift_routes(world: &World, draft: &mut Draft, traffic: &Traffic) -> Vec<MatchRoute> {
    let routes = step::wanted_routes(world, draft, traffic);
    if routes.is_empty() || traffic.capacity(world, &draft.target) > 0 {
        return routes;
    }
    if world.desired() == 0 {
        return Vec::new();
    }
    let told = draft.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Pods);
    if !told && draft.shortfall.is_none() {
        draft.shortfall = Some(messages::routes_out(world, &draft.target, &routes));
    }
    draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &draft.target, 1));
    Vec::new()
}

/// The lowest weight that the canary may have now on its way down to `goal`: what the stable
/// revision cannot take yet stays, where that may shrink (DESIGN, rule 3), unless the canary cannot
/// take it either.
pub(super) fn lowest_weight(world: &World, draft: &Draft, traffic: &Traffic, goal: i32) -> i32 {
    let shown = traffic.highest();
    if !world.program.dynamic_stable || goal >= shown || world.desired() == 0 {
        return goal;
    }
    let stable = draft.stable.clone().unwrap_or_default();
    let total = world.program.total();
    let carried = |pods: u32| {
        let weight = i64::from(total) * i64::from(pods) / i64::from(world.desired().max(1));
        i32::try_from(weight).unwrap_or(total).min(total)
    };
    let left = total - carried(traffic.serving(world, &stable));
    left.min(carried(traffic.canary_endpoints(world))).clamp(goal, shown)
}

/// An aborted canary gives its pods back as its weight falls, where stable may shrink.
pub(super) fn shrink_aborted(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let shown = traffic.highest();
    let settled = traffic.weights_settle(shown).filter(|at| *at <= world.now);
    let target = draft.target.clone();
    let Some(set) = world.revision(&target).filter(|_| settled.is_some() && shown > 0) else {
        return;
    };
    let size = scale::share(world, world.desired(), shown).max(1);
    if size < set.replicas {
        scale::bring_to(world, draft, &target, size, &messages::shrinks_with_weight(shown));
    }
}

/// The canary's pods: up at once, down only as far as the weight that the proxies may still follow
/// allows.
fn resize(world: &World, draft: &mut Draft, traffic: &Traffic, intent: Intent, size: u32) {
    let target = draft.target.clone();
    let present = world.revision(&target).map_or(0, |set| set.replicas);
    let (wanted, mut size) = (size, size);
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
        // The last ones go when nothing leads to them any more: no route of ours that goes with this
        // look, nor one of the user's to the canary destination.
        if size == 0 && world.desired() > 0 {
            match traffic.unreachable(world, &target) {
                Ok(_) => {}
                Err(at) => {
                    size = present;
                    if let Some(at) = at {
                        draft.check_at(at);
                    }
                }
            }
        }
    }
    let why = match world.program.strategy {
        StrategyKind::BlueGreen => messages::colour_size(),
        _ => messages::canary_size(world, draft, intent.weight),
    };
    // While it still shrinks, none comes on top and none may be missing.
    if size != wanted {
        scale::bring_to(world, draft, &target, size, &why);
        return;
    }
    let surged = restart::with_surge(world, draft, &target, size);
    let why = if surged > size { messages::restart_surge() } else { why };
    scale::bring_to(world, draft, &target, surged, &why);
}

/// The canary destination moves to the new revision once that has the pods for the step, back to stable
/// before it loses them all, and never while a weight, or a proxy's memory of one, still counts on another revision behind it.
fn canary_pointer(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    intent: Intent,
    size: u32,
) -> Option<String> {
    let target = draft.target.clone();
    if traffic.canary.all_at(&target) {
        let empties = size == 0 && world.desired() > 0;
        let quiet = traffic.quiet().filter(|_| empties);
        if let Some(at) = quiet.filter(|at| *at > world.now) {
            draft.check_at(at);
        }
        return quiet.filter(|at| *at <= world.now).and_then(|_| draft.stable.clone());
    }
    let overtaken =
        traffic.canary.elsewhere(&target).is_some_and(|at| draft.stable.as_deref() != Some(at));
    if overtaken {
        match traffic.quiet() {
            Some(at) if at > world.now => {
                draft.check_at(at);
                draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
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
        let weighted = traffic.reaches_canary() && traffic.canary.elsewhere(&target).is_some();
        return (!weighted).then_some(target);
    }
    // Users may have routes of their own to it: not from pods that answer to a broken stable.
    let old = traffic.canary.elsewhere(&target).map_or(0, |at| world.available(at));
    let serves = |stable: &String| old == 0 || world.available(stable) > 0;
    if overtaken { draft.stable.clone().filter(serves) } else { None }
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
    if let Some(weight) = overtaken_weight(world, draft, traffic) {
        return weight;
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
    // Where stable serves nobody, an overtaken canary makes way as anywhere else.
    if goal < shown && world.program.dynamic_stable && !traffic.is_overtaken(draft) {
        return lowest_weight(world, draft, traffic, goal);
    }
    let stable = draft.stable.clone().unwrap_or_default();
    let [now, before] = step::recent_sizes(world, draft);
    let sizes = [intent.size, now, before];
    // Published as the canary's are counted: both follow a scale-up by the same delay.
    let keep = scale::needed_to_keep(world, traffic.serving(world, &stable), goal, &sizes);
    let allowed = if capacity >= keep || is_switched(world, capacity) {
        goal
    } else if world.program.strategy == StrategyKind::BlueGreen {
        0
    } else {
        let carried = i64::from(goal) * i64::from(capacity) / i64::from(keep.max(1));
        i32::try_from(carried).unwrap_or(goal).clamp(i32::from(capacity > 0), goal)
    };
    if allowed < shown && only_the_canary_serves(world, draft, traffic, needed) {
        draft.wait(WaitKind::Pods, messages::stable_serves_nobody(world, &stable));
        return shown;
    }
    let told = draft.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Pods);
    if allowed < intent.weight && capacity < needed && !told {
        draft.shortfall =
            Some(messages::shortfall(world, &draft.target, allowed, intent.weight, needed));
    }
    allowed
}

/// The weight that an overtaken canary keeps where stable may shrink: all of it goes back, but no sooner
/// than stable has the pods for it (lesson 10). A stable that serves nobody is not waited for.
fn overtaken_weight(world: &World, draft: &mut Draft, traffic: &Traffic) -> Option<i32> {
    let stable = draft.stable.clone().unwrap_or_default();
    let serves = world.program.dynamic_stable && traffic.serving(world, &stable) > 0;
    if !serves || !traffic.is_overtaken(draft) {
        return None;
    }
    let lowest = lowest_weight(world, draft, traffic, 0);
    if lowest > 0 {
        let wait = messages::waiting_for_pods(world, &stable, world.desired());
        draft.wait(WaitKind::Pods, wait);
    }
    Some(lowest)
}

/// Whether weight that leaves the canary would reach nobody, while the canary answers. An overtaken one
/// makes way once its successor is there: a broken stable never blocks its own fix.
fn only_the_canary_serves(world: &World, draft: &Draft, traffic: &Traffic, needed: u32) -> bool {
    let stable = draft.stable.as_deref().unwrap_or_default();
    let overtaken = traffic.canary.elsewhere(&draft.target).is_some_and(|at| at != stable);
    traffic.serving(world, stable) == 0
        && traffic.canary_endpoints(world) > 0
        && !(overtaken && world.available(&draft.target) >= needed.max(1))
}

/// A switch is not undone in part: all users stay with the new colour while it serves at all.
fn is_switched(world: &World, capacity: u32) -> bool {
    world.program.strategy == StrategyKind::BlueGreen && capacity > 0
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
    let weight = if world.desired() == 0 { 0 } else { world.program.total() };
    let settle = traffic.weights_settle(weight).filter(|_| promoting);
    if let Some(at) = settle {
        let needed = scale::enough(world, world.desired());
        let full = traffic.canary.all_at(&target) && traffic.capacity(world, &target) >= needed;
        if at > world.now {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
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
    let needed = scale::enough(world, world.desired());
    let serving = traffic.stable_capacity(world, &target);
    if serving < needed && !traffic.all_weights_are(0) {
        draft.wait(WaitKind::Pods, messages::waiting_for_endpoints(world, serving, needed));
        return;
    }
    wanted.weight = Some(0);
    if !traffic.all_weights_are(0) {
        return;
    }
    let settle = traffic.quiet().into_iter().chain(traffic.pointers_settle()).max();
    match settle {
        Some(at) if at > world.now => {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
        }
        _ => {
            if traffic.canary.all_at(&target) {
                outcome::complete(world, draft, "all steps passed");
            }
        }
    }
}

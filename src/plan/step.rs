//! The steps of a release: what they add up to, and when one is done.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{
    Draft, WaitKind, conclusive, gate::Traffic, identify, messages, outcome, pods, runs, scale,
};
use crate::{
    api::{OnTimeout, Pause, PauseReason, PauseStatus, SetCanaryScale, Step},
    traffic::istio::MatchRoute,
    world::{ProgramStep, Shift, StrategyKind, World},
};

/// What the steps up to and including the present one add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    /// The canary's weight, in parts of the program's total.
    pub(super) weight: i32,
    /// The canary's size.
    pub(super) size: SizeRule,
}

/// How the canary's size is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeRule {
    /// As many pods as the weight needs.
    MatchWeight,
    /// This many pods.
    Replicas(u32),
    /// This share of `spec.replicas`.
    Percent(i32),
}

/// A short hash of the list of steps.
pub(super) fn steps_hash(steps: &[ProgramStep]) -> String {
    let steps: Vec<&Step> = steps.iter().map(|step| &step.step).collect();
    let text = serde_json::to_string(&steps).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    let start = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{start:016x}")
}

/// Adds up `steps[0..=index]`: the last weight and the last scale win. Being recomputed at each
/// look, it cannot be lost by a restart.
pub(super) fn intent(world: &World, index: usize) -> Intent {
    let mut intent = Intent { weight: 0, size: SizeRule::MatchWeight };
    for step in world.program.steps.iter().take(index + 1).map(|step| &step.step) {
        if let Some(weight) = step.set_weight {
            intent.weight = weight.clamp(0, world.program.total());
        }
        if let Some(scale) = &step.set_canary_scale {
            intent.size = size_rule(scale);
        }
    }
    intent
}

/// The rules for the canary's size of the present step and of the one before: the pods that its weight
/// was given for.
pub(super) fn recent_sizes(world: &World, draft: &Draft) -> [SizeRule; 2] {
    let index = draft.status.step.as_ref().map_or(0, |step| step.index);
    let at = usize::try_from(index).unwrap_or(0);
    let before = if at == 0 { SizeRule::MatchWeight } else { intent(world, at - 1).size };
    [intent(world, at).size, before]
}

fn size_rule(scale: &SetCanaryScale) -> SizeRule {
    match (scale.replicas, scale.weight) {
        (Some(replicas), _) => SizeRule::Replicas(u32::try_from(replicas).unwrap_or(0)),
        (None, Some(weight)) => SizeRule::Percent(weight),
        (None, None) => SizeRule::MatchWeight,
    }
}

/// The index of the present step; the number of steps when all are done.
pub(super) fn index(world: &World, draft: &Draft) -> usize {
    let steps = world.program.steps.len();
    if draft.status.promote_full {
        return steps;
    }
    let step = draft.status.step.as_ref();
    step.map_or(steps, |step| usize::try_from(step.index).unwrap_or(0).min(steps))
}

/// Advances over all steps that are done, and says what the present one waits for. While the
/// background analysis `asks` a person, none ends.
pub(super) fn advance(world: &World, draft: &mut Draft, traffic: &Traffic, asks: bool) {
    while draft.status.abort.is_none() {
        let at = index(world, draft);
        let Some(step) = world.program.step(at) else { return };
        if !is_done(world, draft, traffic, step, at) {
            return;
        }
        if asks || hold(world, draft).is_some() {
            return;
        }
        next(world, draft);
    }
}

/// Goes to the next step.
pub(super) fn next(world: &World, draft: &mut Draft) {
    let at = index(world, draft);
    draft.status.step = Some(identify::step_status(at + 1, world));
    draft.status.pauses.retain(|pause| pause.reason == PauseReason::Command);
    if let Some(analysis) = &mut draft.status.analysis {
        analysis.step = None;
    }
    draft.status.progress = None;
    draft.wait = None;
}

/// Why the release must not go on now, if so: a person or the spec holds it.
pub(super) fn hold(world: &World, draft: &Draft) -> Option<String> {
    if world.rollout.spec.paused {
        return Some(messages::held_by_spec());
    }
    let pause = draft.status.pauses.iter().find(|pause| pause.reason == PauseReason::Command)?;
    Some(messages::held_by_command(&pause.by))
}

fn is_done(world: &World, draft: &mut Draft, traffic: &Traffic, step: &Step, at: usize) -> bool {
    if let Some(weight) = step.set_weight {
        return weight_is_done(world, draft, traffic, weight);
    }
    if let Some(pause) = &step.pause {
        return pause_is_done(world, draft, pause, at);
    }
    if let Some(hold) = &step.hold {
        return conclusive::is_done(world, draft, hold);
    }
    if step.set_canary_scale.is_some() {
        // Without routes the weight is the scale, and it rules.
        return world.program.shift == Shift::Pods || scale_is_done(world, draft, traffic, at);
    }
    if step.set_header_route.is_some() || step.set_mirror_route.is_some() {
        return routes_are_done(world, draft, traffic, at);
    }
    if let Some(analysis) = &step.analysis {
        let request = runs::request_of(analysis);
        return runs::step_is_done(world, draft, &request, at);
    }
    if let Some(job) = &step.job {
        let metrics = [runs::job_metric(job)];
        return runs::step_is_done(world, draft, &runs::request_of_job(&metrics), at);
    }
    true
}

/// Done when every route shows the weight *and* the canary has the pods for it: a weight that
/// somebody else wrote is never taken for our own progress.
fn weight_is_done(world: &World, draft: &mut Draft, traffic: &Traffic, weight: i32) -> bool {
    if world.desired() == 0 {
        return true;
    }
    if world.program.shift == Shift::Pods {
        return pods::weight_is_done(world, draft, weight);
    }
    let shown = traffic.all_weights_are(weight);
    let intent = intent(world, index(world, draft));
    let needed = scale::needed(world, weight, intent.size);
    let capacity = match world.program.shift {
        Shift::Switch => traffic.stable_capacity(world, &draft.target),
        Shift::Routes | Shift::Pods => traffic.capacity(world, &draft.target),
    };
    let enough = weight == 0 || capacity >= needed;
    if enough && shown && world.program.strategy == StrategyKind::BlueGreen {
        return has_settled(world, draft, traffic, weight);
    }
    if !enough {
        let stable = draft.stable.as_deref();
        let other = traffic.canary.elsewhere(&draft.target).filter(|at| Some(*at) != stable);
        let wait = match other.filter(|_| world.available(&draft.target) >= needed) {
            Some(other) => messages::waiting_for_overtaken(other),
            None => messages::waiting_for_pods(world, &draft.target, needed),
        };
        draft.wait(WaitKind::Pods, wait);
    }
    shown && enough
}

/// Done when the pods are there *and* the canary destination reaches them: what follows, such as a
/// smoke test, would otherwise still meet the stable revision.
fn scale_is_done(world: &World, draft: &mut Draft, traffic: &Traffic, at: usize) -> bool {
    let wanted = scale::canary_size(world, intent(world, at));
    let present = traffic.capacity(world, &draft.target);
    let enough = scale::enough(world, wanted);
    if present < enough {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &draft.target, wanted));
    }
    present >= enough
}

/// What comes after a switch judges the new revision: not before every proxy follows it.
fn has_settled(world: &World, draft: &mut Draft, traffic: &Traffic, weight: i32) -> bool {
    match traffic.weights_settle(weight) {
        Some(at) if at > world.now => {
            draft.check_at(at);
            draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
            false
        }
        settle => settle.is_some(),
    }
}

/// The routes for some requests that the steps up to `index` ask for: recomputed at each look, as the
/// weight is, so that neither a restart nor somebody's edit loses one (lessons 64 and 65).
pub(super) fn routes(world: &World, index: usize) -> Vec<MatchRoute> {
    let names = world.program.traffic.iter().flat_map(|traffic| &traffic.managed_routes);
    let steps = || world.program.steps.iter().take(index + 1).map(|step| &step.step);
    let last = |name: &str| {
        let mut routes = steps().filter_map(|step| {
            let header = step.set_header_route.clone().map(MatchRoute::Header);
            header.or_else(|| step.set_mirror_route.clone().map(MatchRoute::Mirror))
        });
        routes.rfind(|route| route.name() == name)
    };
    names.filter_map(|route| last(&route.name)).filter(|route| !route.is_empty()).collect()
}

/// The routes for some requests that should stand now. While the rest of the steps is skipped, no
/// further ones come.
pub(super) fn wanted_routes(world: &World, draft: &Draft, traffic: &Traffic) -> Vec<MatchRoute> {
    let index = draft.status.step.as_ref().map_or(0, |step| step.index);
    let mut routes = routes(world, usize::try_from(index).unwrap_or(0));
    let stands =
        |route: &MatchRoute| traffic.match_routes().iter().any(|name| name == route.name());
    routes.retain(|route| !draft.status.promote_full || stands(route));
    routes
}

/// Pods that the canary has for its routes, though its weight asks for none.
pub(super) fn pods_for_routes(world: &World, index: usize, intent: Intent) -> u32 {
    let for_routes = intent.size == SizeRule::MatchWeight && !routes(world, index).is_empty();
    if for_routes { world.program.min_pods.min(world.desired()) } else { 0 }
}

/// Done when the VirtualServices have the routes that the steps ask for, and no others of ours.
fn routes_are_done(world: &World, draft: &mut Draft, traffic: &Traffic, at: usize) -> bool {
    let wanted = routes(world, at);
    let capacity = traffic.capacity(world, &draft.target);
    if world.desired() == 0 {
        return true;
    }
    // One that stands may still be that of a revision that was overtaken.
    if !wanted.is_empty() && capacity == 0 {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &draft.target, 1));
        return false;
    }
    traffic.has_routes(world, &wanted)
}

fn pause_is_done(world: &World, draft: &mut Draft, pause: &Pause, at: usize) -> bool {
    let running = draft.status.pauses.iter().find(|pause| pause.reason == PauseReason::Step);
    let Some(started_at) = running.map(|pause| pause.started_at) else {
        draft.status.pauses.push(PauseStatus {
            reason: PauseReason::Step,
            started_at: world.now,
            by: String::new(),
            canary_requests: BTreeMap::new(),
        });
        draft.note(messages::paused(at + 1, world.program.steps.len(), pause));
        return pause_is_done(world, draft, pause, at);
    };
    let limit = pause.duration.or(pause.timeout);
    let end = limit.map(|limit| limit.after(started_at));
    if let Some(end) = end
        && end > world.now
    {
        draft.check_at(end);
    }
    let over = end.is_some_and(|end| end <= world.now);
    if over && pause.duration.is_some() {
        return true;
    }
    if over {
        match pause.on_timeout {
            Some(OnTimeout::Promote) => return true,
            Some(OnTimeout::Abort) => {
                outcome::abort_for_timeout(world, draft, pause);
                return false;
            }
            Some(OnTimeout::Hold) | None => {}
        }
    }
    draft.wait(WaitKind::Pause, messages::pausing(pause, end, over));
    false
}

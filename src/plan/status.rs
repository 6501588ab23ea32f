//! The status in words, and whether it is worth a write.

use jiff::{Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Action, Draft, Plan, Problem, WaitKind, Write, gate::Traffic, messages, step, write};
use crate::{
    api::{
        ConditionType, Note, Phase, REVISION_LABEL, Reason, RolloutStatus, SURPLUS_LABEL, Weights,
    },
    world::{ProgramStep, Shift, StrategyKind, WorkloadState, World},
};

/// Counts and messages alone are written at most this often: they change with every pod.
const COSMETIC_SECONDS: i64 = 1;

/// The same while a release moves: its steps are written anyway, and with many releases at once the
/// API server's time is what they compete for.
const COSMETIC_SECONDS_MOVING: i64 = 5;

/// Completes the status and puts the writes in their order.
pub(super) fn finish(
    world: &World,
    mut draft: Draft,
    traffic: Option<&Traffic>,
    problems: &[Problem],
) -> Plan {
    draft.status.observed_generation = Some(world.rollout.generation);
    draft.status.workload_observed_generation = match &world.workload {
        WorkloadState::None => None,
        WorkloadState::Found(workload) => Some(workload.generation),
        WorkloadState::Unknown | WorkloadState::Missing => {
            draft.status.workload_observed_generation
        }
    };
    if let Some(traffic) = traffic
        && (draft.stable.is_some() || traffic.all_weights_are(0))
    {
        let (weights, routes) = match draft.written.take() {
            Some((canary, routes)) => (Weights::of(world.program.total(), canary), routes),
            None => (traffic.shown(), traffic.match_routes().to_vec()),
        };
        let settled = world.program.shift == Shift::Switch && !draft.in_release();
        let weights = if settled { Weights::of(world.program.total(), 0) } else { weights };
        draft.status.weights = Some(weights);
        draft.status.routes = routes;
    }
    counts(world, &mut draft, traffic);
    // Nothing changes when a pod becomes available by time alone, or by a clock that is behind.
    let pods = world.revisions.iter().flat_map(|set| &set.pods);
    let later = pods.filter_map(|pod| pod.available_at(world.min_ready()));
    if let Some(at) = later.filter(|at| *at > world.now).min() {
        draft.check_at(at);
    }
    // What was refused is tried again; until that goes through, it is still what a person must mend.
    let refused = world
        .refused
        .as_ref()
        .filter(|_| problems.is_empty() && draft.status.abort.is_none() && !draft.is_idle());
    let refused: Vec<Problem> = refused.map(|words| Problem(words.clone())).into_iter().collect();
    let problems = if refused.is_empty() { problems } else { &refused };
    say(world, &mut draft, traffic, problems);
    conditions(world, &mut draft, problems);
    forget_retired(world, &mut draft);

    let before = &*world.rollout.status;
    let essential = essence(before) != essence(&draft.status);
    let changed = *before != draft.status;
    let moving = draft.status.phase == Some(Phase::Progressing) && draft.in_release();
    let pace = if moving { COSMETIC_SECONDS_MOVING } else { COSMETIC_SECONDS };
    let cosmetic_at = world.rollout.since.checked_add(pace.seconds());
    let cosmetic_at = cosmetic_at.unwrap_or(world.now);
    // People are told of a hold once, when its sentence first stands in the status.
    let held = std::mem::take(&mut draft.held);
    let new = held.into_iter().filter(|held| !before.message.contains(&held.mark));
    let new: Vec<Note> = new.map(|held| held.note).collect();
    let write_status = essential || !new.is_empty() || (changed && cosmetic_at <= world.now);
    draft.notes.extend(new);
    if changed && !write_status {
        draft.check_at(cosmetic_at);
    }
    let Draft { status, urgent, actions, cleanup, notes, next_check, questions, .. } = draft;
    let mut plan = Plan { actions: urgent, notes, status, next_check, questions };
    if write_status {
        plan.actions.push(Action {
            write: Write::Status(Box::new(plan.status.clone())),
            why: plan.status.message.clone(),
        });
    }
    plan.actions.extend(actions);
    plan.actions.extend(cleanup);
    plan
}

/// The plan that shows in the status what the API server refused; nothing if it shows already.
pub fn refused(world: &World, error: &str) -> Plan {
    let problem = Problem(error.to_owned());
    let mut draft = super::identify::unchanged(world);
    // A new template has not been taken note of: what was refused may have been its beginning.
    let begins = draft.status.current_revision.as_ref().is_some_and(|at| *at != draft.target);
    if !begins {
        draft.status.observed_generation = Some(world.rollout.generation);
    }
    draft.status.phase = Some(Phase::Degraded);
    error.clone_into(&mut draft.status.message);
    conditions(world, &mut draft, &[problem]);
    let Draft { status, notes, .. } = draft;
    let mut plan = Plan { notes, status, ..Plan::default() };
    if *world.rollout.status != plan.status {
        let write = Write::Status(Box::new(plan.status.clone()));
        plan.actions.push(Action { write, why: "the API server refused a write".to_owned() });
    }
    plan
}

/// What must be remembered, without what merely tells: counts, messages, and times of progress.
fn essence(status: &RolloutStatus) -> RolloutStatus {
    let mut essence = status.clone();
    essence.message.clear();
    essence.weights = None;
    essence.progress = None;
    essence.replicas = 0;
    essence.updated_replicas = 0;
    essence.ready_replicas = 0;
    essence.available_replicas = 0;
    essence.updated_available_replicas = 0;
    // A retired revision may be forgotten with the next write.
    essence.retiring.clear();
    for condition in &mut essence.conditions {
        condition.message.clear();
        condition.reason.clear();
    }
    // Whether all pods are there is known from the counts and changes with them.
    essence.conditions.retain(|condition| condition.type_ != ConditionType::Available.as_str());
    if let Some(analysis) = &mut essence.analysis {
        for run in analysis.background.iter_mut().chain(&mut analysis.step) {
            run.message.clear();
        }
    }
    essence
}

/// A revision whose pods are gone is no longer on its way out.
fn forget_retired(world: &World, draft: &mut Draft) {
    draft
        .status
        .retiring
        .retain(|retiring| world.revision(&retiring.revision).is_some_and(|set| set.replicas > 0));
}

fn counts(world: &World, draft: &mut Draft, traffic: Option<&Traffic>) {
    let sum = |count: &dyn Fn(&crate::world::ReplicaSet) -> u32| {
        let pods = world.revisions.iter().map(count).fold(0, u32::saturating_add);
        i32::try_from(pods).unwrap_or(i32::MAX)
    };
    let min_ready = world.min_ready();
    let stable = draft.stable.clone().unwrap_or_else(|| draft.target.clone());
    let colours = world.program.strategy == StrategyKind::BlueGreen;
    let active = traffic.filter(|_| colours).map(|traffic| traffic.active(draft).to_owned());
    let serving = active.unwrap_or(stable);
    let of = |revision: &str, count: fn(&crate::world::ReplicaSet) -> u32| {
        let pods = world.revision(revision).map_or(0, count);
        i32::try_from(pods).unwrap_or(i32::MAX)
    };
    let status = &mut draft.status;
    status.ready_replicas = sum(&crate::world::ReplicaSet::ready);
    status.available_replicas = sum(&|set| set.available(world.now, min_ready));
    status.updated_replicas = of(&draft.target, |set| set.replicas);
    let available = world.available(&draft.target);
    status.updated_available_replicas = i32::try_from(available).unwrap_or(i32::MAX);
    status.replicas = of(&serving, |set| set.replicas).min(world.rollout.spec.replicas);
    if world.selector.is_empty() {
        return; // The workload is gone, and with it its selector, which is known from before.
    }
    let mut labels: Vec<String> =
        world.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // Of two colours one is in use; else the pods beyond the desired share are marked.
    labels.push(if colours {
        format!("{REVISION_LABEL}={serving}")
    } else {
        format!("!{SURPLUS_LABEL}")
    });
    status.selector = labels.join(",");
}

/// Phase and message.
fn say(world: &World, draft: &mut Draft, traffic: Option<&Traffic>, problems: &[Problem]) {
    let (phase, mut message) = phase(world, draft, traffic, problems);
    if draft.in_release()
        && let Some(restart) = &draft.restart
    {
        message = format!("{message}; {restart}");
    }
    for held in &draft.held {
        message = format!("{message}; {}", held.text);
    }
    draft.status.phase = Some(phase);
    draft.status.message = message;
}

fn phase(
    world: &World,
    draft: &mut Draft,
    traffic: Option<&Traffic>,
    problems: &[Problem],
) -> (Phase, String) {
    if !problems.is_empty() {
        let text: Vec<&str> = problems.iter().map(|problem| problem.0.as_str()).collect();
        return (Phase::Degraded, text.join("; "));
    }
    let wait = draft.wait.as_ref().map(|wait| wait.text.clone());
    if let Some(abort) = &draft.status.abort {
        let waits = wait.map(|wait| format!("; {wait}")).unwrap_or_default();
        let text = format!("aborted by {}: {}{waits}", abort.by, abort.reason);
        return (Phase::Degraded, text);
    }
    if write::is_contested(draft)
        && let Some(contest) = &draft.status.contest
    {
        let text = format!(
            "{} keeps writing the weights of {}: take the weights out of its hands (for Argo CD: \
             ignoreDifferences), then `kubectl sluice resume`",
            contest.by, contest.object
        );
        return (Phase::Degraded, text);
    }
    if !draft.in_release() {
        return settled(world, draft, traffic, wait);
    }
    let place = place(world, draft);
    let mut text = wait.map_or_else(|| place.clone(), |wait| format!("{place}: {wait}"));
    if let Some(shortfall) = &draft.shortfall {
        text = format!("{text}; {shortfall}");
    }
    if is_overdue(world, draft) {
        let deadline = world.rollout.spec.progress_deadline;
        return (Phase::Degraded, format!("no progress for {deadline}; {text}"));
    }
    let paused = draft.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Pause);
    (if paused { Phase::Paused } else { Phase::Progressing }, text)
}

/// Between releases.
fn settled(
    world: &World,
    draft: &Draft,
    traffic: Option<&Traffic>,
    wait: Option<String>,
) -> (Phase, String) {
    if let Some(restart) = &draft.restart {
        return (Phase::Progressing, restart.clone());
    }
    let desired = world.desired();
    let available = world.available(&draft.target);
    // Without routes there is no weight to fall: Services and pods say it all.
    let unrouted = world.program.shift != Shift::Routes;
    let steady = traffic.is_some_and(|traffic| {
        (unrouted || traffic.all_weights_are(0) && !traffic.reaches_canary())
            && traffic.stable.all_at(&draft.target)
            && traffic.canary.all_at(&draft.target)
    });
    if steady && available >= desired {
        return (Phase::Healthy, messages::healthy(draft.status.revision));
    }
    let text = if available < desired {
        messages::waiting_for_pods(world, &draft.target, desired)
    } else {
        wait.unwrap_or_else(|| messages::waiting_for_proxies(world))
    };
    (Phase::Progressing, text)
}

/// Where the release stands: `step 3/10 (setWeight 30)`.
fn place(world: &World, draft: &Draft) -> String {
    if draft.stable.is_none() {
        return "first deployment".to_owned();
    }
    let steps = &world.program.steps;
    let at = step::index(world, draft);
    let Some(ProgramStep { step, text, .. }) = steps.get(at) else {
        let rolling = world.program.strategy == StrategyKind::Rolling;
        return if rolling { "replacing pods" } else { "promoting" }.to_owned();
    };
    if !text.is_empty() {
        return (*text).to_owned();
    }
    let what = match (step.set_weight, &step.set_canary_scale) {
        (Some(weight), _) => format!("setWeight {weight}"),
        (None, Some(_)) => "setCanaryScale".to_owned(),
        (None, None) if step.pause.is_some() => "pause".to_owned(),
        (None, None) if step.hold.is_some() => "hold".to_owned(),
        (None, None) if step.analysis.is_some() => "analysis".to_owned(),
        (None, None) if step.set_header_route.is_some() => "setHeaderRoute".to_owned(),
        (None, None) if step.set_mirror_route.is_some() => "setMirrorRoute".to_owned(),
        (None, None) => "job".to_owned(),
    };
    format!("step {}/{} ({what})", at + 1, steps.len())
}

fn is_overdue(world: &World, draft: &Draft) -> bool {
    let since = draft.status.progress.map(|progress| progress.at);
    since.is_some_and(|since| world.rollout.spec.progress_deadline.after(since) <= world.now)
}

fn conditions(world: &World, draft: &mut Draft, problems: &[Problem]) {
    let phase = draft.status.phase;
    let message = draft.status.message.clone();
    let desired = world.rollout.spec.replicas;
    let available = draft.status.available_replicas >= desired;
    let releasing = draft.in_release();
    let aborted = draft.status.abort.is_some();
    let overdue = is_overdue(world, draft);
    let progressing_reason = if aborted {
        Reason::ReleaseAborted
    } else if overdue {
        Reason::ProgressDeadlineExceeded
    } else if releasing {
        Reason::Progressing
    } else {
        Reason::NoRelease
    };
    let paused = phase == Some(Phase::Paused);
    let healthy = phase == Some(Phase::Healthy);
    let invalid = !problems.is_empty();
    let contested = write::is_contested(draft);
    if invalid && !was(&draft.status, ConditionType::InvalidSpec) {
        draft.note(messages::invalid(&message));
    }
    let choose = |is: bool, yes, no| if is { yes } else { no };
    let mut list = vec![
        (
            ConditionType::Available,
            available,
            choose(available, Reason::PodsAvailable, Reason::PodsUnavailable),
        ),
        (ConditionType::Progressing, !aborted && !overdue && !invalid, progressing_reason),
        (ConditionType::Paused, paused, choose(paused, Reason::ReleasePaused, Reason::Progressing)),
        (
            ConditionType::Completed,
            !releasing,
            choose(releasing, Reason::Progressing, Reason::NoRelease),
        ),
        (
            ConditionType::Healthy,
            healthy,
            choose(healthy, Reason::PodsAvailable, progressing_reason),
        ),
    ];
    // These two are only there once they have been true, to keep a healthy status short.
    if invalid || has(&draft.status, ConditionType::InvalidSpec) {
        let reason = choose(invalid, Reason::InvalidSpec, Reason::ValidSpec);
        list.push((ConditionType::InvalidSpec, invalid, reason));
    }
    if contested || has(&draft.status, ConditionType::RouteContested) {
        let reason = choose(contested, Reason::RouteContested, Reason::Progressing);
        list.push((ConditionType::RouteContested, contested, reason));
    }
    let old = std::mem::take(&mut draft.status.conditions);
    draft.status.conditions = list
        .into_iter()
        .map(|(kind, is, reason)| condition(&old, world.now, kind, is, reason, &message))
        .collect();
}

fn has(status: &RolloutStatus, kind: ConditionType) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == kind.as_str())
}

fn was(status: &RolloutStatus, kind: ConditionType) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| condition.type_ == kind.as_str() && condition.status == "True")
}

/// A condition whose transition time moves only when its status does.
fn condition(
    old: &[Condition],
    now: Timestamp,
    kind: ConditionType,
    is: bool,
    reason: Reason,
    message: &str,
) -> Condition {
    let status = if is { "True" } else { "False" };
    let before = old.iter().find(|condition| condition.type_ == kind.as_str());
    let since = before.filter(|before| before.status == status);
    let whole_second = now.as_second();
    let now = Timestamp::from_second(whole_second).unwrap_or(now);
    // Only a condition that asks for something carries the message: it changes too often.
    let asks = matches!(
        (kind, is),
        (ConditionType::InvalidSpec | ConditionType::RouteContested | ConditionType::Paused, true)
            | (ConditionType::Progressing, false)
    );
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.to_string(),
        message: if asks { message.to_owned() } else { String::new() },
        last_transition_time: since.map_or(Time(now), |before| before.last_transition_time.clone()),
        observed_generation: None,
    }
}

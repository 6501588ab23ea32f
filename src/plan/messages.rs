//! Everything that the plan says to people: waits, reasons and Events, in one place.

use jiff::Timestamp;

use crate::{
    api::{Command, Contest, Note, Pause, Reason},
    traffic::istio::MatchRoute,
    world::{Run, Shift, StrategyKind, World, drain::Flow},
};

fn note(reason: Reason, warning: bool, text: String) -> Note {
    Note { reason, warning, text }
}

pub(super) fn release_started(number: i64, revision: &str, images: &[String]) -> Note {
    let text = format!("revision {number} ({revision}) starts: {}", images.join(", "));
    note(Reason::ReleaseStarted, false, text)
}

pub(super) fn completed(number: i64, revision: &str, reason: &str) -> Note {
    let text = format!("revision {number} ({revision}) is stable: {reason}");
    note(Reason::ReleaseCompleted, false, text)
}

pub(super) fn aborted(revision: &str, by: &str, reason: &str) -> Note {
    let text = format!("revision {revision} aborted by {by}: {reason}");
    note(Reason::ReleaseAborted, true, text)
}

pub(super) fn retried(revision: &str, attempt: i64, by: &str) -> Note {
    let text = format!("revision {revision} starts again, attempt {attempt}, asked by {by}");
    note(Reason::ReleaseRetried, false, text)
}

/// `step` counts from 1, as in the status.
pub(super) fn paused(step: usize, of: usize, pause: &Pause) -> Note {
    let until = match (pause.duration, pause.timeout) {
        (Some(duration), _) => format!("for {duration}"),
        (None, Some(timeout)) => format!("until somebody promotes, at most {timeout}"),
        (None, None) => "until somebody promotes".to_owned(),
    };
    note(Reason::ReleasePaused, false, format!("paused at step {step}/{of}, {until}"))
}

pub(super) fn inconclusive(name: &str, run: &Run) -> Note {
    note(Reason::AnalysisInconclusive, true, waiting_for_person(name, run))
}

pub(super) fn weight_set(contest: &Contest, found: i32, wanted: i32) -> String {
    let Contest { by, object, .. } = contest;
    format!("{by} set the canary weight of {object} to {found}, wanted is {wanted}")
}

pub(super) fn route_taken(contest: &Contest, name: &str) -> String {
    let Contest { by, object, .. } = contest;
    format!("{by} took the route {name} out of {object}, which a step asks for")
}

pub(super) fn route_edited(text: &str, contested: bool) -> Note {
    if contested {
        let text = format!("{text}; put back twice, now left alone: see condition RouteContested");
        note(Reason::RouteContested, true, text)
    } else {
        note(Reason::RouteEdited, true, format!("{text}; put back"))
    }
}

pub(super) fn command(command: &Command, accepted: bool, message: &str) -> Note {
    let Command { verb, by, .. } = command;
    let by = if by.is_empty() { "somebody" } else { by };
    if accepted {
        note(Reason::CommandAccepted, false, format!("{verb} by {by}: {message}"))
    } else {
        note(Reason::CommandRefused, true, format!("{verb} by {by} refused: {message}"))
    }
}

pub(super) fn command_unreadable(error: &str) -> Note {
    let text = format!(
        "annotation sluice.dev/command is no command and was removed: {error}; use `kubectl sluice`"
    );
    note(Reason::CommandRefused, true, text)
}

pub(super) fn invalid(text: &str) -> Note {
    note(Reason::InvalidSpec, true, text.to_owned())
}

pub(super) fn held_by_spec() -> String {
    "held by spec.paused; set it to false, or `kubectl sluice resume`".to_owned()
}

pub(super) fn held_by_command(by: &str) -> String {
    format!("paused by {by}; `kubectl sluice resume` goes on")
}

pub(super) fn waiting_for_pods(world: &World, revision: &str, needed: u32) -> String {
    let set = world.revision(revision);
    let available = world.available(revision);
    let problem = set.and_then(crate::world::ReplicaSet::problem);
    let crowded = super::scale::is_crowded(world, revision, needed);
    let problem = match problem {
        Some(problem) => format!(" ({problem})"),
        None if crowded => " (maxSurge has no room until older revisions are gone)".to_owned(),
        None => String::new(),
    };
    let pods = if needed == 1 { "pod" } else { "pods" };
    if available >= needed {
        return format!("waiting for {needed} {pods} of revision {revision} to be endpoints");
    }
    format!(
        "waiting for pods: {available} of {needed} {pods} of revision {revision} available{problem}"
    )
}

pub(super) fn shortfall(
    world: &World,
    revision: &str,
    weight: i32,
    wanted: i32,
    needed: u32,
) -> String {
    let why = waiting_for_pods(world, revision, needed);
    format!("canary weight is {weight} instead of {wanted}, {why}")
}

pub(super) fn routes_out(world: &World, revision: &str, routes: &[MatchRoute]) -> String {
    let why = waiting_for_pods(world, revision, 1);
    let names: Vec<&str> = routes.iter().map(MatchRoute::name).collect();
    format!("route {} is taken out, {why}", names.join(", "))
}

pub(super) fn waiting_for_overtaken(revision: &str) -> String {
    format!("waiting for all traffic to leave the overtaken revision {revision}")
}

pub(super) fn waiting_for_endpoints(world: &World, serving: u32, needed: u32) -> String {
    let [role, _] = world.program.roles();
    format!("waiting for the {role} Service: {serving} of {needed} endpoints are there")
}

pub(super) fn waiting_for_proxies(world: &World) -> String {
    if world.program.shift != Shift::Routes {
        return format!("giving everybody {} to follow the Services", world.program.delay());
    }
    "waiting for the proxies to follow the routes (propagationDelay)".to_owned()
}

pub(super) fn stable_serves_nobody(world: &World, stable: &str) -> String {
    let problem = world.revision(stable).and_then(crate::world::ReplicaSet::problem);
    let problem = problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
    let other = match world.program.strategy {
        StrategyKind::BlueGreen => "the new colour",
        StrategyKind::Canary | StrategyKind::Rolling => "the canary",
    };
    format!(
        "stable revision {stable} has no available pod{problem}: traffic stays on {other} until it \
         has one"
    )
}

pub(super) fn pausing(pause: &Pause, end: Option<Timestamp>, over: bool) -> String {
    match (pause.duration, end) {
        (Some(duration), Some(end)) => format!("pausing for {duration}, until {}", clock(end)),
        (None, Some(end)) if over => {
            format!(
                "nobody promoted by {}; still waiting: `kubectl sluice promote` or abort",
                clock(end)
            )
        }
        (None, Some(end)) => format!(
            "waiting for a person: `kubectl sluice promote` goes on; at {} this times out",
            clock(end)
        ),
        (_, None) => "waiting for a person: `kubectl sluice promote` goes on".to_owned(),
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}

pub(super) fn holding(why: &str, end: Option<String>) -> String {
    let end = end.map(|end| format!(", at most until {end}")).unwrap_or_default();
    format!("holding until the comparison is conclusive{end}: {why}")
}

pub(super) fn still_holding(limit: crate::api::Duration, why: &str) -> String {
    format!(
        "the comparison is not conclusive after {limit} ({why}): `kubectl sluice promote` goes on, or \
         abort"
    )
}

pub(super) fn hold_timed_out(limit: crate::api::Duration, why: &str) -> String {
    format!("the comparison was not conclusive within {limit}: {why}")
}

pub(super) fn pause_timed_out(pause: &Pause) -> String {
    let timeout = pause.timeout.unwrap_or_default();
    format!("nobody promoted within the pause's timeout of {timeout}")
}

pub(super) fn deadline(world: &World, revision: &str, wanted: u32) -> String {
    let deadline = world.rollout.spec.progress_deadline;
    format!("no progress for {deadline}: {}", waiting_for_pods(world, revision, wanted))
}

pub(super) fn analysis_starts(name: &str) -> String {
    format!("waiting for analysis {name} to start")
}

pub(super) fn analysis_runs(name: &str, run: &Run) -> String {
    let message = &run.status.message;
    if message.is_empty() {
        format!("waiting for analysis {name}")
    } else {
        format!("waiting for analysis {name}: {message}")
    }
}

pub(super) fn analysis_failed(name: &str, run: &Run) -> String {
    format!("analysis {name}: {}: {}", run.phase(), run.status.message)
}

pub(super) fn waiting_for_person(name: &str, run: &Run) -> String {
    format!(
        "analysis {name} is {} ({}); `kubectl sluice promote` goes on, `abort` rolls back",
        run.phase(),
        run.status.message
    )
}

pub(super) fn other_revision(asked: &str, now: &str) -> String {
    format!("it was meant for revision {asked}, but the newest is {now}; look again")
}

pub(super) fn abort_accepted(stable: Option<&str>) -> String {
    format!("aborted; all traffic goes to stable revision {}", stable.unwrap_or("(none)"))
}

pub(super) fn retry_accepted(attempt: i64) -> String {
    format!("attempt {attempt} starts at the first step")
}

pub(super) fn step_ended(step: usize, of: usize) -> String {
    format!("step {} of {of} ended by promote", step + 1)
}

pub(super) fn nothing_to_promote(step: usize, of: usize) -> String {
    format!("step {} of {of} waits for no person; use promote --full to skip the rest", step + 1)
}

pub(super) fn stable_size() -> String {
    "the stable revision keeps its full size".to_owned()
}

pub(super) fn dynamic_stable_size() -> String {
    "the stable revision has the pods that its weight needs".to_owned()
}

pub(super) fn back_to_stable() -> String {
    "the stable revision takes over again".to_owned()
}

pub(super) fn first_deployment() -> String {
    "first deployment".to_owned()
}

pub(super) fn canary_size(world: &World, draft: &super::Draft, weight: i32) -> String {
    if world.program.steps.is_empty() {
        return format!("revision {} takes over", draft.target);
    }
    let step = draft.status.step.as_ref().map_or_else(String::new, |step| step.text.clone());
    format!("pods for weight {weight} at step {step}")
}

pub(super) fn useless(revision: &str) -> String {
    format!("revision {revision} is superseded and serves nobody")
}

pub(super) fn drained(revision: &str) -> String {
    format!("no traffic reaches revision {revision} any more, and its delay is over")
}

/// Stands in the status until the pods go: no number that changes at each look.
pub(super) fn held(revision: &str, since: Timestamp, until: Timestamp) -> String {
    format!(
        "{}, though all proxies should have left them by {}; is istiod running? They stay until {} at \
         most",
        held_mark(revision),
        clock(since),
        clock(until)
    )
}

/// How the sentence begins.
pub(super) fn held_mark(revision: &str) -> String {
    format!("the pods of revision {revision} stay, because requests still reach them")
}

pub(super) fn drain_held(
    revision: &str,
    flow: Option<&Flow>,
    since: Timestamp,
    until: Timestamp,
) -> Note {
    let text = format!(
        "{}, though no route leads to it and all proxies should have left it by {}: they do not \
         follow; is istiod running? Its pods stay until {} at most",
        flowing(revision, flow),
        clock(since),
        clock(until)
    );
    note(Reason::DrainHeld, true, text)
}

pub(super) fn drain_overdue(
    revision: &str,
    flow: Option<&Flow>,
    deadline: crate::api::Duration,
) -> Note {
    let text = format!(
        "{}, though no route leads to it; its pods go nevertheless, progressDeadline ({deadline}) is \
         over",
        flowing(revision, flow)
    );
    note(Reason::DrainOverdue, true, text)
}

fn flowing(revision: &str, flow: Option<&Flow>) -> String {
    let Some(Flow { requests, seconds, from }) = flow else {
        return format!("revision {revision} still answers requests");
    };
    let requests =
        if *requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
    let from = if from.is_empty() { String::new() } else { format!(", most of them from {from}") };
    format!("revision {revision} still got {requests} in {seconds} s{from}")
}

pub(super) fn still_reached(revision: &str, deadline: crate::api::Duration) -> String {
    format!("requests still reach revision {revision}, but progressDeadline ({deadline}) is over")
}

pub(super) fn pruned(limit: usize) -> String {
    format!("spec.revisionHistoryLimit keeps {limit} old revisions")
}

pub(super) fn pointer(role: &str, revision: &str) -> String {
    format!("the {role} destination selects revision {revision}")
}

pub(super) fn switch(revision: &str) -> String {
    format!("the switch: users reach revision {revision} from now on")
}

pub(super) fn switch_back(revision: &str) -> String {
    format!("the switch back: users reach revision {revision}")
}

/// The new colour lost all its pods after the switch.
pub(super) fn given_back(world: &World, revision: &str, needed: u32) -> String {
    let why = waiting_for_pods(world, revision, needed);
    format!("users are with the old colour until the new one is there in full, {why}")
}

pub(super) fn switch_settles(revision: &str) -> String {
    format!("the active destination reaches revision {revision}, too")
}

pub(super) fn colour_size() -> String {
    "pods of the new colour".to_owned()
}

pub(super) fn weight(from: i32, to: i32, extra: &[MatchRoute], standing: &[String]) -> String {
    let wanted: Vec<&str> = extra.iter().map(MatchRoute::name).collect();
    let stands = |name: &&&str| standing.iter().any(|standing| standing == **name);
    let added: Vec<&str> = wanted.iter().filter(|name| !stands(name)).copied().collect();
    let gone = standing.iter().map(String::as_str).filter(|name| !wanted.contains(name));
    let gone: Vec<&str> = gone.collect();
    let weight = (from != to).then(|| format!("canary weight {from} to {to}"));
    let added = (!added.is_empty()).then(|| format!("route {} to the canary", added.join(", ")));
    let gone = (!gone.is_empty()).then(|| format!("route {} goes", gone.join(", ")));
    let texts: Vec<String> = weight.into_iter().chain(added).chain(gone).collect();
    match texts.is_empty() {
        false => texts.join("; "),
        true if wanted.is_empty() => format!("canary weight {to}"),
        true => format!("route {} as its step and its base say", wanted.join(", ")),
    }
}

pub(super) fn shrinks_with_weight(weight: i32) -> String {
    format!("the canary's weight fell to {weight}")
}

pub(super) fn step_skipped(step: usize, of: usize) -> String {
    format!("step {} of {of} is skipped", step + 1)
}

pub(super) fn restarted() -> Note {
    note(Reason::Restarted, false, "all pods have been restarted".to_owned())
}

pub(super) fn restart_surge() -> String {
    "one pod more while the others are restarted".to_owned()
}

pub(super) fn restart_why() -> String {
    "a restart replaces this pod".to_owned()
}

pub(super) fn restarting(old: usize, refused: Option<&str>) -> String {
    let refused = refused.map(|refused| format!("; an eviction was refused: {refused}"));
    let left = match old {
        0 => "the last old pods are going".to_owned(),
        1 => "1 pod still to replace".to_owned(),
        _ => format!("{old} pods still to replace"),
    };
    format!("restarting: {left}{}", refused.unwrap_or_default())
}

pub(super) fn counts(revision: &str, surplus: bool) -> String {
    let counts = if surplus { "does not count" } else { "counts" };
    format!("this pod of revision {revision} {counts} for the autoscaler")
}

pub(super) fn role(revision: &str) -> String {
    format!("metadata that pods of revision {revision} carry in their role")
}

pub(super) fn takes_over(available: u32) -> String {
    match available {
        0 => "one pod less than wanted, to make room for one of the Rollout".to_owned(),
        1 => "one pod of the Rollout takes over".to_owned(),
        _ => format!("{available} pods of the Rollout take over"),
    }
}

pub(super) fn handed_back(name: &str) -> String {
    format!("the Rollout is deleted, and {name} gets its pods back")
}

pub(super) fn waiting_for_workload(name: &str, available: u32, desired: u32) -> String {
    format!("waiting for {name}: {available} of {desired} pods available")
}

pub(super) fn waiting_for_service(name: &str, published: u32, needed: u32) -> String {
    format!(
        "waiting for Service {name}: {published} of {needed} endpoints of the workload are there"
    )
}

pub(super) fn released(item: &str) -> String {
    format!("{item} is given back: it selects pods of any revision again")
}

pub(super) fn finalizer() -> String {
    "what is taken over must be given back before the Rollout goes".to_owned()
}

pub(super) fn all_handed_back() -> String {
    "all that was taken over is given back".to_owned()
}

pub(super) fn deleting(text: &str) -> String {
    format!("the Rollout is being deleted: {text}")
}

pub(super) fn no_workload(world: &World) -> String {
    let reference = world.rollout.spec.workload_ref.as_ref();
    let (kind, name) = reference.map_or(("", ""), |r| (r.kind.as_str(), r.name.as_str()));
    format!(
        "spec.workloadRef: {kind} {}/{name} does not exist; create it, or write the pods in \
         spec.template",
        world.rollout.namespace
    )
}

pub(super) fn workloads_not_listed(world: &World) -> String {
    let reference = world.rollout.spec.workload_ref.as_ref();
    let kind = reference.map_or("", |reference| reference.kind.as_str());
    format!(
        "waiting for the list of {kind}s (spec.workloadRef); if this lasts, the controller may not \
         read them: see its log and its role"
    )
}

pub(super) fn healthy(revision: i64) -> String {
    format!("revision {revision} is stable and has all its pods")
}

//! The top of the tree: what a person on call reads first. Pure.

use jiff::Timestamp;

use kube::ResourceExt;

use crate::{
    api::{CommandRecord, ConditionType, PauseReason, Rollout, RolloutStatus, ScaleDown, Weights},
    world::Program,
};

use super::{
    age::age,
    snapshot::Snapshot,
    state::{self, Release},
    steps, strategy,
    style::{self, Paint, Style},
    table::{self, Cell},
    workload::own_pods,
};

/// The lines above the tree.
pub fn render(snapshot: &Snapshot, now: Timestamp, style: Style) -> String {
    let rollout = &snapshot.rollout;
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let mut rows = Rows::default();
    let name = format!("{}/{}", rollout.namespace().unwrap_or_default(), rollout.name_any());
    rows.add("Name", Paint::Bold, name);
    rows.add("Phase", style::phase(status.phase), state::phase(rollout));
    rows.add("Message", Paint::Plain, state::message(rollout));
    rows.add("Next", Paint::Bold, state::next_step(rollout).unwrap_or_default());
    rows.add("Deleting", Paint::Wait, deleting(rollout, now));
    for problem in problems(status) {
        rows.add("Problem", Paint::Bad, problem);
    }
    rows.add("Strategy", Paint::Plain, strategy::text(&Program::new(&rollout.spec)));
    rows.add("Workload", Paint::Plain, workload(snapshot));
    rows.add("Step", Paint::Plain, step(rollout, status, now));
    rows.list("Steps", steps::list(rollout));
    for (label, text) in strategy::rows(rollout, now) {
        rows.add(label, Paint::Plain, text);
    }
    rows.list("Routes", steps::routes(rollout));
    rows.add("Pods", Paint::Plain, pods(rollout, status));
    rows.add("Restart", Paint::Busy, restart(snapshot, now));
    for pause in pauses(rollout, status, now) {
        rows.add("Held", Paint::Wait, pause);
    }
    if let Some(abort) = &status.abort {
        let text = format!(
            "by {} {} ago ({:?}): {}",
            state::by(&abort.by),
            age(abort.at, now),
            abort.cause,
            abort.reason
        );
        rows.add("Aborted", Paint::Bad, text);
    }
    if let Some(record) = &status.last_command {
        rows.add("Command", Paint::Plain, last_command(record, now));
    }
    table::render(&rows.0, style)
}

#[derive(Default)]
struct Rows(Vec<Vec<Cell>>);

impl Rows {
    /// Adds a line, unless there is nothing to say.
    fn add(&mut self, label: &str, paint: Paint, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push(vec![Cell::new(Paint::Dim, format!("{label}:")), Cell::new(paint, text)]);
        }
    }

    /// Adds lines of which the first has the label.
    fn list(&mut self, label: &str, lines: Vec<String>) {
        let labels = std::iter::once(format!("{label}:")).chain(std::iter::repeat(String::new()));
        for (label, line) in labels.zip(lines) {
            self.0.push(vec![Cell::new(Paint::Dim, label), Cell::new(Paint::Plain, line)]);
        }
    }
}

/// Conditions that a person must know of.
fn problems(status: &RolloutStatus) -> Vec<String> {
    let types = [ConditionType::InvalidSpec, ConditionType::RouteContested];
    let is_problem = |wanted: &str| types.iter().any(|known| known.as_str() == wanted);
    status
        .conditions
        .iter()
        .filter(|condition| condition.status == "True" && is_problem(&condition.type_))
        .map(|condition| format!("{}: {}", condition.type_, condition.message))
        .collect()
}

/// Since when it is being deleted, and what keeps it.
fn deleting(rollout: &Rollout, now: Timestamp) -> String {
    let Some(since) = &rollout.metadata.deletion_timestamp else { return String::new() };
    let kept = rollout.finalizers().join(", ");
    let kept = if kept.is_empty() { kept } else { format!(", kept by finalizer {kept}") };
    format!("for {}{kept}", age(since.0, now))
}

/// The workload that has the pod template, and the pods that it has of its own.
fn workload(snapshot: &Snapshot) -> String {
    let Some(reference) = &snapshot.rollout.spec.workload_ref else { return String::new() };
    let scale_down = match reference.scale_down {
        ScaleDown::Never => "never",
        ScaleDown::OnSuccess => "onSuccess",
        ScaleDown::Progressively => "progressively",
    };
    let pods = snapshot.workload.as_ref().and_then(own_pods);
    let pods = pods.map(|pods| format!("{pods}, ")).unwrap_or_default();
    format!("{} {}; {pods}scaleDown {scale_down}", reference.kind, reference.name)
}

/// How far a restart has come, or when it begins.
fn restart(snapshot: &Snapshot, now: Timestamp) -> String {
    let rollout = &snapshot.rollout;
    let Some(at) = state::restart(rollout) else { return String::new() };
    let clock = at.strftime("%Y-%m-%dT%H:%M:%SZ");
    if at > now {
        return format!("at {clock}");
    }
    let created = |pod: &&k8s_openapi::api::core::v1::Pod| {
        pod.creation_timestamp().is_some_and(|created| created.0 < at)
    };
    let (old, all) = (snapshot.pods.iter().filter(created).count(), snapshot.pods.len());
    let held = if rollout.spec.paused { "; held by spec.paused" } else { "" };
    format!("pods older than {clock} are replaced: {old} of {all} are left{held}")
}

fn step(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> String {
    let Some(step) = status.step.as_ref().filter(|step| step.of > 0) else {
        return String::new();
    };
    let program = Program::new(&rollout.spec);
    let current = usize::try_from(step.index).ok().and_then(|index| program.steps.get(index));
    match state::release(rollout) {
        Release::Running => {}
        Release::Aborted => {
            let at = step.of.min(step.index + 1);
            return format!("ended in step {at}/{}", step.of);
        }
        Release::Complete | Release::Unseen => return format!("{} done", step.text),
    }
    let place = if status.promote_full {
        "the rest is skipped (promote --full)".to_owned()
    } else if let Some(current) = current {
        // Counted from 1, as in the controller's message.
        let (what, since) = (steps::named(&program, current), age(step.started_at, now));
        format!("{}/{}, {what}, begun {since} ago", step.index + 1, step.of)
    } else {
        format!("{} done", step.text)
    };
    match status.attempt {
        2.. => format!("{place} (attempt {})", status.attempt),
        _ => place,
    }
}

/// One of two weights as a bar.
pub(super) fn bar(weight: i32, of: Weights) -> String {
    strategy::bar(weight, of.stable.saturating_add(of.canary))
}

fn pods(rollout: &Rollout, status: &RolloutStatus) -> String {
    let wanted = rollout.spec.replicas;
    let (ready, available) = (status.ready_replicas, status.available_replicas);
    let all = format!("{wanted} wanted, {ready} ready, {available} available");
    if state::release(rollout) != Release::Running {
        return all;
    }
    let (updated, good) = (status.updated_replicas, status.updated_available_replicas);
    format!("{all}; of the newest revision {updated}, {good} available")
}

fn pauses(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> Vec<String> {
    let mut lines: Vec<String> = status
        .pauses
        .iter()
        .map(|pause| {
            let why = match pause.reason {
                PauseReason::Step => "by the pause step".to_owned(),
                PauseReason::Hold => "by the hold step".to_owned(),
                PauseReason::Command => {
                    format!("by the command `pause` of {}", state::by(&pause.by))
                }
                PauseReason::Inconclusive => "because the analysis was inconclusive".to_owned(),
            };
            format!("{why}, for {}", age(pause.started_at, now))
        })
        .collect();
    if rollout.spec.paused {
        lines.push("by spec.paused".to_owned());
    }
    lines
}

fn last_command(record: &CommandRecord, now: Timestamp) -> String {
    let outcome = if record.accepted { "carried out" } else { "refused" };
    let (who, when) = (state::by(&record.by), age(record.at, now));
    format!("`{}` by {who} {when} ago, {outcome}: {}", record.verb, record.message)
}

#[cfg(test)]
mod tests;

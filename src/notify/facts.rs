//! What has happened in a release: from the status before a pass and the one after it.
//!
//! In: a world, whose status is the one before, and the status that its plan writes. Out: what is
//! told, in order, as values for the texts. A transition is told by the write that makes it, so that
//! it is told exactly when it has happened.

use jiff::Timestamp;

use super::words::{Values, bar};
use crate::{
    api::{
        CommandRecord, Duration, FactKind, Outcome, Pause, Phase, ReleaseRecord, RolloutStatus,
        RunStatus, Verb,
    },
    world::{ProgramStep, Run, World},
};

/// Longest text in one place, in characters: a message of Slack has room for 3000.
const LONGEST: usize = 600;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// In which release.
    pub release: String,
    /// What kind of thing.
    pub kind: FactKind,
    /// The text that tells it.
    pub words: &'static str,
    /// What stands in the places of that text.
    pub values: Values,
}

/// What tells a release from all others of its Rollout, another attempt included.
pub fn key(record: &ReleaseRecord) -> String {
    format!("{}/{}/{}", record.revision, record.started_at.as_second(), record.attempt)
}

/// The present release: the newest in the history, if it is not over.
pub fn open(status: &RolloutStatus) -> Option<&ReleaseRecord> {
    status.history.first().filter(|record| record.outcome.is_none())
}

/// What stands in the places that every text may have.
pub fn values(world: &World, status: &RolloutStatus, record: &ReleaseRecord) -> Values {
    let weight = status.weights.map_or(0, |weights| weights.canary);
    let total = world.program.total();
    let step = status.step.as_ref().filter(|step| step.of > 0);
    let mut values = Values::new();
    values.insert("namespace", world.rollout.namespace.clone());
    values.insert("rollout", world.rollout.name.clone());
    values.insert("revision", record.revision.clone());
    values.insert("number", record.number.to_string());
    values.insert("attempt", record.attempt.to_string());
    values.insert("images", short(&record.images.join(", ")));
    values.insert("phase", status.phase.unwrap_or(Phase::Progressing).to_string());
    values.insert("message", short(&status.message));
    values.insert("weight", weight.to_string());
    values.insert("bar", bar(weight, total));
    values.insert("step", step.map(|step| step.text.clone()).unwrap_or_default());
    values.insert("icon", icon(status, record).to_owned());
    if let Some(outcome) = record.outcome {
        values.insert("outcome", outcome_in_words(outcome).to_owned());
        values.insert("duration", duration(record, world.now));
        values.insert("by", record.by.clone());
        values.insert("reason", short(&record.reason));
    }
    values
}

fn icon(status: &RolloutStatus, record: &ReleaseRecord) -> &'static str {
    match (record.outcome, status.phase) {
        (Some(Outcome::Promoted), _) => "✅",
        (Some(Outcome::Aborted), _) => "⏪",
        (Some(Outcome::Superseded), _) => "⏭️",
        (None, Some(Phase::Degraded)) => "⚠️",
        (None, Some(Phase::Paused)) => "⏸️",
        (None, _) => "🚀",
    }
}

fn outcome_in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted => "promoted",
        Outcome::Aborted => "rolled back",
        Outcome::Superseded => "ended",
    }
}

/// From the start to the end, to the second.
fn duration(record: &ReleaseRecord, now: Timestamp) -> String {
    let took = record.ended_at.unwrap_or(now).duration_since(record.started_at);
    let seconds = u64::try_from(took.as_secs()).unwrap_or(0);
    Duration::from_secs(seconds).to_string()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What has happened between the status of `world` and `after`, in order.
pub fn between(world: &World, after: &RolloutStatus) -> Vec<Happening> {
    let before = &*world.rollout.status;
    let mut found = Vec::new();
    let old = open(before);
    let new = after.history.first();
    let same = matches!((old, new), (Some(old), Some(new)) if key(old) == key(new));
    if !same && let Some(ended) = old.and_then(|old| ended(old, after)) {
        found.push(end(world, before, ended));
    }
    let Some(new) = new else { return found };
    let begins = !same && new.outcome.is_none();
    if begins {
        found.push(tell(world, after, new, FactKind::Started, "started"));
    }
    if !same && !begins {
        return found;
    }
    found.extend(command(world, after, new));
    found.extend(analyses(world, after, new));
    found.extend(steps(world, after, new, begins));
    let degraded = |status: &RolloutStatus| status.phase == Some(Phase::Degraded);
    if new.outcome.is_none() && degraded(after) && (begins || !degraded(before)) {
        found.push(tell(world, after, new, FactKind::Degraded, "degraded"));
    }
    if new.outcome.is_some() {
        found.push(end(world, after, new));
    }
    found
}

/// The record of a release that was open, once it is over.
fn ended<'a>(old: &ReleaseRecord, after: &'a RolloutStatus) -> Option<&'a ReleaseRecord> {
    let mut records = after.history.iter();
    let found = |record: &&ReleaseRecord| {
        record.revision == old.revision && record.started_at == old.started_at
    };
    records.find(found).filter(|record| record.outcome.is_some())
}

fn tell(
    world: &World,
    status: &RolloutStatus,
    record: &ReleaseRecord,
    kind: FactKind,
    words: &'static str,
) -> Happening {
    let mut values = values(world, status, record);
    if kind == FactKind::Started {
        // The release as it begins; what is waited for is told by the steps.
        values.insert("icon", "🚀".to_owned());
    }
    Happening { release: key(record), kind, words, values }
}

fn end(world: &World, status: &RolloutStatus, record: &ReleaseRecord) -> Happening {
    let (kind, words) = match record.outcome {
        Some(Outcome::Promoted) => (FactKind::Promoted, "promoted"),
        Some(Outcome::Aborted) => (FactKind::Aborted, "aborted"),
        Some(Outcome::Superseded) | None => (FactKind::Superseded, "superseded"),
    };
    tell(world, status, record, kind, words)
}

/// A command that was answered in this pass. An abort and a retry are told as what they lead to.
fn command(world: &World, after: &RolloutStatus, record: &ReleaseRecord) -> Option<Happening> {
    let before = world.rollout.status.last_command.as_ref();
    let CommandRecord { id, verb, by, accepted, message, .. } = after.last_command.as_ref()?;
    if before.is_some_and(|before| before.id == *id)
        || (*accepted && matches!(verb, Verb::Abort | Verb::Retry))
    {
        return None;
    }
    let words = if *accepted { "command" } else { "refused" };
    let mut happening = tell(world, after, record, FactKind::Command, words);
    let by = if by.is_empty() { "somebody" } else { by };
    happening.values.insert("verb", verb.to_string());
    happening.values.insert("by", by.to_owned());
    happening.values.insert("reason", short(message));
    Some(happening)
}

/// Analyses whose verdict fell in this pass.
fn analyses(world: &World, after: &RolloutStatus, record: &ReleaseRecord) -> Vec<Happening> {
    let runs = |status: &RolloutStatus| -> Vec<RunStatus> {
        let analysis = status.analysis.clone().unwrap_or_default();
        analysis.step.into_iter().chain(analysis.background).collect()
    };
    let before = runs(&world.rollout.status);
    let mut all = runs(after);
    // The status of a step's run goes with its step, often in the pass that first sees its verdict.
    for gone in &before {
        if !all.iter().any(|run| run.name == gone.name)
            && let Some(run) = world.runs.get(&gone.name)
        {
            let (phase, message) = (run.phase(), run.status.message.clone());
            all.push(RunStatus { phase, message, ..gone.clone() });
        }
    }
    let was_final = |run: &RunStatus| {
        before.iter().any(|before| before.name == run.name && before.phase.is_final())
    };
    let fallen = all.into_iter().filter(|run| run.phase.is_final() && !was_final(run));
    let told = fallen.map(|run| {
        let mut happening = tell(world, after, record, FactKind::Analysis, "analysis");
        happening.values.insert("name", run.name.clone());
        happening.values.insert("verdict", run.phase.to_string());
        happening.values.insert("reason", short(&run.message));
        let measured = world.runs.get(&run.name).map(measured).unwrap_or_default();
        happening.values.insert("values", short(&measured));
        happening
    });
    told.collect()
}

/// The last value of each metric, a line each.
fn measured(run: &Run) -> String {
    let lines = run.status.metric_results.iter().map(|result| {
        let last = result.measurements.iter().rev().find(|one| !one.value.is_empty());
        let value = last.map(|one| format!(" = {}", one.value)).unwrap_or_default();
        let dry = if result.dry_run { ", dry run" } else { "" };
        let count = result.count;
        format!("{}{value}: {} ({count} measured{dry})", result.name, result.phase)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The steps that were reached. Those that a promotion in full passes over are not.
fn steps(
    world: &World,
    after: &RolloutStatus,
    record: &ReleaseRecord,
    begins: bool,
) -> Vec<Happening> {
    let index = |status: &RolloutStatus| {
        let index = status.step.as_ref().map_or(0, |step| step.index);
        usize::try_from(index).unwrap_or(0)
    };
    let steps = &world.program.steps;
    let to = index(after);
    let from = if begins { 0 } else { index(&world.rollout.status) + 1 };
    if after.promote_full || record.outcome.is_some() {
        return Vec::new();
    }
    let reached = (from..=to).filter_map(|at| Some((at, steps.get(at)?)));
    // A ramp is told by its weights; the pauses between them go without saying.
    let worth = reached.filter(|(_, step)| step.step.pause.is_none() || !is_ramp(steps, step));
    let told = worth.map(|(at, step)| {
        let mut happening = tell(world, after, record, FactKind::Step, "step");
        happening.values.insert("step", format!("{} of {}", at + 1, steps.len()));
        happening.values.insert("what", what(step));
        if let Some(weight) = step.step.set_weight {
            happening.values.insert("weight", weight.to_string());
            happening.values.insert("bar", bar(weight, world.program.total()));
        }
        happening
    });
    told.collect()
}

/// Whether a step is one of those that a ramp consists of: they come from one field.
fn is_ramp(steps: &[ProgramStep], step: &ProgramStep) -> bool {
    step.text.is_empty() && steps.iter().filter(|other| other.field == step.field).count() > 1
}

/// A step in words.
fn what(step: &ProgramStep) -> String {
    if !step.text.is_empty() {
        return step.text.to_owned();
    }
    let step = &step.step;
    match &step.pause {
        Some(pause) => return pausing(pause),
        None if step.hold.is_some() => return "hold until the comparison is conclusive".to_owned(),
        None => {}
    }
    if let Some(weight) = step.set_weight {
        return format!("setWeight {weight}");
    }
    let named = [
        (step.set_canary_scale.is_some(), "setCanaryScale"),
        (step.analysis.is_some(), "analysis"),
        (step.set_header_route.is_some(), "setHeaderRoute"),
        (step.set_mirror_route.is_some(), "setMirrorRoute"),
    ];
    let named = named.iter().find(|(is, _)| *is).map_or("job", |(_, name)| name);
    named.to_owned()
}

fn pausing(pause: &Pause) -> String {
    match (pause.duration, pause.timeout) {
        (Some(duration), _) => format!("pause for {duration}"),
        (None, Some(timeout)) => format!("pause until somebody promotes, at most {timeout}"),
        (None, None) => "pause until somebody promotes".to_owned(),
    }
}

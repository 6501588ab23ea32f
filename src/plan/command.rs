//! Commands: each is applied once, and only to the revision that its writer saw.

use std::collections::BTreeMap;

use super::{Draft, Write, identify, messages, outcome, restart, runs, step};
use crate::{
    api::{AbortCause, Command, CommandRecord, PauseReason, PauseStatus, Step, Verb},
    world::World,
};

/// Applies the waiting command, if there is one, and plans its removal.
pub(super) fn apply(world: &World, draft: &mut Draft) {
    let Some(command) = &world.rollout.command else { return };
    let command = match command {
        Ok(command) => command,
        Err(error) => {
            draft.note(messages::command_unreadable(error));
            clear(draft, "it is no command");
            return;
        }
    };
    let done = draft.status.last_command.as_ref().is_some_and(|last| last.id == command.id);
    if !done {
        let outcome = carry_out(world, draft, command);
        let (accepted, message) = match outcome {
            Ok(message) => (true, message),
            Err(message) => (false, message),
        };
        draft.note(messages::command(command, accepted, &message));
        draft.status.last_command = Some(CommandRecord {
            id: command.id.clone(),
            verb: command.verb,
            by: command.by.clone(),
            accepted,
            message,
            at: world.now,
        });
    }
    clear(draft, "the command is recorded in the status");
}

/// Right after the status: a later write that is refused must keep no command waiting, or its writer.
fn clear(draft: &mut Draft, why: &str) {
    draft.actions.push(super::Action { write: Write::ClearCommand, why: why.to_owned() });
}

/// Carries a command out in the status. `Err` is the sentence that refuses it.
fn carry_out(world: &World, draft: &mut Draft, command: &Command) -> Result<String, String> {
    if command.revision != draft.target {
        return Err(messages::other_revision(&command.revision, &draft.target));
    }
    let by = if command.by.is_empty() { "somebody" } else { &command.by };
    let releasing = draft.stable.is_some() && draft.in_release();
    let aborted = draft.status.abort.is_some();
    match command.verb {
        Verb::Abort if !releasing => Err("no update in progress, nothing to abort".into()),
        Verb::Abort if aborted => Err("the release is aborted already".into()),
        Verb::Abort => {
            let reason =
                if command.reason.is_empty() { "aborted by command" } else { &command.reason };
            outcome::abort(world, draft, AbortCause::Command, by, reason);
            Ok(messages::abort_accepted(draft.stable.as_deref()))
        }
        Verb::Restart => restart_pods(world, draft),
        Verb::Resume if draft.status.contest.is_some() => resume(draft),
        _ if !releasing => Err("no release in progress, nothing to do".into()),
        Verb::PromoteFull => {
            if aborted {
                start_again(world, draft);
            }
            draft.status.promote_full = true;
            draft.status.pauses.clear();
            draft.status.contest = None;
            Ok("all remaining steps and analysis are skipped".into())
        }
        Verb::Retry if !aborted => Err("the release is not aborted, nothing to retry".into()),
        Verb::Retry => {
            start_again(world, draft);
            draft.note(messages::retried(&draft.target, draft.status.attempt, by));
            Ok(messages::retry_accepted(draft.status.attempt))
        }
        _ if aborted => Err("the release is aborted; use retry, or promote --full".into()),
        Verb::Promote => promote(world, draft),
        Verb::SkipStep => skip(world, draft),
        Verb::Pause => pause(world, draft, by),
        Verb::Resume => resume(draft),
    }
}

/// All pods are to be newer than now.
fn restart_pods(world: &World, draft: &mut Draft) -> Result<String, String> {
    if draft.stable.is_none() {
        return Err("the first deployment is under way, nothing to restart".into());
    }
    draft.status.restart_at = Some(restart::whole_second(world.now));
    Ok("all pods are replaced, one after the other".into())
}

/// Leaves the present step, whatever it waits for.
fn skip(world: &World, draft: &mut Draft) -> Result<String, String> {
    let steps = world.program.steps.len();
    let at = step::index(world, draft);
    if at >= steps {
        return Err("all steps are done, the promotion is under way".into());
    }
    runs::accept_background(draft);
    step::next(world, draft);
    Ok(messages::step_skipped(at, steps))
}

fn start_again(world: &World, draft: &mut Draft) {
    draft.status.attempt += 1;
    let attempt = draft.status.attempt;
    identify::reset(world, &mut draft.status);
    if let Some(record) = draft.status.history.first_mut() {
        record.outcome = None;
        record.ended_at = None;
        record.by.clear();
        record.reason.clear();
        record.attempt = attempt;
    }
}

/// Ends what the release waits for: a pause, an analysis step, an inconclusive verdict, a contest.
fn promote(world: &World, draft: &mut Draft) -> Result<String, String> {
    let steps = &world.program.steps;
    let at = step::index(world, draft);
    let inconclusive =
        draft.status.pauses.iter().any(|pause| pause.reason == PauseReason::Inconclusive);
    let contested = draft.status.contest.take().is_some();
    let waits_for_person = |step: &Step| {
        [step.pause.is_some(), step.hold.is_some(), step.analysis.is_some(), step.job.is_some()]
            .contains(&true)
    };
    let Some(step) = steps.get(at) else {
        if inconclusive {
            runs::accept_background(draft);
            return Ok("the inconclusive analysis is accepted".into());
        }
        return Err("all steps are done, the promotion is under way".into());
    };
    if inconclusive {
        runs::accept_background(draft);
    }
    if waits_for_person(&step.step) {
        step::next(world, draft);
        return Ok(messages::step_ended(at, steps.len()));
    }
    if inconclusive || contested {
        return Ok("the release goes on".into());
    }
    Err(messages::nothing_to_promote(at, steps.len()))
}

fn pause(world: &World, draft: &mut Draft, by: &str) -> Result<String, String> {
    if draft.status.pauses.iter().any(|pause| pause.reason == PauseReason::Command) {
        return Err("the release is paused already".into());
    }
    draft.status.pauses.push(PauseStatus {
        reason: PauseReason::Command,
        started_at: world.now,
        by: by.to_owned(),
        canary_requests: BTreeMap::new(),
    });
    Ok("the release holds before its next step".into())
}

fn resume(draft: &mut Draft) -> Result<String, String> {
    let before = draft.status.pauses.len();
    draft.status.pauses.retain(|pause| pause.reason != PauseReason::Command);
    let contested = draft.status.contest.take().is_some();
    if before == draft.status.pauses.len() && !contested {
        return Err("the release is not paused by a command".into());
    }
    Ok("the release goes on".into())
}

//! How a release ends: promoted, aborted, or at its deadline.

use super::{Draft, identify, messages};
use crate::{
    api::{AbortCause, AbortStatus, Outcome, Pause, ProgressStatus, RetiringRevision, Verb},
    world::World,
};

/// The target is the stable revision from now on.
pub(super) fn complete(world: &World, draft: &mut Draft, reason: &str) {
    let target = draft.target.clone();
    let status = &mut draft.status;
    let begun = status.history.first().map(|release| release.started_at);
    let by = status.last_command.as_ref().filter(|command| {
        status.promote_full && command.verb == Verb::PromoteFull && Some(command.at) >= begun
    });
    let (by, reason) = match by {
        Some(command) => (command.by.clone(), format!("promoted in full by {}", command.by)),
        None if status.promote_full => {
            ("sluice".to_owned(), "went back to what was stable before".to_owned())
        }
        None => ("sluice".to_owned(), reason.to_owned()),
    };
    identify::end_record(world, status, Outcome::Promoted, &by, &reason);
    if let Some(old) = status.stable_revision.replace(target.clone())
        && world.revision(&old).is_some_and(|set| set.replicas > 0)
    {
        let at = world.program.scale_down_delay.after(world.now);
        status.retiring.retain(|retiring| retiring.revision != old);
        status.retiring.push(RetiringRevision { revision: old, scale_down_at: Some(at) });
        draft.next_check = Some(draft.next_check.map_or(at, |earlier| earlier.min(at)));
    }
    let status = &mut draft.status;
    status.step = Some(identify::step_status(world.program.steps.len(), world));
    status.pauses.clear();
    status.promote_full = false;
    status.progress = None;
    status.contest = None;
    draft.wait = None;
    let note = messages::completed(status.revision, &target, &reason);
    draft.note(note);
    draft.stable = Some(target);
}

/// Runs the progress deadline while pods are missing. Returns true if it aborted the release.
pub(super) fn track_progress(world: &World, draft: &mut Draft, short: bool, wanted: u32) -> bool {
    if !short {
        draft.status.progress = None;
        return false;
    }
    let available = i32::try_from(world.available(&draft.target)).unwrap_or(i32::MAX);
    let progress = match draft.status.progress {
        Some(progress) if available <= progress.available => progress,
        _ => ProgressStatus { at: world.now, available },
    };
    draft.status.progress = Some(progress);
    for pod in world.revision(&draft.target).into_iter().flat_map(|set| &set.pods) {
        if let Some(at) = pod.available_at(world.min_ready()).filter(|at| *at > world.now) {
            draft.check_at(at);
        }
    }
    let deadline = world.rollout.spec.progress_deadline.after(progress.at);
    if deadline > world.now {
        draft.check_at(deadline);
        return false;
    }
    if draft.stable.is_some() && world.rollout.spec.progress_deadline_abort {
        let reason = messages::deadline(world, &draft.target, wanted);
        abort(world, draft, AbortCause::Deadline, "sluice", &reason);
        return true;
    }
    false
}

/// Aborts the release in the status; traffic follows in this very pass.
pub(super) fn abort(world: &World, draft: &mut Draft, cause: AbortCause, by: &str, reason: &str) {
    let status = &mut draft.status;
    status.abort =
        Some(AbortStatus { at: world.now, by: by.to_owned(), reason: reason.to_owned(), cause });
    status.promote_full = false;
    status.pauses.clear();
    status.progress = None;
    identify::end_record(world, status, Outcome::Aborted, by, reason);
    let delay = world.program.abort_scale_down_delay;
    let target = draft.target.clone();
    status.retiring.retain(|retiring| retiring.revision != target);
    status.retiring.push(RetiringRevision {
        revision: target.clone(),
        scale_down_at: (!delay.0.is_zero()).then(|| delay.after(world.now)),
    });
    if !delay.0.is_zero() {
        let at = delay.after(world.now);
        draft.next_check = Some(draft.next_check.map_or(at, |earlier| earlier.min(at)));
    }
    draft.wait = None;
    draft.note(messages::aborted(&target, by, reason));
}

/// Aborts because nobody answered a pause in time.
pub(super) fn abort_for_timeout(world: &World, draft: &mut Draft, pause: &Pause) {
    let reason = messages::pause_timed_out(pause);
    abort(world, draft, AbortCause::PauseTimeout, "sluice", &reason);
}

//! `promote`: ends the pause or analysis step; with `--full`, skips all that is left.

use crate::api::{Phase, Rollout, Verb};

use super::{
    command::{Change, Decision},
    exit::Failure,
    state::{self, Release},
};

/// What `promote` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Aborted => Err(Failure::plain(
            "the release was aborted; `retry` starts it again at its first step, `promote --full` skips all steps and analysis",
        )),
        Release::Complete | Release::Unseen => Ok(complete(rollout)),
        Release::Running => match steps_left(rollout) {
            Err(of) => Err(Failure::plain(format!(
                "all {of} steps are done, and no pause is left to end; the release completes by itself (`promote --full` skips what analysis still runs)"
            ))),
            Ok(()) => Ok(Decision::write_and_unpause(Verb::Promote, rollout)),
        },
    }
}

/// What `promote --full` does.
pub fn decide_full(rollout: &Rollout) -> Result<Decision, Failure> {
    let skipping = rollout.status.as_ref().is_some_and(|status| status.promote_full);
    Ok(match state::release(rollout) {
        Release::Complete | Release::Unseen => complete(rollout),
        Release::Running if skipping && !rollout.spec.paused => {
            Decision::idle("all steps are being skipped already")
        }
        Release::Running | Release::Aborted => {
            Decision::write_and_unpause(Verb::PromoteFull, rollout)
        }
    })
}

/// What `promote --skip-current-step` does.
pub fn decide_skip(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Running => Ok(Decision::write(Verb::SkipStep)),
        Release::Aborted => decide(rollout),
        Release::Complete | Release::Unseen => Ok(complete(rollout)),
    }
}

/// There is no release. A Rollout that `spec.paused` holds is let go; one that is merely healthy
/// is not, because a person who promotes a past release does not mean the next one.
fn complete(rollout: &Rollout) -> Decision {
    let phase = rollout.status.as_ref().and_then(|status| status.phase);
    match (rollout.spec.paused, phase) {
        (true, Some(Phase::Paused)) => Decision::Write(Change { verb: None, clear_paused: true }),
        (true, _) => Decision::idle(
            "the newest revision is already fully promoted; spec.paused is set and will hold the next release (`resume` clears it)",
        ),
        (false, _) => Decision::idle("the newest revision is already fully promoted"),
    }
}

/// Whether there is anything that a promote can end; else the number of steps, all done.
fn steps_left(rollout: &Rollout) -> Result<(), i32> {
    let Some(status) = rollout.status.as_ref() else {
        return Ok(());
    };
    match &status.step {
        Some(step)
            if step.index >= step.of
                && status.pauses.is_empty()
                && !state::contested(rollout)
                && !rollout.spec.paused =>
        {
            Err(step.of)
        }
        _ => Ok(()),
    }
}

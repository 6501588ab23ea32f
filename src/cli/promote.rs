//! `promote`: ends the pause or analysis step; with `--full`, skips all that is left; with
//! `--skip-current-step`, only the present step.

use crate::{
    api::{Phase, Rollout, Verb},
    world::Program,
};

use super::{
    args::Promote,
    command::{Change, Decision},
    exit::Failure,
    state::{self, Release},
};

/// The verb that the flags ask for.
///
/// # Errors
/// The flags contradict each other.
pub fn verb(args: &Promote) -> Result<Verb, Failure> {
    match (args.full, args.skip_current_step) {
        (true, true) => Err(Failure::usage(
            "--full skips all steps that are left, --skip-current-step only the present one; leave one of them out",
        )),
        (true, false) => Ok(Verb::PromoteFull),
        (false, true) => Ok(Verb::SkipStep),
        (false, false) => Ok(Verb::Promote),
    }
}

/// What `promote` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Aborted => Err(aborted()),
        Release::Complete | Release::Unseen => Ok(complete(rollout)),
        Release::Running => match no_step(rollout).filter(|_| !is_held(rollout)) {
            Some(why) => Err(Failure::plain(why)),
            None => Ok(Decision::write_and_unpause(Verb::Promote, rollout)),
        },
    }
}

/// What `promote --full` does.
pub fn decide_full(rollout: &Rollout) -> Result<Decision, Failure> {
    Ok(match state::release(rollout) {
        Release::Complete | Release::Unseen => complete(rollout),
        Release::Running if is_skipping(rollout) && !rollout.spec.paused => skipping(),
        Release::Running | Release::Aborted => {
            Decision::write_and_unpause(Verb::PromoteFull, rollout)
        }
    })
}

/// What `promote --skip-current-step` does. A release that somebody holds stays held.
pub fn decide_skip(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Aborted => Err(aborted()),
        Release::Complete | Release::Unseen => Ok(complete(rollout)),
        Release::Running if is_skipping(rollout) => Ok(skipping()),
        Release::Running => match no_step(rollout) {
            Some(why) => Err(Failure::plain(why)),
            None => Ok(Decision::write(Verb::SkipStep)),
        },
    }
}

fn aborted() -> Failure {
    Failure::plain(
        "the release was aborted; `retry` starts it again at its first step, `promote --full` skips all steps and analysis",
    )
}

fn is_skipping(rollout: &Rollout) -> bool {
    rollout.status.as_ref().is_some_and(|status| status.promote_full)
}

fn skipping() -> Decision {
    Decision::idle("all steps are being skipped already")
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

/// Why there is no step to leave, if there is none.
fn no_step(rollout: &Rollout) -> Option<String> {
    let status = rollout.status.as_ref()?;
    if status.stable_revision.is_none() {
        return Some(
            "this is the first deployment, which has no steps; it completes by itself once its pods are available".to_owned(),
        );
    }
    let step = status.step.as_ref().filter(|step| step.index >= step.of)?;
    let strategy = Program::new(&rollout.spec).strategy.field();
    let what = match step.of {
        0 => format!("this {strategy} release has no steps"),
        of => format!("all {of} steps are done, and no pause is left to end"),
    };
    Some(format!(
        "{what}; the release completes by itself (`promote --full` skips what analysis still runs)"
    ))
}

/// Whether something other than a step holds the release, which a promote ends.
fn is_held(rollout: &Rollout) -> bool {
    let paused = rollout.status.as_ref().is_some_and(|status| !status.pauses.is_empty());
    paused || state::contested(rollout) || rollout.spec.paused
}

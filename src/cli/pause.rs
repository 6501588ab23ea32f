//! `pause`: holds the release before its next step.

use crate::api::{PauseReason, Rollout, Verb};

use super::{
    command::Decision,
    exit::Failure,
    state::{self, Release},
};

/// What `pause` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Aborted => Err(Failure::plain(
            "the release was aborted, so there is nothing to hold; `retry` starts it again",
        )),
        Release::Complete | Release::Unseen => Err(Failure::plain(
            "no release in progress, so there is nothing to hold; to hold the next one, set spec.paused: true",
        )),
        Release::Running if state::held(rollout, PauseReason::Command) => {
            Ok(Decision::idle("the release is already held; `resume` goes on"))
        }
        Release::Running if rollout.spec.paused => {
            Ok(Decision::idle("the release is already held by spec.paused; `resume` goes on"))
        }
        Release::Running => Ok(Decision::write(Verb::Pause)),
    }
}

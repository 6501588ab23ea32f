//! `retry`: starts an aborted release again at its first step.

use crate::api::{Rollout, Verb};

use super::{
    command::Decision,
    exit::Failure,
    state::{self, Release},
};

/// What `retry` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    match state::release(rollout) {
        Release::Aborted => Ok(Decision::write(Verb::Retry)),
        Release::Running => Err(Failure::plain(
            "the release is not aborted but in progress, so there is nothing to retry; `promote` ends a pause, `abort` rolls back",
        )),
        Release::Complete | Release::Unseen => Err(Failure::plain(
            "there is no aborted release to retry: the newest revision is stable; apply a new version to start a release",
        )),
    }
}

//! `restart`: replaces all pods, one after the other, without a release.

use crate::api::{Rollout, Verb};

use super::{
    command::Decision,
    exit::Failure,
    state::{self, Release},
};

/// What `restart` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    let stable = rollout.status.as_ref().is_some_and(|status| status.stable_revision.is_some());
    match state::release(rollout) {
        Release::Unseen => Err(Failure::plain(
            "the controller has not looked at this Rollout yet, so there are no pods to restart",
        )),
        _ if !stable => {
            Err(Failure::plain("the first deployment is under way, so there is nothing to restart"))
        }
        _ => Ok(Decision::write(Verb::Restart)),
    }
}

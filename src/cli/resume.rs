//! `resume`: ends a `pause`, and clears `spec.paused`.

use crate::api::{PauseReason, Rollout, Verb};

use super::{
    command::{Change, Decision},
    exit::Failure,
    state::{self, Release},
};

/// What `resume` does.
pub fn decide(rollout: &Rollout) -> Result<Decision, Failure> {
    let release = state::release(rollout);
    let running = release == Release::Running;
    // A command would be refused where nothing but the spec is in the way.
    let commanded = state::held(rollout, PauseReason::Command) || state::contested(rollout);
    if running && commanded {
        return Ok(Decision::write_and_unpause(Verb::Resume, rollout));
    }
    if rollout.spec.paused {
        return Ok(Decision::Write(Change { verb: None, clear_paused: true }));
    }
    match release {
        Release::Aborted => Err(Failure::plain(
            "the release was aborted, not paused; `retry` starts it again at its first step",
        )),
        Release::Running if state::held(rollout, PauseReason::Inconclusive) => Err(Failure::plain(
            "the analysis was inconclusive and asks for a decision: `promote` goes on all the same, `abort` rolls back",
        )),
        Release::Running if state::held(rollout, PauseReason::Step) => Err(Failure::plain(
            "the release waits in a pause step, which `promote` ends; `resume` ends only what `pause` or spec.paused began",
        )),
        _ => Ok(Decision::idle("nothing is paused")),
    }
}

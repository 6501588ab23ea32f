//! `abort`: back to the stable revision.

use crate::api::{Rollout, Verb};

use super::{
    command::Decision,
    state::{self, Release, Waiting},
};

/// What `abort` does.
pub fn decide(rollout: &Rollout) -> Decision {
    match state::release(rollout) {
        Release::Complete | Release::Unseen => {
            Decision::Nothing("no release in progress".to_owned())
        }
        Release::Running if is_first(rollout) => Decision::Nothing(
            "no release in progress: this is the first deployment, and there is no stable revision to go back to".to_owned(),
        ),
        Release::Running => Decision::write(Verb::Abort),
        Release::Aborted if about_to_leave(rollout) => Decision::write(Verb::Abort),
        Release::Aborted => {
            let abort = rollout
                .status
                .as_ref()
                .and_then(|status| status.abort.as_ref());
            let (who, why) = abort.map_or(("", ""), |abort| (&abort.by, &abort.reason));
            Decision::idle(&format!("already aborted by {}: {why}", state::by(who)))
        }
    }
}

fn is_first(rollout: &Rollout) -> bool {
    let status = rollout.status.as_ref();
    status.is_some_and(|status| status.stable_revision.is_none())
}

/// Whether a command waits that would end the abort.
fn about_to_leave(rollout: &Rollout) -> bool {
    match state::waiting(rollout) {
        Some(Waiting::Command(command)) => command.verb != Verb::Abort,
        Some(Waiting::Unreadable) | None => false,
    }
}

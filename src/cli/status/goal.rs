//! What `status` waits for, and whether that has come. Pure.

use std::str::FromStr;

use crate::api::{Phase, Rollout};

use super::super::{
    exit::Exit,
    state::{self, Release},
};

/// What `--for` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The end of the release or a person's turn: `--watch`.
    Turn,
    /// The end of the release; pauses are waited out.
    Completed,
    /// The newest revision is stable and has all its pods.
    Healthy,
    /// A pause of any kind.
    Paused,
    /// The beginning of this step, counted from 1, or what comes after it.
    Step(i32),
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "found `{text}`, allowed are completed, healthy, paused and step=N with N from 1"
            )
        };
        match text.split_once('=') {
            None => match text {
                "completed" => Ok(Self::Completed),
                "healthy" => Ok(Self::Healthy),
                "paused" => Ok(Self::Paused),
                _ => Err(wrong()),
            },
            Some(("step", number)) => {
                let number = number.parse().ok().filter(|number| *number >= 1);
                number.map(Self::Step).ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }
}

/// How the waiting ends with this state of the Rollout; none: it goes on. `exit` is the state's own
/// exit code.
pub fn reached(goal: Goal, rollout: &Rollout, exit: Exit) -> Option<Exit> {
    // No verdict yet on what was asked for last, or a release that cannot go on by itself.
    let seen = state::observed(rollout) && state::waiting(rollout).is_none();
    if matches!(exit, Exit::Aborted | Exit::Degraded) {
        return Some(exit);
    }
    let status = rollout.status.as_ref().filter(|_| seen);
    let running = state::release(rollout) == Release::Running;
    match goal {
        Goal::Turn => (exit != Exit::InProgress).then_some(exit),
        Goal::Completed | Goal::Healthy => (exit == Exit::Done).then_some(exit),
        Goal::Paused => {
            let paused = status.is_some_and(|status| status.phase == Some(Phase::Paused));
            match exit {
                _ if paused => Some(Exit::Done),
                // The release went to its end without a pause.
                Exit::Done => Some(Exit::Failed),
                _ => None,
            }
        }
        Goal::Step(number) => {
            let index = status.and_then(|status| status.step.as_ref()).map(|step| step.index);
            let there = running && index.is_some_and(|index| index.saturating_add(1) >= number);
            (there || exit == Exit::Done).then_some(Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{aborted, healthy, paused, rolling};

    #[test]
    fn goals_are_read_or_refused_with_what_is_allowed() {
        assert_eq!("step=3".parse(), Ok(Goal::Step(3)));
        assert_eq!("completed".parse(), Ok(Goal::Completed));
        for wrong in ["done", "step", "step=0", "step=last", "weight=20"] {
            let error = wrong.parse::<Goal>().unwrap_err();
            assert!(error.contains(&format!("found `{wrong}`, allowed are")), "{error}");
        }
    }

    #[test]
    fn each_goal_has_its_end() {
        let goals = [
            Goal::Turn,
            Goal::Completed,
            Goal::Healthy,
            Goal::Paused,
            Goal::Step(2),
            Goal::Step(3),
        ];
        for (what, rollout, ends) in [
            (
                "waiting for a person",
                paused(),
                [Some(Exit::Waiting), None, None, Some(Exit::Done), Some(Exit::Done), None],
            ),
            (
                "healthy",
                healthy(),
                [
                    Some(Exit::Done),
                    Some(Exit::Done),
                    Some(Exit::Done),
                    Some(Exit::Failed),
                    Some(Exit::Done),
                    Some(Exit::Done),
                ],
            ),
            ("aborted", aborted(), [Some(Exit::Aborted); 6]),
            ("in progress", rolling(), [None; 6]),
        ] {
            let exit = state::exit_code(&rollout);
            let found = goals.map(|goal| reached(goal, &rollout, exit));
            assert_eq!(found, ends, "{what}");
        }
    }

    #[test]
    fn what_was_asked_for_last_is_waited_for() {
        let mut newer = paused();
        newer.metadata.generation = Some(9);
        let exit = state::exit_code(&newer);
        assert_eq!(reached(Goal::Step(2), &newer, exit), None);
        assert_eq!(reached(Goal::Paused, &newer, exit), None);
    }
}

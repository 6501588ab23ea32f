//! How a Rollout stands, read from the object alone: the exit code of `status`, its one line, and
//! what a person may do next. Pure.

use jiff::Timestamp;

use crate::{
    api::{COMMAND_ANNOTATION, Command, PauseReason, Phase, Rollout, RolloutStatus, Step, Weights},
    world::{Program, StrategyKind},
};

use super::{exit::Exit, strategy};

pub use super::steps::describe;

/// Where the newest revision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The controller has not looked at the Rollout yet.
    Unseen,
    /// No release is in progress: the newest revision is stable.
    Complete,
    /// A release is in progress.
    Running,
    /// The newest revision was aborted.
    Aborted,
}

/// Where the newest revision stands.
pub fn release(rollout: &Rollout) -> Release {
    let Some(status) = rollout.status.as_ref() else {
        return Release::Unseen;
    };
    match (&status.current_revision, &status.stable_revision) {
        (None, _) => Release::Unseen,
        _ if status.abort.is_some() => Release::Aborted,
        (current, stable) if current == stable => Release::Complete,
        _ => Release::Running,
    }
}

/// Whether the status speaks of the newest spec.
pub fn observed(rollout: &Rollout) -> bool {
    let seen = rollout.status.as_ref().and_then(|status| status.observed_generation);
    seen >= rollout.metadata.generation && seen.is_some()
}

/// A command that the controller has not carried out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The command.
    Command(Command),
    /// An annotation that is no command.
    Unreadable,
}

/// The command that waits on the Rollout, if one does.
pub fn waiting(rollout: &Rollout) -> Option<Waiting> {
    let annotations = rollout.metadata.annotations.as_ref()?;
    let text = annotations.get(COMMAND_ANNOTATION)?;
    let Ok(command) = serde_json::from_str::<Command>(text) else {
        return Some(Waiting::Unreadable);
    };
    // The controller records a command before it removes the annotation.
    let last = rollout.status.as_ref().and_then(|status| status.last_command.as_ref());
    let done = last.is_some_and(|last| last.id == command.id);
    (!done).then_some(Waiting::Command(command))
}

/// The step that the release is in, as the spec has it.
pub fn current_step(rollout: &Rollout) -> Option<Step> {
    let step = rollout.status.as_ref()?.step.as_ref()?;
    let index = usize::try_from(step.index).ok()?;
    Program::new(&rollout.spec).step(index).cloned()
}

/// Whether a pause of this kind holds the release.
pub fn held(rollout: &Rollout, reason: PauseReason) -> bool {
    let pauses = rollout.status.as_ref().map_or(&[][..], |status| &status.pauses);
    pauses.iter().any(|pause| pause.reason == reason)
}

/// Whether somebody else's writes of the weights hold the release.
pub fn contested(rollout: &Rollout) -> bool {
    let contest = rollout.status.as_ref().and_then(|status| status.contest.as_ref());
    contest.is_some()
}

/// The instant before which pods are replaced, if a restart is asked for and not done.
pub fn restart(rollout: &Rollout) -> Option<Timestamp> {
    let status = rollout.status.as_ref()?;
    let asked = status.restart_at.into_iter().chain(rollout.spec.restart_at).max()?;
    let done = status.restarted_at.is_some_and(|done| done >= asked);
    (!done && status.stable_revision.is_some()).then_some(asked)
}

/// Whether a command `restart` is being carried out.
fn is_restarting(rollout: &Rollout) -> bool {
    let commanded = rollout.status.as_ref().and_then(|status| status.restart_at);
    commanded.is_some() && restart(rollout) == commanded
}

/// The images of the newest revision: of the template, or, where the workload has it, as the
/// controller recorded them.
pub fn images(rollout: &Rollout) -> Vec<String> {
    if rollout.spec.template.is_some() {
        return rollout.spec.images();
    }
    let history = rollout.status.as_ref().and_then(|status| status.history.first());
    history.map(|release| release.images.clone()).unwrap_or_default()
}

/// The exit code of `status`.
pub fn exit_code(rollout: &Rollout) -> Exit {
    let Some(status) = rollout.status.as_ref() else {
        return Exit::InProgress;
    };
    // What stands there is about to change: it is no verdict on what was just asked for.
    let deleted = rollout.metadata.deletion_timestamp.is_some();
    if deleted || !observed(rollout) || waiting(rollout).is_some() {
        return Exit::InProgress;
    }
    if status.abort.is_some() {
        return Exit::Aborted;
    }
    match status.phase {
        None | Some(Phase::Progressing) => Exit::InProgress,
        Some(Phase::Healthy) => Exit::Done,
        Some(Phase::Degraded) => Exit::Degraded,
        Some(Phase::Paused) if waits_for_time(rollout) => Exit::InProgress,
        Some(Phase::Paused) => Exit::Waiting,
    }
}

/// Whether nothing but a pause with a duration holds the release.
fn waits_for_time(rollout: &Rollout) -> bool {
    let timed = current_step(rollout)
        .and_then(|step| step.pause)
        .is_some_and(|pause| pause.duration.is_some());
    timed
        && !rollout.spec.paused
        && !held(rollout, PauseReason::Command)
        && !held(rollout, PauseReason::Inconclusive)
}

/// The phase as text.
pub fn phase(rollout: &Rollout) -> String {
    let phase = rollout.status.as_ref().and_then(|status| status.phase);
    phase.map_or_else(|| "Unknown".to_owned(), |phase| phase.to_string())
}

/// What the Rollout waits for; where the controller is behind, that comes first.
pub fn message(rollout: &Rollout) -> String {
    let said = rollout.status.as_ref().map_or("", |status| status.message.trim());
    if rollout.metadata.deletion_timestamp.is_some() {
        // The controller says what the deletion waits for, once it has looked.
        let told = said.starts_with("the Rollout is being deleted");
        return if told { said.to_owned() } else { join("being deleted", said) };
    }
    if let Some(waiting) = waiting(rollout) {
        let what = match waiting {
            Waiting::Command(command) => format!("`{}` by {}", command.verb, by(&command.by)),
            Waiting::Unreadable => "an unreadable command".to_owned(),
        };
        return join(&format!("{what} waits for the controller"), said);
    }
    match rollout.status.as_ref().and_then(|status| status.observed_generation) {
        None => join("the controller has not looked at it yet; is it running?", said),
        Some(_) if !observed(rollout) => {
            join("the controller has not looked at the newest spec yet", said)
        }
        Some(_) => said.to_owned(),
    }
}

fn join(first: &str, said: &str) -> String {
    if said.is_empty() { first.to_owned() } else { format!("{first}; before that: {said}") }
}

/// A user name, or `somebody` where none was noted.
pub fn by(user: &str) -> &str {
    if user.is_empty() { "somebody" } else { user }
}

/// A revision hash of the status, or a word where it has none yet.
pub fn revision(status: &RolloutStatus) -> &str {
    status.current_revision.as_deref().unwrap_or("unknown")
}

/// The Rollout in one line.
pub fn line(rollout: &Rollout) -> String {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let mut text = format!("{name}: {}", phase(rollout));
    // The step is in the controller's message.
    if let Some(standing) = strategy::standing(rollout) {
        text.push_str(", ");
        text.push_str(&standing);
    }
    if is_restarting(rollout) {
        text.push_str(", restarting pods");
    }
    let message = message(rollout);
    if !message.is_empty() {
        text.push_str(": ");
        text.push_str(&message);
    }
    text
}

/// What a person may do now, if it is a person's turn.
pub fn next_step(rollout: &Rollout) -> Option<&'static str> {
    match exit_code(rollout) {
        Exit::Aborted => Some(
            "`retry` starts again at the first step, `promote --full` skips the steps; or apply a fixed version",
        ),
        Exit::Waiting if rollout.spec.paused || held(rollout, PauseReason::Command) => {
            Some("`resume` goes on, `abort` rolls back")
        }
        Exit::Waiting if held(rollout, PauseReason::Inconclusive) => {
            Some("the analysis could not tell: `promote` goes on all the same, `abort` rolls back")
        }
        Exit::Waiting if Program::new(&rollout.spec).strategy == StrategyKind::BlueGreen => {
            Some("`promote` goes on to the switch, `abort` gives the new revision up")
        }
        Exit::Waiting => {
            Some("`promote` goes on, `promote --full` skips all steps, `abort` rolls back")
        }
        Exit::Degraded if contested(rollout) => {
            Some("stop the other writer, then `resume`; `abort` rolls back")
        }
        Exit::Degraded if release(rollout) == Release::Running => {
            Some("`abort` rolls back to stable")
        }
        _ => None,
    }
}

/// The canary's weight: percent, and where the weights sum to something else the parts as well.
pub fn share(weights: Weights) -> String {
    part(weights.canary, weights)
}

/// One of the two weights, likewise.
pub fn part(weight: i32, weights: Weights) -> String {
    match weights.stable.saturating_add(weights.canary) {
        100 => format!("{weight}%"),
        total => {
            let percent = f64::from(weight) * 100.0 / f64::from(total.max(1));
            // As many digits as tell one part from the next.
            let text = format!("{percent:.3}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            format!("{text}% ({weight} of {total})")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::Pause,
        cli::fixtures::{aborted, at_the_gate, healthy, paused, rolling, rollout},
    };

    #[test]
    fn exit_codes_of_every_state() {
        let with = |value, change: &dyn Fn(&mut Rollout)| {
            let mut rollout: Rollout = value;
            change(&mut rollout);
            Box::new(rollout)
        };
        let boxed = |rollout: Rollout| with(rollout, &|_| {});
        let status = |rollout: &mut Rollout| rollout.status.clone().unwrap_or_default();
        for (what, rollout, exit) in [
            ("healthy", boxed(healthy()), Exit::Done),
            ("aborted", boxed(aborted()), Exit::Aborted),
            ("pause step without a duration", boxed(paused()), Exit::Waiting),
            ("never seen", boxed(rollout(json!(null))), Exit::InProgress),
            (
                "healthy, but a newer spec",
                with(healthy(), &|rollout| rollout.metadata.generation = Some(9)),
                Exit::InProgress,
            ),
            (
                "timed pause",
                with(paused(), &|rollout| {
                    rollout.spec.strategy.canary.as_mut().unwrap().steps[1].pause = Some(Pause {
                        duration: Some(crate::api::Duration::from_secs(60)),
                        ..Pause::default()
                    });
                }),
                Exit::InProgress,
            ),
            (
                "timed pause, and held by the spec",
                with(paused(), &|rollout| {
                    rollout.spec.paused = true;
                    rollout.spec.strategy.canary.as_mut().unwrap().steps[1].pause = Some(Pause {
                        duration: Some(crate::api::Duration::from_secs(60)),
                        ..Pause::default()
                    });
                }),
                Exit::Waiting,
            ),
            ("blue-green's gate waits for a person", Box::new(at_the_gate(None)), Exit::Waiting),
            (
                "blue-green's gate opens by itself",
                Box::new(at_the_gate(Some("10m"))),
                Exit::InProgress,
            ),
            ("rolling", Box::new(rolling()), Exit::InProgress),
            (
                "rolling, and held by a person",
                with(rolling(), &|rollout| {
                    let status = rollout.status.as_mut().unwrap();
                    status.phase = Some(Phase::Paused);
                    let pause = json!({"reason": "Command", "startedAt": "2026-11-21T02:55:00Z"});
                    status.pauses.push(serde_json::from_value(pause).unwrap());
                }),
                Exit::Waiting,
            ),
            (
                "being deleted",
                with(healthy(), &|rollout| {
                    let time = json!("2026-11-21T02:59:00Z");
                    rollout.metadata.deletion_timestamp = serde_json::from_value(time).unwrap();
                }),
                Exit::InProgress,
            ),
            (
                "degraded without an abort",
                with(healthy(), &|rollout| {
                    let mut changed = status(rollout);
                    changed.phase = Some(Phase::Degraded);
                    rollout.status = Some(changed);
                }),
                Exit::Degraded,
            ),
            (
                "progressing",
                with(healthy(), &|rollout| {
                    let mut changed = status(rollout);
                    changed.phase = Some(Phase::Progressing);
                    rollout.status = Some(changed);
                }),
                Exit::InProgress,
            ),
            (
                "aborted, and a retry waits",
                with(aborted(), &|rollout| {
                    let waits = [(COMMAND_ANNOTATION.to_owned(), "{}".to_owned())];
                    rollout.metadata.annotations = Some(waits.into());
                }),
                Exit::InProgress,
            ),
        ] {
            assert_eq!(exit_code(&rollout), exit, "{what}");
        }
    }

    #[test]
    fn the_line_says_what_it_waits_for() {
        assert_eq!(
            line(&paused()),
            "checkout: Paused, canary 20%: step 2/4 (pause): waiting for a person"
        );
        assert_eq!(line(&healthy()), "checkout: Healthy: revision 2 is stable");
        assert_eq!(
            line(&rollout(json!(null))),
            "checkout: Unknown: the controller has not looked at it yet; is it running?"
        );
        let mut behind = healthy();
        behind.metadata.generation = Some(9);
        assert!(
            line(&behind)
                .contains("has not looked at the newest spec yet; before that: revision 2")
        );
    }
}

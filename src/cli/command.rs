//! What a command verb does to a Rollout that was just read: write, nothing, or refuse. Pure.
//!
//! In: the verb and the Rollout. Out: a [`Decision`], or a [`Failure`] with the sentence to show.
//! Only what is *clearly* idle is refused here; the controller decides about all else.

use crate::api::{Rollout, Verb};

use super::{
    abort,
    exit::Failure,
    pause, promote, restart, resume, retry,
    state::{self, Release, Waiting},
};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write this.
    Write(Change),
    /// Write nothing, and say why.
    Nothing(String),
}

/// What to write, in one patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The command; none where only the spec is in the way.
    pub verb: Option<Verb>,
    /// Whether `spec.paused` is cleared.
    pub clear_paused: bool,
}

impl Decision {
    /// Write the command `verb`.
    pub fn write(verb: Verb) -> Self {
        Self::Write(Change { verb: Some(verb), clear_paused: false })
    }

    /// Write the command `verb`, and clear `spec.paused` if it is set.
    pub fn write_and_unpause(verb: Verb, rollout: &Rollout) -> Self {
        Self::Write(Change { verb: Some(verb), clear_paused: rollout.spec.paused })
    }

    /// Nothing to do, because of `why`.
    pub fn idle(why: &str) -> Self {
        Self::Nothing(format!("nothing to do: {why}"))
    }
}

/// What `verb` does to `rollout`.
pub fn command_for(verb: Verb, rollout: &Rollout) -> Result<Decision, Failure> {
    if state::release(rollout) == Release::Unseen {
        return Err(Failure::plain(
            "the controller has not looked at this Rollout yet, so there is no revision to act on; see `kubectl sluice status`, and whether the controller runs",
        ));
    }
    if verb != Verb::Abort
        && let Some(waiting) = state::waiting(rollout)
    {
        return Err(Failure::plain(busy(&waiting)));
    }
    let decision = match verb {
        Verb::Promote => promote::decide(rollout),
        Verb::PromoteFull => promote::decide_full(rollout),
        Verb::Abort => Ok(abort::decide(rollout)),
        Verb::Retry => retry::decide(rollout),
        Verb::Pause => pause::decide(rollout),
        Verb::Resume => resume::decide(rollout),
        Verb::SkipStep => promote::decide_skip(rollout),
        Verb::Restart => restart::decide(rollout),
    };
    // A spec that the controller has not looked at may be a new release: then "no release" is no
    // answer, but a command on the release that everybody sees is.
    let writes = matches!(decision, Ok(Decision::Write(_)));
    if !writes && !state::observed(rollout) {
        return Err(Failure::plain(
            "the controller has not looked at the newest spec yet, so it is not clear which release this is about; try again in a moment, or see whether the controller runs",
        ));
    }
    decision
}

fn busy(waiting: &Waiting) -> String {
    let what = match waiting {
        Waiting::Command(command) => {
            format!("the command `{}` by {}", command.verb, state::by(&command.by))
        }
        Waiting::Unreadable => "an unreadable command".to_owned(),
    };
    format!(
        "{what} still waits for the controller, and nothing was written; try again when it is done (`abort` takes its place at once)"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{COMMAND_ANNOTATION, PauseReason},
        cli::{
            exit::Exit,
            fixtures::{aborted, healthy, paused, rollout},
        },
    };

    const WRITE: &str = "write";

    /// The decision in one word, or the sentence.
    fn decided(verb: Verb, rollout: &Rollout) -> String {
        match command_for(verb, rollout) {
            Ok(Decision::Write(change)) => {
                assert_eq!(change.verb.unwrap_or(verb), verb);
                match (change.verb, change.clear_paused) {
                    (Some(_), false) => WRITE.to_owned(),
                    (Some(_), true) => "write, unpause".to_owned(),
                    (None, _) => "unpause".to_owned(),
                }
            }
            Ok(Decision::Nothing(text)) => format!("nothing: {text}"),
            Err(failure) => {
                assert_eq!(failure.exit, Exit::Failed);
                format!("refuse: {}", failure.text)
            }
        }
    }

    fn changed(mut rollout: Rollout, change: impl Fn(&mut Rollout)) -> Rollout {
        change(&mut rollout);
        rollout
    }

    fn held(reason: PauseReason) -> Rollout {
        changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.pauses[0].reason = reason;
                if let Some(step) = status.step.as_mut() {
                    step.index = 2;
                }
            }
        })
    }

    fn spec_paused(rollout: Rollout) -> Rollout {
        changed(rollout, |rollout| rollout.spec.paused = true)
    }

    fn contested() -> Rollout {
        changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.pauses.clear();
                status.contest = Some(crate::api::Contest {
                    count: 3,
                    by: "argocd".into(),
                    object: "VirtualService shop/checkout".into(),
                });
            }
        })
    }

    fn first() -> Rollout {
        changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.stable_revision = None;
            }
        })
    }

    fn with_waiting(rollout: Rollout, verb: &str) -> Rollout {
        changed(rollout, |rollout| {
            let command = json!({"verb": verb, "revision": "7f9c", "by": "bob", "id": "1"});
            let annotation = [(COMMAND_ANNOTATION.to_owned(), command.to_string())];
            rollout.metadata.annotations = Some(annotation.into());
        })
    }

    fn check(table: Vec<(Verb, Rollout, &str)>) {
        for (verb, rollout, starts) in table {
            let found = decided(verb, &rollout);
            assert!(found.starts_with(starts), "{verb}: {found}, not {starts}");
        }
    }

    #[test]
    fn promote_and_abort_in_each_state() {
        let last_step = changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.pauses.clear();
                if let Some(step) = status.step.as_mut() {
                    step.index = 4;
                }
            }
        });
        let skipping = changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.promote_full = true;
            }
        });
        check(vec![
            (Verb::Promote, paused(), WRITE),
            (Verb::Promote, spec_paused(paused()), "write, unpause"),
            (Verb::Promote, held(PauseReason::Inconclusive), WRITE),
            (Verb::Promote, healthy(), "nothing: nothing to do: "),
            (Verb::Promote, spec_paused(healthy()), "nothing: nothing to do: "),
            (Verb::Promote, aborted(), "refuse: the release was aborted"),
            (Verb::Promote, last_step.clone(), "refuse: all 4 steps are done"),
            (Verb::Promote, spec_paused(last_step), "write, unpause"),
            (Verb::PromoteFull, paused(), WRITE),
            (Verb::PromoteFull, spec_paused(paused()), "write, unpause"),
            (Verb::PromoteFull, aborted(), WRITE),
            (Verb::PromoteFull, healthy(), "nothing: nothing to do: "),
            (Verb::PromoteFull, skipping.clone(), "nothing: nothing to do: "),
            (Verb::Abort, paused(), WRITE),
            (Verb::Abort, skipping, WRITE),
            (Verb::Abort, healthy(), "nothing: no release in progress"),
            (Verb::Abort, aborted(), "nothing: nothing to do: already aborted by alice"),
            (Verb::Abort, first(), "nothing: no release in progress: this is the first"),
        ]);
    }

    #[test]
    fn skip_and_restart_in_each_state() {
        let at_step = |index: i32, of: i32| {
            changed(paused(), |rollout| {
                if let Some(status) = rollout.status.as_mut() {
                    status.pauses.clear();
                    if let Some(step) = status.step.as_mut() {
                        (step.index, step.of) = (index, of);
                    }
                }
            })
        };
        let rolling = changed(at_step(0, 0), |rollout| {
            rollout.spec.strategy = serde_json::from_value(json!({"rolling": {}})).unwrap();
        });
        let skipping = changed(paused(), |rollout| {
            if let Some(status) = rollout.status.as_mut() {
                status.promote_full = true;
            }
        });
        check(vec![
            (Verb::SkipStep, paused(), WRITE),
            (Verb::SkipStep, at_step(0, 4), WRITE),
            // Whoever holds it holds it on.
            (Verb::SkipStep, spec_paused(paused()), WRITE),
            (Verb::SkipStep, held(PauseReason::Command), WRITE),
            (Verb::SkipStep, at_step(4, 4), "refuse: all 4 steps are done"),
            (Verb::SkipStep, spec_paused(at_step(4, 4)), "refuse: all 4 steps are done"),
            (Verb::SkipStep, rolling.clone(), "refuse: this rolling release has no steps"),
            (Verb::Promote, rolling, "refuse: this rolling release has no steps"),
            (Verb::SkipStep, skipping, "nothing: nothing to do: all steps are being skipped"),
            (Verb::SkipStep, aborted(), "refuse: the release was aborted"),
            (Verb::SkipStep, healthy(), "nothing: nothing to do: "),
            (Verb::SkipStep, first(), "refuse: this is the first deployment"),
            (Verb::Restart, healthy(), WRITE),
            (Verb::Restart, paused(), WRITE),
            (Verb::Restart, aborted(), WRITE),
            (Verb::Restart, first(), "refuse: the first deployment is under way"),
        ]);
    }

    #[test]
    fn retry_pause_and_resume_in_each_state() {
        check(vec![
            (Verb::Retry, aborted(), WRITE),
            (Verb::Retry, paused(), "refuse: the release is not aborted"),
            (Verb::Retry, healthy(), "refuse: there is no aborted release"),
            (Verb::Pause, paused(), WRITE),
            (Verb::Pause, held(PauseReason::Command), "nothing: nothing to do: "),
            (Verb::Pause, spec_paused(paused()), "nothing: nothing to do: "),
            (Verb::Pause, healthy(), "refuse: no release in progress"),
            (Verb::Pause, aborted(), "refuse: the release was aborted"),
            (Verb::Resume, held(PauseReason::Command), WRITE),
            (Verb::Resume, spec_paused(paused()), "unpause"),
            (Verb::Resume, spec_paused(held(PauseReason::Command)), "write, unpause"),
            (Verb::Resume, contested(), WRITE),
            (Verb::Resume, spec_paused(healthy()), "unpause"),
            (Verb::Resume, spec_paused(aborted()), "unpause"),
            (Verb::Resume, paused(), "refuse: the release waits in a pause step"),
            (Verb::Resume, held(PauseReason::Inconclusive), "refuse: the analysis"),
            (Verb::Resume, healthy(), "nothing: nothing to do: "),
            (Verb::Resume, aborted(), "refuse: the release was aborted"),
        ]);
    }

    #[test]
    fn only_an_abort_replaces_a_command_that_waits() {
        let busy = with_waiting(paused(), "promote");
        assert_eq!(decided(Verb::Abort, &busy), WRITE);
        for verb in [Verb::Promote, Verb::PromoteFull, Verb::Retry, Verb::Pause, Verb::Resume] {
            let found = decided(verb, &busy);
            assert!(found.contains("`promote` by bob still waits"), "{found}");
        }
        let carried_out = changed(busy, |rollout| {
            let record = json!({"id": "1", "verb": "promote", "accepted": true, "message": "", "at": "2026-11-21T03:00:00Z"});
            if let Some(status) = rollout.status.as_mut() {
                status.last_command = serde_json::from_value(record).unwrap();
            }
        });
        assert_eq!(decided(Verb::Promote, &carried_out), WRITE);
        let about_to_retry = with_waiting(aborted(), "retry");
        assert_eq!(decided(Verb::Abort, &about_to_retry), WRITE);
        let aborting = with_waiting(aborted(), "abort");
        assert!(decided(Verb::Abort, &aborting).starts_with("nothing"));
    }

    #[test]
    fn a_spec_not_yet_seen_is_not_called_idle() {
        let newer = |rollout| {
            changed(rollout, |rollout: &mut Rollout| {
                rollout.metadata.generation = Some(5);
            })
        };
        for verb in [Verb::Promote, Verb::PromoteFull, Verb::Abort, Verb::Retry] {
            let found = decided(verb, &newer(healthy()));
            assert!(found.contains("newest spec"), "{verb}: {found}");
        }
        assert_eq!(decided(Verb::Abort, &newer(paused())), WRITE);
        for verb in [Verb::Promote, Verb::Abort] {
            let found = decided(verb, &rollout(json!(null)));
            assert!(found.contains("has not looked at this Rollout"), "{found}");
        }
    }
}

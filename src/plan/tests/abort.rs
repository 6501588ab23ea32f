//! Releases that go back, or are overtaken.

use super::model::{Behaviour, Model, canary, rollout, steps, subset_rollout};
use crate::api::{AbortCause, Outcome, Phase, Verb};

#[test]
fn an_abort_is_one_write_away_from_stable() {
    let mut model = Model::paused_at(80);
    model.command(Verb::Abort);
    model.settle();
    let plan = model.look();
    let first = format!("{:?}", plan.actions[0].write);
    assert!(first.starts_with("EditRoute"), "the weight goes first: {first}");
    assert_eq!(model.canary_weight(), 0);
    assert_eq!(model.status().weights.map(|weights| weights.canary), Some(0), "and is shown");
    assert_eq!(model.phase(), Some(Phase::Degraded));
    let abort = model.status().abort.clone().expect("aborted");
    assert_eq!((abort.by.as_str(), abort.cause), ("ann", AbortCause::Command));
}

#[test]
fn an_aborted_canary_loses_its_service_then_its_pods_and_nothing_rises() {
    let mut model = Model::paused_at(80);
    let (canary, stable) = (model.current(), model.stable());
    model.command(Verb::Abort);
    model.run_for(1);
    assert_eq!(model.pointer("canary"), Some(canary.clone()), "not before the proxies follow");
    model.run_for(5);
    assert_eq!(model.pointer("canary"), Some(stable.clone()), "between releases it serves stable");
    assert_eq!(model.pods(&canary), 4, "kept for abortScaleDownDelay");
    model.run_for(60);
    assert_eq!((model.pods(&canary), model.pods(&stable)), (0, 4));
    assert_eq!(model.weights, [0]);
    assert_eq!(model.status().history[0].outcome, Some(Outcome::Aborted));
}

#[test]
fn with_a_delay_of_zero_the_aborted_canary_stays() {
    let mut model = Model::paused_at(50);
    model.edit_spec(|spec| {
        canary(spec).abort_scale_down_delay = crate::api::Duration::from_secs(0);
    });
    model.command(Verb::Abort);
    model.run_for(3600);
    let aborted = model.current();
    assert_eq!(model.pods(&aborted), 2);
    assert_eq!(model.canary_weight(), 0);
    model.set_image("web:3");
    model.run_for(60);
    assert_eq!(model.pods(&aborted), 0, "until the next release");
}

/// Pods of a canary that was just scaled to 0 are still shown as ready: another controller deletes
/// them, and news of that comes later.
#[test]
fn pods_that_are_about_to_go_are_not_taken_for_those_of_a_retry() {
    let mut model = Model::paused_at(50);
    let canary = model.current();
    model.command(Verb::Abort);
    model.run_for(29);
    model.world.now += jiff::SignedDuration::from_secs(2);
    model.look();
    assert_eq!(model.pods(&canary), 0, "abortScaleDownDelay is over");
    assert!(!model.world.revision(&canary).unwrap().pods.is_empty(), "not gone yet");
    model.command(Verb::Retry);
    for _ in 0..3 {
        model.look();
    }
    assert_eq!(model.pods(&canary), 0, "asked for when the old ones are gone");
    assert_eq!(model.pointer("canary"), Some(model.stable()));
    model.run_until(Phase::Paused);
    assert_eq!((model.canary_weight(), model.pods(&canary)), (50, 2));
}

#[test]
fn retry_starts_at_the_first_step_with_a_new_attempt() {
    let mut model = Model::paused_at(40);
    model.command(Verb::Abort);
    model.run_for(120);
    model.command(Verb::Retry);
    model.run_until(Phase::Paused);
    assert_eq!(model.canary_weight(), 40);
    assert_eq!(model.status().attempt, 2);
    assert!(model.status().abort.is_none());
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
}

#[test]
fn an_aborted_release_can_be_promoted_in_full() {
    let mut model = Model::paused_at(40);
    model.command(Verb::Abort);
    model.run_for(120);
    model.command(Verb::PromoteFull);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), model.current());
}

#[test]
fn an_abort_with_nothing_in_progress_changes_nothing() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 50}]")));
    let before = (model.pods(&model.stable()), model.canary_weight());
    model.command(Verb::Abort);
    model.run_for(5);
    assert_eq!((model.pods(&model.stable()), model.canary_weight()), before);
    assert_eq!(model.phase(), Some(Phase::Healthy));
    let last = model.status().last_command.clone().expect("recorded");
    assert!(!last.accepted && last.message.contains("no update in progress"), "{last:?}");
}

#[test]
fn a_command_for_another_revision_is_refused() {
    let mut model = Model::paused_at(40);
    let old = model.stable();
    model.command_for(Verb::Promote, &old);
    model.run_for(5);
    assert_eq!(model.phase(), Some(Phase::Paused), "a late click promotes nothing");
    assert!(!model.status().last_command.as_ref().expect("recorded").accepted);
    assert!(model.world.rollout.command.is_none(), "and it is removed");
}

#[test]
fn a_new_template_clears_the_abort() {
    let mut model = Model::paused_at(40);
    model.command(Verb::Abort);
    model.run_for(5);
    model.set_image("web:3");
    model.run_until(Phase::Paused);
    assert!(model.status().abort.is_none());
    assert_eq!(model.canary_weight(), 40);
}

#[test]
fn a_third_version_takes_over_only_after_the_second_lost_its_weight() {
    let mut model = Model::paused_at(80);
    let second = model.current();
    model.set_image("web:3");
    let third = Model::revision_of("web:3");
    model.settle();
    model.look();
    assert_eq!(model.canary_weight(), 0, "first the weight");
    assert_eq!(model.pointer("canary"), Some(second.clone()), "the proxies may still send there");
    assert_eq!(model.pods(&second), 4);
    model.run_for(1);
    assert_eq!(model.pods(&second), 4, "no pod goes while proxies may still send there");
    model.run_until(Phase::Paused);
    assert_eq!(model.pointer("canary"), Some(third.clone()));
    assert_eq!(model.canary_weight(), 80);
    model.run_for(60);
    assert_eq!(model.pods(&second), 0);
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), third);
}

#[test]
fn going_back_to_the_stable_template_is_a_rollback_without_steps() {
    let mut model = Model::paused_at(80);
    let (second, stable) = (model.current(), model.stable());
    model.set_image("web:1");
    model.run_until(Phase::Healthy);
    assert_eq!(model.weights, [0]);
    assert_eq!((model.current(), model.stable()), (stable.clone(), stable));
    model.run_for(120);
    assert_eq!(model.pods(&second), 0);
    assert_eq!(model.status().history[0].outcome, Some(Outcome::Superseded));
}

#[test]
fn a_canary_that_never_gets_ready_is_aborted_at_the_deadline_without_any_weight() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 20}]")));
    model.behave("web:2", Behaviour::NeverReady);
    model.set_image("web:2");
    model.run_until(Phase::Degraded);
    assert!(model.weights.is_empty());
    let abort = model.status().abort.clone().expect("aborted");
    assert_eq!(abort.cause, AbortCause::Deadline);
    assert!(abort.reason.contains("ImagePullBackOff"), "{}", abort.reason);
    let canary = model.current();
    model.run_for(120);
    assert_eq!((model.pods(&canary), model.pods(&model.stable())), (0, 4));
}

#[test]
fn without_progress_deadline_abort_the_release_only_shows_degraded() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 20}]")));
    model.edit_spec(|spec| spec.progress_deadline_abort = false);
    model.behave("web:2", Behaviour::NeverReady);
    model.set_image("web:2");
    model.run_until(Phase::Degraded);
    assert!(model.status().abort.is_none());
    model.behave("web:2", Behaviour::ReadyAfter(0));
    model.run_until(Phase::Healthy);
}

#[test]
fn a_pause_longer_than_the_deadline_is_never_degraded() {
    let mut model = Model::paused_at(20);
    model.run_for(7200);
    assert_eq!(model.phase(), Some(Phase::Paused));
}

#[test]
fn pause_timeouts_do_as_they_say() {
    for (answer, phase) in
        [("abort", Phase::Degraded), ("promote", Phase::Healthy), ("hold", Phase::Paused)]
    {
        let yaml = format!("[{{setWeight: 20}}, {{pause: {{timeout: 5m, onTimeout: {answer}}}}}]");
        let mut model = Model::healthy(rollout(&steps(&yaml)));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        model.run_for(290);
        assert_eq!(model.phase(), Some(Phase::Paused), "{answer}");
        model.run_for(60);
        assert_eq!(model.phase(), Some(phase), "{answer}: {}", model.status().message);
    }
}

#[test]
fn an_abort_during_the_promotion_points_stable_back_before_the_weight() {
    for subsets in [false, true] {
        let list = steps("[{setWeight: 50}]");
        let body = if subsets { subset_rollout(&list) } else { rollout(&list) };
        let mut model = Model::healthy(body);
        let stable = model.stable();
        model.set_image("web:2");
        for _ in 0..500 {
            if model.pointer("stable") != Some(stable.clone()) {
                break;
            }
            model.run_for(0);
            model.world.now += jiff::SignedDuration::from_millis(500);
        }
        assert_ne!(model.pointer("stable"), Some(stable.clone()), "the promotion has begun");
        model.command(Verb::Abort);
        model.run_for(60);
        assert_eq!(model.pointer("stable"), Some(stable.clone()));
        assert_eq!(model.pointer("canary"), Some(stable.clone()));
        assert_eq!(model.canary_weight(), 0);
        assert_eq!(model.stable(), stable);
    }
}

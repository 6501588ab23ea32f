//! Releases that go well.

use super::model::{Behaviour, Model, rollout, steps, subset_rollout};
use crate::api::{Outcome, Phase, Verb};

fn three_steps() -> serde_json::Value {
    rollout(&steps("[{setWeight: 20}, {pause: {duration: 60}}, {setWeight: 60}, {pause: {}}]"))
}

#[test]
fn the_first_deployment_narrows_services_only_when_all_pods_are_available() {
    let mut model = Model::new(three_steps());
    model.settle();
    model.look();
    assert_eq!(model.pointer("stable"), None, "an adopted Service is not narrowed yet");
    model.run_until(Phase::Healthy);
    assert_eq!(model.pointer("stable").as_ref(), Some(&model.current()));
    assert_eq!(model.pointer("canary").as_ref(), Some(&model.current()));
    assert_eq!(model.canary_weight(), 0);
    assert_eq!(model.status().history[0].outcome, Some(Outcome::Promoted));
    assert!(model.world.runs.is_empty(), "no analysis at the first deployment");
}

#[test]
fn a_release_goes_through_its_steps_in_order() {
    let mut model = Model::healthy(three_steps());
    let old = model.stable();
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    assert_eq!((model.canary_weight(), model.pods(&model.current())), (20, 1));
    model.run_for(59);
    assert_eq!(model.canary_weight(), 20, "the pause holds at least its time");
    model.run_for(3);
    assert_eq!((model.canary_weight(), model.pods(&model.current())), (60, 3));
    model.run_for(3600);
    assert_eq!(model.phase(), Some(Phase::Paused), "waits for a person");
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
    assert_eq!(model.weights, [20, 60, 100, 0]);
    assert_eq!(model.stable(), model.current());
    assert_eq!(model.pods(&old), 4, "the old revision keeps its pods for scaleDownDelay");
    model.run_for(60);
    assert_eq!(model.pods(&old), 0);
    assert_eq!(model.pods(&model.current()), 4);
}

#[test]
fn with_subsets_the_labels_move_and_the_weights_follow() {
    let mut model = Model::healthy(subset_rollout(&steps("[{setWeight: 50}, {pause: {}}]")));
    let old = model.stable();
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    assert_eq!(model.pointer("stable"), Some(old.clone()));
    assert_eq!(model.pointer("canary"), Some(model.current()));
    assert_eq!(model.canary_weight(), 50);
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
    assert_eq!(model.pointer("stable"), Some(model.current()));
    assert_eq!(model.pointer("canary"), Some(model.current()));
    model.run_for(60);
    assert_eq!(model.pods(&old), 0);
}

#[test]
fn a_pass_over_an_unchanged_world_writes_nothing() {
    let mut model = Model::healthy(three_steps());
    model.run_for(120);
    let plan = model.look();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.run_for(5);
    assert!(model.look().actions.is_empty(), "a long pause writes no status");
}

#[test]
fn ten_steps_without_pauses_write_each_weight_once_and_each_step_once() {
    let list: Vec<_> = (1..=10).map(|i| serde_json::json!({"setWeight": i * 10})).collect();
    let mut model = Model::healthy(rollout(&serde_json::Value::Array(list)));
    model.set_image("web:2");
    model.run_until(Phase::Healthy);
    assert_eq!(model.weights, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 0]);
}

#[test]
fn set_canary_scale_parts_pods_from_weight() {
    let yaml = "[{pause: {}}, {setCanaryScale: {weight: 25}}, {pause: {}}, {setWeight: 50}, {pause: {}}, \
        {setCanaryScale: {replicas: 3}}, {pause: {}}, {setCanaryScale: {matchTrafficWeight: true}}, {pause: {}}]";
    let mut model = Model::healthy(rollout(&steps(yaml)));
    let old = model.stable();
    model.set_image("web:2");
    let mut seen = Vec::new();
    for _ in 0..5 {
        model.run_until(Phase::Paused);
        model.run_for(5);
        seen.push((model.pods(&model.current()), model.pods(&old)));
        model.command(Verb::Promote);
        model.run_for(1);
    }
    assert_eq!(seen, [(0, 4), (1, 4), (1, 4), (3, 4), (2, 4)]);
    model.run_until(Phase::Healthy);
    assert_eq!(model.pods(&model.current()), 4);
}

#[test]
fn more_pods_take_no_weight_away() {
    let yaml = "[{setCanaryScale: {replicas: 1}}, {setWeight: 50}, {pause: {}}, \
        {setCanaryScale: {replicas: 3}}, {pause: {}}]";
    for verb in [Verb::Promote, Verb::PromoteFull] {
        let mut model = Model::healthy(rollout(&steps(yaml)));
        model.behave("web:2", Behaviour::ReadyAfter(20));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        model.command(verb);
        model.run_for(40);
        let wanted = if verb == Verb::Promote { vec![50] } else { vec![50, 100, 0] };
        assert_eq!(model.weights, wanted, "{verb}");
    }
}

#[test]
fn promote_ends_only_the_present_pause() {
    let mut model = Model::healthy(rollout(&steps(
        "[{setWeight: 10}, {pause: {}}, {setWeight: 20}, {pause: {}}]",
    )));
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.command(Verb::Promote);
    model.run_for(10);
    assert_eq!(model.phase(), Some(Phase::Paused));
    assert_eq!(model.status().step.as_ref().map(|step| step.index), Some(3));
}

#[test]
fn promote_full_skips_steps_and_analysis_but_waits_for_pods() {
    let mut model = Model::healthy(three_steps());
    model.behave("web:2", Behaviour::ReadyAfter(30));
    model.set_image("web:2");
    model.run_for(2);
    model.command(Verb::PromoteFull);
    model.run_for(20);
    assert_eq!(model.canary_weight(), 0, "no pods, no weight");
    model.run_until(Phase::Healthy);
    assert_eq!(model.weights, [100, 0]);
    assert_eq!(model.status().history[0].by, "ann");
}

#[test]
fn a_held_release_starts_nothing_and_goes_on_when_released() {
    let mut model = Model::healthy(three_steps());
    model.edit_spec(|spec| spec.paused = true);
    model.set_image("web:2");
    model.run_for(600);
    assert_eq!((model.phase(), model.pods(&model.current())), (Some(Phase::Paused), 0));
    model.edit_spec(|spec| spec.paused = false);
    model.run_until(Phase::Paused);
    assert_eq!(model.canary_weight(), 20);
}

#[test]
fn pause_and_resume_by_command() {
    let mut model = Model::healthy(rollout(&steps(
        "[{setWeight: 20}, {pause: {duration: 10}}, {setWeight: 60}, {pause: {}}]",
    )));
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.command(Verb::Pause);
    model.run_for(600);
    assert_eq!(model.canary_weight(), 20, "held though the step's pause is over");
    model.command(Verb::Resume);
    model.run_for(10);
    assert_eq!(model.canary_weight(), 60);
}

#[test]
fn the_same_template_applied_again_changes_nothing() {
    let mut model = Model::healthy(three_steps());
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.edit_spec(|spec| spec.revision_history_limit = 3);
    model.run_for(5);
    assert_eq!(model.canary_weight(), 20);
    assert_eq!(model.status().attempt, 1);
}

#[test]
fn no_replicas_at_all_still_finishes() {
    let mut model = Model::healthy(three_steps());
    model.edit_spec(|spec| spec.replicas = 0);
    model.run_for(60);
    model.set_image("web:2");
    model.run_for(120);
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), model.current());
}

#[test]
fn a_scale_up_in_mid_release_takes_no_weight_away() {
    let mut model = Model::healthy(three_steps());
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.run_for(70);
    assert_eq!(model.canary_weight(), 60);
    model.edit_spec(|spec| spec.replicas = 8);
    model.run_for(30);
    assert_eq!(model.weights, [20, 60], "the weight never fell");
    assert_eq!(model.pods(&model.stable()), 8);
    assert_eq!(model.pods(&model.current()), 5);
}

#[test]
fn an_upgrade_that_computes_another_hash_starts_no_release() {
    let mut model = Model::healthy(three_steps());
    let before = model.current();
    model.world.fingerprint = "v2:different".into();
    model.run_for(60);
    assert_eq!(model.current(), before);
    assert!(model.weights.is_empty());
}

#[test]
fn a_scale_up_of_stable_counts_against_the_room_of_the_canary_in_the_same_pass() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 20}, {pause: {duration: 20}}]")));
    model.set_image("web:2");
    model.run_for(1);
    model.set_image("web:3");
    model.settle();
    model.look();
    model.command(Verb::PromoteFull);
    model.edit_spec(|spec| spec.replicas = 5);
    model.settle();
    model.look();
    let total: u32 = model.world.revisions.iter().map(|set| set.replicas).sum();
    assert!(total <= 10, "{total} pods\n{}", model.story.join("\n"));
    model.run_until(Phase::Healthy);
}

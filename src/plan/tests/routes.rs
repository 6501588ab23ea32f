//! Other people's writes to the routes, and pods that come and go.

use super::model::{Behaviour, Model, rollout, steps};
use crate::api::{Phase, Reason, Verb};

#[test]
fn weights_of_somebody_else_are_put_back_and_named() {
    let mut model = Model::paused_at(40);
    model.edit_weight(10);
    model.run_for(2);
    assert_eq!(model.canary_weight(), 40);
    let note =
        model.notes.iter().find(|note| note.reason == Reason::RouteEdited).expect("an Event");
    assert!(note.text.contains("argocd"), "{}", note.text);
}

#[test]
fn after_two_fights_it_is_a_condition_and_no_war() {
    let mut model = Model::paused_at(40);
    for _ in 0..3 {
        model.edit_weight(10);
        model.run_for(5);
    }
    assert_eq!(model.canary_weight(), 10, "left alone the third time");
    assert_eq!(model.phase(), Some(Phase::Degraded));
    let contested = model.status().conditions.iter().find(|c| c.type_ == "RouteContested");
    assert_eq!(contested.map(|c| c.status.as_str()), Some("True"));
    assert!(model.look().actions.is_empty(), "and it is quiet");
    model.command(Verb::Abort);
    model.run_for(10);
    assert_eq!(model.canary_weight(), 0, "an abort always wins");
}

#[test]
fn fights_within_a_second_count_as_well() {
    let mut model = Model::paused_at(40);
    for _ in 0..3 {
        model.edit_weight(10);
        model.run_for(0);
    }
    assert_eq!(model.canary_weight(), 10, "left alone the third time");
}

#[test]
fn a_contest_ends_by_resume() {
    let mut model = Model::paused_at(40);
    for _ in 0..3 {
        model.edit_weight(10);
        model.run_for(5);
    }
    model.command(Verb::Resume);
    model.run_for(5);
    assert_eq!(model.canary_weight(), 40);
    assert_eq!(model.phase(), Some(Phase::Paused));
}

#[test]
fn a_weight_of_100_by_somebody_else_is_no_progress_of_ours() {
    let mut model =
        Model::healthy(rollout(&steps("[{setWeight: 20}, {pause: {}}, {setWeight: 100}]")));
    model.behave("web:2", Behaviour::ReadyAfter(60));
    model.set_image("web:2");
    model.run_for(5);
    // Both destinations select stable: harmless, and still put back.
    model.edit_weight(100);
    model.run_for(5);
    assert_eq!(model.canary_weight(), 0);
    model.run_until(Phase::Paused);
    assert_eq!(
        (model.canary_weight(), model.status().step.as_ref().map(|s| s.index)),
        (20, Some(1))
    );
}

#[test]
fn weight_falls_to_what_ready_pods_can_carry_and_returns() {
    let mut model = Model::paused_at(75);
    let canary = model.current();
    assert_eq!(model.pods(&canary), 3);
    for _ in 0..3 {
        model.weights.clear();
        model.behave("web:2", Behaviour::NeverReady);
        model.settle();
        // One of the three stays ready.
        let now = model.world.now;
        let set = model.world.revisions.iter_mut().find(|set| set.revision == canary).unwrap();
        set.pods[0].ready_since = Some(now);
        let name = set.pods[0].name.clone();
        model.world.endpoints.get_mut("web-canary").unwrap().ready_pods.insert(name);
        model.look();
        assert_eq!(model.canary_weight(), 25);
        // The message is written with the next look that is a second later.
        model.world.now += jiff::SignedDuration::from_secs(1);
        model.look();
        let message = model.status().message.clone();
        assert!(
            message.contains("1 of 3 pods") && message.contains("ImagePullBackOff"),
            "{message}"
        );
        model.behave("web:2", Behaviour::ReadyAfter(0));
        model.run_for(5);
        assert_eq!(model.canary_weight(), 75);
    }
}

#[test]
fn a_stable_selector_that_lost_its_revision_is_put_back() {
    let mut model = Model::paused_at(40);
    model.world.services.get_mut("web-stable").unwrap().selector.remove("sluice.dev/revision");
    model.run_for(2);
    assert_eq!(model.pointer("stable"), Some(model.stable()));
    model.world.services.get_mut("web-canary").unwrap().selector.remove("sluice.dev/revision");
    model.run_for(10);
    assert_eq!(model.pointer("canary"), Some(model.current()));
    assert_eq!(model.canary_weight(), 40);
}

#[test]
fn a_broken_stable_never_blocks_its_own_fix() {
    let mut model = Model::paused_at(40);
    model.behave("web:1", Behaviour::NeverReady);
    model.check = false;
    model.command(Verb::Promote);
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), model.current());
}

#[test]
fn an_abort_keeps_traffic_on_the_canary_while_stable_has_no_pod() {
    let mut model = Model::paused_at(40);
    model.behave("web:1", Behaviour::NeverReady);
    model.settle();
    model.command(Verb::Abort);
    model.run_for(5);
    assert_eq!(model.canary_weight(), 40);
    assert!(model.status().message.contains("no available pod"), "{}", model.status().message);
    model.behave("web:1", Behaviour::ReadyAfter(0));
    model.run_for(5);
    assert_eq!(model.canary_weight(), 0);
}

#[test]
fn a_broken_first_version_is_replaced_by_a_good_one() {
    let mut model = Model::new(rollout(&steps("[{setWeight: 20}, {pause: {}}]")));
    model.behave("web:1", Behaviour::NeverReady);
    model.run_for(1200);
    assert_eq!(model.phase(), Some(Phase::Degraded));
    model.set_image("web:2");
    model.run_until(Phase::Healthy);
    assert_eq!(model.stable(), Model::revision_of("web:2"));
    model.run_for(60);
    assert_eq!(model.pods(&Model::revision_of("web:1")), 0);
}

#[test]
fn a_pod_counts_as_available_after_min_ready_seconds() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 20}, {pause: {}}]")));
    model.edit_spec(|spec| spec.min_ready_seconds = 10);
    model.set_image("web:2");
    model.run_for(9);
    assert_eq!(model.canary_weight(), 0);
    model.run_for(3);
    assert_eq!(model.canary_weight(), 20);
}

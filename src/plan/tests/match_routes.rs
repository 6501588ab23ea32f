//! Routes for some requests: there when the steps and the pods say so, and never else.

use super::model::{Behaviour, Model, canary, rollout, steps, subset_rollout};
use crate::api::{ManagedRoute, Phase, Reason, Verb};

const TESTERS: &str =
    "{setHeaderRoute: {name: testers, match: [{headerName: a, headerValue: {exact: b}}]}}";

/// A Rollout that may add `testers` and `copy`, with these steps.
fn with_routes(list: &str, subsets: bool, total: i32) -> serde_json::Value {
    let list = steps(&list.replace("TESTERS", TESTERS));
    let mut rollout = if subsets { subset_rollout(&list) } else { rollout(&list) };
    let traffic = &mut rollout["spec"]["strategy"]["canary"]["traffic"];
    traffic["managedRoutes"] = serde_json::json!([{"name": "copy"}, {"name": "testers"}]);
    traffic["maxWeight"] = total.into();
    rollout
}

#[test]
fn a_step_that_is_passed_keeps_its_route_whatever_comes_later() {
    for subsets in [false, true] {
        let list = "[TESTERS, {setWeight: 20}, {pause: {}}]";
        let mut model = Model::healthy(with_routes(list, subsets, 100));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        assert_eq!(model.added_routes(), ["testers"]);
        assert_eq!(model.status().routes, ["testers"]);
        model.command(Verb::Promote);
        model.run_until(Phase::Healthy);
        assert_eq!(model.added_routes(), Vec::<&str>::new());
        model.run_for(60);
        assert_eq!(model.status().routes, Vec::<String>::new());
        assert!(model.look().actions.is_empty());
    }
}

#[test]
fn the_route_of_an_overtaken_revision_is_no_progress_of_the_next() {
    let mut model = Model::healthy(with_routes("[TESTERS, {pause: {}}]", false, 100));
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.behave("web:3", Behaviour::ReadyAfter(60));
    model.set_image("web:3");
    model.run_for(30);
    assert_eq!(model.added_routes(), Vec::<&str>::new());
    assert_eq!(model.status().step.as_ref().map(|step| step.index), Some(0));
    model.run_until(Phase::Paused);
    assert_eq!(model.added_routes(), ["testers"]);
    assert_eq!(model.pointer("canary"), Some(model.current()));
}

#[test]
fn the_last_pod_goes_after_the_route_and_what_leads_to_it() {
    let list = "[TESTERS, {setHeaderRoute: {name: testers}}, {pause: {}}]";
    for subsets in [false, true] {
        let mut model = Model::healthy(with_routes(list, subsets, 100));
        let stable = model.stable();
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        assert_eq!(model.pods(&model.current()), 1, "the proxies have not heard of it");
        model.run_for(10);
        assert_eq!(model.pods(&model.current()), 0);
        assert_eq!(
            model.pointer("canary"),
            Some(stable),
            "a route of the user's still ends somewhere"
        );
        model.command(Verb::Promote);
        model.run_until(Phase::Healthy);
    }
}

#[test]
fn a_route_taken_out_by_somebody_else_is_put_back_twice_and_not_forever() {
    let mut model = Model::healthy(with_routes("[TESTERS, {pause: {}}]", false, 100));
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.run_for(5);
    for round in 0..3 {
        let now = model.world.now;
        let route = model.world.routes[0].as_mut().unwrap();
        let mut object = (*route.object).clone();
        object["spec"]["http"].as_array_mut().unwrap().remove(0);
        route.object = std::sync::Arc::new(object);
        route.since = now;
        route.last_writer = "argocd".into();
        model.run_for(5);
        assert_eq!(model.added_routes().len(), usize::from(round < 2), "round {round}");
    }
    let told = model.notes.iter().find(|note| note.reason == Reason::RouteEdited).unwrap();
    assert!(told.text.contains("argocd took the route testers out of"), "{}", told.text);
    assert_eq!(model.phase(), Some(Phase::Degraded));
    assert!(model.look().actions.is_empty(), "and it is quiet");
}

#[test]
fn a_route_that_cannot_be_made_any_more_does_not_hold_the_weight() {
    let list = "[TESTERS, {setWeight: 50}, {pause: {}}]";
    let mut model = Model::healthy(with_routes(list, false, 100));
    model.set_image("web:2");
    model.run_until(Phase::Paused);
    model.run_for(5);
    let route = model.world.routes[0].as_mut().unwrap();
    let mut object = (*route.object).clone();
    object["spec"]["http"][1]["match"] = serde_json::json!([{"headers": {"a": {"regex": "c"}}}]);
    route.object = std::sync::Arc::new(object);
    model.run_for(5);
    let message = &model.status().message;
    assert!(message.contains("steps[0].setHeaderRoute"), "{message}");
    assert_eq!((model.canary_weight(), model.added_routes().len()), (50, 0));
    model.command(Verb::Abort);
    model.run_for(5);
    assert_eq!(model.canary_weight(), 0);
}

#[test]
fn the_steps_of_stored_objects_are_checked_as_the_api_server_would() {
    let mut model = Model::healthy(with_routes("[{setWeight: 10}]", false, 100));
    model.edit_spec(|spec| {
        canary(spec).steps = serde_yaml::from_str(&format!("[{TESTERS}]")).unwrap();
        canary(spec).traffic.as_mut().unwrap().managed_routes =
            vec![ManagedRoute { name: "copy".into() }];
    });
    model.run_for(2);
    let wanted = "spec.strategy.canary.steps[0].setHeaderRoute.name: found `testers`, allowed are the names in spec.strategy.canary.traffic.managedRoutes (copy)";
    assert_eq!(model.status().message, wanted);
}

#[test]
fn weights_of_a_thousand_go_all_the_way() {
    for subsets in [false, true] {
        let list = "[{setWeight: 1}, {pause: {}}, {setWeight: 600}, {pause: {}}]";
        let mut model = Model::healthy(with_routes(list, subsets, 1000));
        model.set_image("web:2");
        model.run_until(Phase::Paused);
        assert_eq!((model.canary_weight(), model.pods(&model.current())), (1, 1));
        model.command(Verb::Promote);
        model.run_for(5);
        assert_eq!((model.canary_weight(), model.pods(&model.current())), (600, 3));
        model.command(Verb::Promote);
        model.run_until(Phase::Healthy);
        assert_eq!(model.weights, [1, 600, 1000, 0]);
    }
}

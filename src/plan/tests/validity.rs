//! What is refused, and how it recovers.

use serde_json::json;

use super::model::{Model, canary, rollout, selector, steps};
use crate::api::Phase;

fn message_after(edit: impl FnOnce(&mut Model)) -> (String, Model) {
    let mut model = Model::new(rollout(&steps("[{setWeight: 20}, {pause: {}}]")));
    edit(&mut model);
    model.run_for(5);
    assert_eq!(model.phase(), Some(Phase::Degraded));
    assert!(model.world.revisions.is_empty(), "nothing half-done");
    (model.status().message.clone(), model)
}

#[test]
fn a_missing_service_is_named_and_its_arrival_is_enough() {
    let mut kept = None;
    let (message, mut model) =
        message_after(|model| kept = model.world.services.remove("web-canary"));
    assert!(message.contains("canaryService: Service shop/web-canary does not exist"), "{message}");
    model.world.services.insert("web-canary".into(), kept.expect("service"));
    model.run_until(Phase::Healthy);
    let invalid = model.status().conditions.iter().find(|c| c.type_ == "InvalidSpec");
    assert_eq!(invalid.map(|c| c.status.as_str()), Some("False"));
}

#[test]
fn a_missing_virtual_service_is_named() {
    let (message, _) = message_after(|model| model.world.routes[0] = None);
    assert!(
        message.contains("virtualServices[0]: VirtualService shop/web does not exist"),
        "{message}"
    );
}

#[test]
fn a_cluster_without_istio_is_said() {
    let (message, _) = message_after(|model| model.world.istio_served = false);
    assert!(message.contains("networking.istio.io"), "{message}");
}

#[test]
fn a_service_that_would_select_no_pod_is_refused() {
    let (message, _) = message_after(|model| {
        let service = model.world.services.get_mut("web-stable").unwrap();
        service.selector.insert("app".into(), "other".into());
    });
    assert!(message.contains("selects app=other, but the pods have web"), "{message}");
}

#[test]
fn a_host_in_no_route_says_what_to_write() {
    let (message, _) = message_after(|model| {
        let route = model.world.routes[0].as_mut().unwrap();
        let mut object = (*route.object).clone();
        object["spec"]["http"][0]["route"] = json!([{"destination": {"host": "web-stable"}}]);
        route.object = std::sync::Arc::new(object);
    });
    assert!(
        message.contains("web-canary") && message.contains("VirtualService shop/web"),
        "{message}"
    );
}

#[test]
fn what_another_rollout_has_is_refused() {
    let (message, _) = message_after(|model| {
        // It has nothing to hand back.
        model.world.rollout.finalizers.clear();
        model
            .world
            .rival_claims
            .push("Service shop/web-stable is claimed by Rollout shop/a".into());
    });
    assert!(message.contains("claimed by Rollout shop/a"), "{message}");
}

#[test]
fn selector_and_template_must_agree() {
    let (message, _) = message_after(|model| {
        model.edit_spec(|spec| drop(selector(spec).insert("tier".into(), "web".into())));
    });
    assert!(message.contains("`tier: web` of spec.selector.matchLabels is missing"), "{message}");
}

#[test]
fn a_deadline_that_no_pod_can_meet_is_refused() {
    let (message, _) = message_after(|model| model.edit_spec(|spec| spec.min_ready_seconds = 600));
    assert!(message.contains("spec.progressDeadline: found 10m"), "{message}");
}

#[test]
fn a_surge_too_small_for_a_full_canary_is_refused() {
    let (message, _) = message_after(|model| {
        model.edit_spec(|spec| canary(spec).max_surge = "50%".parse().ok());
    });
    assert!(message.contains("maxSurge: found 50%"), "{message}");
}

#[test]
fn a_missing_template_stops_the_release_before_its_first_step() {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 20}, {pause: {}}]")));
    let list = "[{setWeight: 20}, {analysis: {templates: [{templateName: errors}]}}]";
    let list = serde_json::from_value(steps(list)).unwrap();
    model.edit_spec(|spec| canary(spec).steps = list);
    model.set_image("web:2");
    model.run_for(60);
    let message = model.status().message.clone();
    assert!(message.contains("steps[1].analysis") && message.contains("errors"), "{message}");
    assert_eq!(model.canary_weight(), 0);
    let template: crate::api::AnalysisTemplateSpec = serde_yaml::from_str(
        "{metrics: [{name: e, successCondition: 'result < 1', provider: {prometheus: {query: up}}}]}",
    )
    .unwrap();
    model.world.templates.insert("errors".into(), std::sync::Arc::new(template));
    model.run_for(60);
    assert_eq!(model.canary_weight(), 20, "it recovers without an edit");
}

//! What is wrong is said where its author looks: by the API server at once where a schema can tell,
//! else in the status, and there only until it is right.

mod malformed;
mod refused;

use crate::{
    app::{App, list},
    scenario::scenario,
};

const VIRTUAL_SERVICE: &str = "VirtualService missing-objects/web does not exist";

#[test]
fn what_is_missing_is_named_and_needs_no_edit_once_it_is_there() {
    scenario("missing-objects", async |scenario| {
        let steps = "[{setWeight: 20}, {analysis: {templates: [{templateName: late}]}}]";
        let app = App::new("web", steps);
        scenario.user.apply(&app.rollout()).await;
        let invalid = async |sentence: &str| {
            let what = format!("`{sentence}` in the status");
            scenario
                .until_status("web", &what, |status| {
                    let conditions = status["conditions"].as_array().into_iter().flatten();
                    let mut conditions = conditions.filter(|c| c["type"] == "InvalidSpec");
                    status["phase"] == "Degraded"
                        && status["message"].as_str().is_some_and(|m| m.contains(sentence))
                        && conditions.any(|condition| condition["status"] == "True")
                })
                .await
        };
        invalid("Service missing-objects/web-stable does not exist").await;
        invalid(VIRTUAL_SERVICE).await;
        assert_eq!(scenario.user.sluice("status web").await.code, 3, "degraded");
        let text = scenario.until_event("web", "InvalidSpec").await;
        assert!(text.contains("web-stable"), "{text}");
        scenario.user.apply(&list(&[app.service("stable"), app.service("canary")])).await;
        invalid(VIRTUAL_SERVICE).await;
        scenario.user.apply(&app.virtual_service()).await;
        scenario.until_released("web").await;

        scenario.release(&app, "app:v2").await;
        let waiting = invalid("AnalysisTemplate").await;
        assert!(waiting["message"].as_str().unwrap().contains("late"), "{waiting}");
        assert_eq!(waiting["weights"]["canary"], 0, "no step is taken on trust");
        let template = r#"{"apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "late"}, "spec": {"metrics": [{"name": "job", "provider": {"job":
            {"spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "smoke:v1"}]}}}}}}]}}"#;
        scenario.user.apply(template).await;
        scenario.until_released("web").await;
    });
}

#[test]
fn a_service_that_selects_other_pods_is_named() {
    scenario("other-selector", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}]");
        let stranger = app.service("stable").replace(r#""app":"web""#, r#""app":"other""#);
        assert_ne!(stranger, app.service("stable"));
        let rest = [stranger, app.service("canary"), app.virtual_service(), app.rollout()];
        scenario.user.apply(&list(&rest)).await;
        let what = "the selector in the status";
        let status = scenario
            .until_status("web", what, |status| {
                status["message"].as_str().is_some_and(|m| m.contains("selects app=other"))
            })
            .await;
        assert_eq!(status["phase"], "Degraded");
        scenario.user.apply(&app.service("stable")).await;
        scenario.until_released("web").await;
    });
}

#[test]
fn two_rollouts_that_claim_one_service_do_not_both_get_it() {
    scenario("rivals", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}]");
        scenario.deploy(&app).await;
        let rival =
            app.rollout().replace(r#""metadata":{"name":"web"}"#, r#""metadata":{"name":"rival"}"#);
        assert_ne!(rival, app.rollout());
        scenario.user.apply(&rival).await;
        let status = scenario
            .until_status("rival", "the claim", |status| {
                status["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("claimed by Rollout rivals/web"))
            })
            .await;
        assert_eq!(status["phase"], "Degraded");
        // The first one goes on.
        scenario.release(&app, "app:v2").await;
        scenario.until_released("web").await;
    });
}

#[test]
fn a_template_that_the_api_server_refuses_is_said_in_its_words() {
    scenario("bad-template", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}]");
        let stable = scenario.deploy(&app).await;
        let bad = app.clone().image("app:v2").set("/template/spec/restartPolicy", "Sometimes");
        scenario.user.apply(&bad.rollout()).await;
        let status = scenario
            .until_status("web", "the refusal", |status| {
                status["message"].as_str().is_some_and(|m| m.contains("restartPolicy"))
            })
            .await;
        assert_eq!(status["phase"], "Degraded");
        assert_eq!(status["stableRevision"], stable["stableRevision"]);
        scenario.release(&app, "app:v3").await;
        scenario.until_released("web").await;
    });
}

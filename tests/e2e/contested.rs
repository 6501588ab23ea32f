//! Somebody else writes the weights in mid-release.

use serde_json::json;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

/// Sets the weights as `alice` would, a person with `kubectl`.
async fn alice_sets(scenario: &Scenario, canary: i64) {
    let at = |end: i64, value: i64| json!({"op": "replace", "path": format!("/spec/http/1/route/{end}/weight"), "value": value});
    let patch = json!([at(0, 100 - canary), at(1, canary)]).to_string();
    let line =
        ["patch", "virtualservice", "web", "--type=json", "--field-manager=alice", "-p", &patch];
    scenario.user.run("kubectl".as_ref(), &line, "").await.expect("alice's edit");
}

async fn until_route(scenario: &Scenario, canary: i64) {
    let what = format!("canary weight {canary} in the VirtualService");
    scenario
        .until(&what, |seen| {
            let route = &seen.get("VirtualService", "web")["spec"]["http"][1]["route"];
            (route[1]["weight"] == canary && route[0]["weight"] == 100 - canary).then_some(())
        })
        .await;
}

#[test]
fn weights_are_put_back_twice_and_then_left_with_a_condition() {
    scenario("contested", async |scenario| {
        let app = App::new("web", "[{setWeight: 40}, {pause: {}}, {setWeight: 60}, {pause: {}}]");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        for fight in 1..=2 {
            alice_sets(scenario, 90).await;
            until_route(scenario, 40).await;
            let what = format!("fight {fight} in the status");
            scenario.until_status("web", &what, |s| s["contest"]["count"] == fight).await;
        }
        let text = scenario.until_event("web", "RouteEdited").await;
        assert!(text.contains("alice") && text.contains("put back"), "{text}");

        alice_sets(scenario, 10).await;
        let contested = scenario
            .until_status("web", "the contest", |status| {
                let conditions = status["conditions"].as_array().into_iter().flatten();
                let mut conditions = conditions.filter(|c| c["type"] == "RouteContested");
                conditions.any(|condition| condition["status"] == "True")
            })
            .await;
        assert_eq!(contested["phase"], "Degraded");
        assert!(contested["message"].as_str().unwrap().contains("alice"), "{contested}");
        scenario.until_event("web", "RouteContested").await;
        until_route(scenario, 10).await;

        scenario.user.sluice("resume web").await.expect("resume");
        until_route(scenario, 40).await;
        scenario.user.sluice("promote web --full").await.expect("promote --full");
        scenario.until_released("web").await;
    });
}

#[test]
fn a_foreign_weight_is_never_taken_for_our_own_progress() {
    scenario("foreign-weight", async |scenario| {
        let steps = "[{setWeight: 20}, {pause: {}}, {setWeight: 100}, {pause: {}}]";
        let app = App::new("web", steps);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        alice_sets(scenario, 100).await;
        until_route(scenario, 20).await;
        let status = scenario.until_paused_at("web", 2).await;
        assert_ne!(status["stableRevision"], status["currentRevision"]);
        scenario.user.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
    });
}

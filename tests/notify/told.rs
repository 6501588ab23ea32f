//! What stands in the channel.

use serde_json::json;

use crate::house::{House, config};

const PAUSES: &str = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {duration: 10s}}]";

/// A step that judges the canary by the requests that it answers well.
const JUDGED: &str = "[{setWeight: 20}, {analysis: {metrics: [{name: success-rate, interval: 30s, \
    initialDelay: 60s, count: 2, failureLimit: 0, successCondition: 'result[0] >= 0.99', provider: \
    {prometheus: {query: 'sum(rate(istio_requests_total{reporter=\"source\",\
    destination_workload=~\"web-.*\",response_code!~\"5..\"}[1m])) / \
    sum(rate(istio_requests_total{reporter=\"source\",destination_workload=~\"web-.*\"}[1m]))'}}}]}}]";

#[tokio::test]
async fn a_release_is_one_message_from_its_start_to_its_end() {
    let mut house = House::open("slack:releases", PAUSES).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.wait(10).await;
    house.golden("paused");
    house.command("promote");
    house.rest().await;
    house.golden("promoted");
    let message = house.message();
    assert!(message.edits > 1 && message.buttons().is_empty(), "{message:?}");
    house.check().await;
}

#[tokio::test]
async fn an_analysis_is_told_with_its_values_and_a_rollback_with_its_reason() {
    let mut house = House::open("slack:releases", JUDGED).await;
    house.release("web:2");
    house.rest().await;
    house.release("web:bad");
    house.until("the rollback", |status| !status["abort"].is_null()).await;
    house.rest().await;
    house.golden("judged");
    house.check().await;
}

#[tokio::test]
async fn who_aborted_and_why_is_told_and_calls_nobody() {
    let mut house = House::open("slack:releases", PAUSES).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.command("pause");
    house.wait(10).await;
    house.command("abort");
    house.rest().await;
    assert!(!house.slack.shown().contains("<!channel>"), "a reason is no markup");
    house.golden("aborted");
    house.check().await;
}

#[tokio::test]
async fn another_attempt_and_another_revision_are_messages_of_their_own() {
    let mut house = House::open("slack:releases", PAUSES).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.command("abort");
    house.rest().await;
    house.command("retry");
    house.until_paused_at(2).await;
    house.release("web:3");
    house.until("the third version", |status| status["revision"] == 3).await;
    house.until_paused_at(2).await;
    house.command("promoteFull");
    house.rest().await;
    house.golden("attempts");
    house.check().await;
}

#[tokio::test]
async fn who_subscribes_in_mid_release_is_told_from_there_on() {
    let mut house = House::open("none", PAUSES).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    assert_eq!(house.slack.calls(), Vec::<String>::new());
    house.patch(&json!({"metadata": {"annotations": {"sluice.dev/notify": "slack:releases"}}}));
    house.wait(5).await;
    house.command("promote");
    house.rest().await;
    house.golden("late");
    house.check().await;
}

#[tokio::test]
async fn a_namespace_has_a_subscription_and_a_rollout_its_own() {
    let namespaces = "namespaces: {default: 'slack:releases'}";
    for (own, told) in [(json!(null), true), (json!("none"), false), (json!(""), false)] {
        let mut house = House::open_with("none", PAUSES, config(namespaces)).await;
        house.patch(&json!({"metadata": {"annotations": {"sluice.dev/notify": own}}}));
        house.release("web:2");
        house.until_paused_at(2).await;
        house.wait(5).await;
        assert_eq!(!house.slack.messages().is_empty(), told, "{own}");
    }
}

#[tokio::test]
async fn texts_can_be_replaced() {
    let templates = "templates: {title: '{rollout} r{number}', live: '{weight}', started: 'go'}";
    let mut house = House::open_with("slack:releases", PAUSES, config(templates)).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.wait(5).await;
    let shown = house.shown();
    assert!(shown.starts_with("web r2\n20\n[Promote]"), "{shown}");
    assert!(shown.contains("\n  | go\n"), "{shown}");
}

#[tokio::test]
async fn buttons_offer_what_can_be_asked() {
    let mut house = House::open("slack:releases", PAUSES).await;
    let labels = |house: &House| -> Vec<String> {
        let buttons = house.message().buttons();
        buttons.iter().map(|one| one["text"]["text"].as_str().unwrap().to_owned()).collect()
    };
    house.release("web:2");
    house.until_paused_at(2).await;
    house.wait(5).await;
    assert_eq!(labels(&house), ["Promote", "Abort", "Pause"]);
    house.command("pause");
    house.wait(5).await;
    assert_eq!(labels(&house), ["Resume", "Abort"]);
    let click = house.message().click("Abort", "U1").unwrap();
    let value: serde_json::Value =
        serde_json::from_str(click["actions"][0]["value"].as_str().unwrap()).unwrap();
    assert_eq!(value["verb"], "abort");
    assert_eq!(value["revision"], house.status()["currentRevision"]);
}

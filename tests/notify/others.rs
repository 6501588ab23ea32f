//! Webhooks and Alertmanager.

use serde_json::Value;
use sluice::{
    notify::hmac,
    sim::slack::{Fault, Told},
};

use crate::house::{House, golden};

const STEPS: &str = "[{setWeight: 20}, {pause: {}}]";

fn events(house: &House) -> Vec<Value> {
    let told = house.slack.told();
    told.iter().map(|one| serde_json::from_str(&one.body).expect("JSON")).collect()
}

fn bodies(told: &[Told]) -> Vec<Value> {
    told.iter().map(|one| serde_json::from_str(&one.body).expect("JSON")).collect()
}

#[tokio::test]
async fn a_webhook_gets_each_fact_as_a_signed_event() {
    let mut house = House::open("webhook:ci", STEPS).await;
    let before = house.slack.told().len();
    house.release("web:2");
    house.until_paused_at(2).await;
    house.command("promote");
    house.rest().await;
    let told = house.slack.told().split_off(before);
    let uid = events(&house)[0]["id"].as_str().unwrap().split('/').next().unwrap().to_owned();
    let revision = house.status()["currentRevision"].as_str().unwrap().to_owned();
    let lines: Vec<String> = bodies(&told)
        .iter()
        .map(|event| serde_json::to_string_pretty(event).unwrap())
        .map(|text| text.replace(&uid, "UID").replace(&revision, "REVISION"))
        .collect();
    golden("events", &format!("{}\n", lines.join("\n")));
    for one in told {
        assert_eq!(one.url, "https://ci.example.com/hook");
        assert_eq!(one.headers["content-type"], "application/cloudevents+json; charset=utf-8");
        let signed = format!("{}.{}", one.headers["x-sluice-timestamp"], one.body);
        let expected = format!("v1={}", hmac::sign(b"hush", &[signed.as_bytes()]));
        assert_eq!(one.headers["x-sluice-signature"], expected);
    }
    house.check().await;
}

#[tokio::test]
async fn an_event_whose_answer_was_lost_comes_again_with_the_same_id() {
    let mut house = House::open("webhook:ci", STEPS).await;
    let before = house.slack.told().len();
    house
        .slack
        .set_faults(Some(Box::new(|_, number| (number % 2 == 0).then_some(Fault::LoseAnswer))));
    house.release("web:2");
    house.until_paused_at(2).await;
    house.command("promote");
    house.rest().await;
    let told = house.slack.told().split_off(before);
    let ids: Vec<String> =
        bodies(&told).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    let mut once = ids.clone();
    once.dedup();
    assert!(once.len() < ids.len(), "some came twice: {ids:?}");
    let numbers: Vec<&str> = once.iter().map(|id| id.rsplit('/').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"], "all of them, in order");
}

#[tokio::test]
async fn alerts_are_said_again_while_they_stand_and_ended_when_they_are_over() {
    let mut house = House::open("alertmanager", STEPS).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    assert_eq!(house.slack.told(), [], "all is well");
    house.command("abort");
    house.wait(20).await;
    let first = house.slack.told();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].url, "http://alertmanager.monitoring:9093/api/v2/alerts");
    let alert = bodies(&first)[0][0].clone();
    let labels = serde_json::json!({
        "alertname": "SluiceReleaseAborted", "namespace": "default", "rollout": "web",
        "severity": "warning", "team": "shop",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["annotations"]["summary"], "The release of default/web was rolled back");
    assert!(alert["annotations"]["description"].to_string().contains("aborted by ann"), "{alert}");
    house.wait(600).await;
    let again = house.slack.told().len();
    assert!((3..=5).contains(&again), "it is repeated every three minutes: {again}");
    // The controller that said so is gone; the next one knows of it.
    house.sim.stop_controller();
    house.sim.start_controller().await;
    house.release("web:3");
    house.until_paused_at(2).await;
    house.rest().await;
    let last = bodies(&house.slack.told()).pop().unwrap()[0].clone();
    assert_eq!(last["labels"], labels);
    let ends: jiff::Timestamp = last["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(ends <= house.sim.now(), "{last}");
    house.wait(600).await;
    assert_eq!(bodies(&house.slack.told()).pop().unwrap()[0], last, "and is not said any more");
    house.check().await;
}

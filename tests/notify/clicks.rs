//! What buttons may ask for, and when it is too late.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    api::Verb,
    notify::{
        Notifier,
        clicks::{Taken, desk},
        config::Identity,
        http::Http,
        slack::{
            click::{self, Click},
            signature,
        },
    },
    observe::seen::{self, SeenRollout},
    sim::api::resource,
};

use crate::house::{House, config_with};

const PAUSES: &str = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";

fn form(payload: &Value) -> Vec<u8> {
    let form = reqwest::Url::parse_with_params("form:", [("payload", payload.to_string())]);
    form.expect("a form").query().expect("a form").as_bytes().to_vec()
}

fn clicked(house: &House, label: &str, signature: &str) -> Click {
    let payload = house.message().click(label, "U1").expect("a button");
    click::read(&form(&payload), signature, house.sim.now()).expect("a click")
}

fn rollout(house: &House) -> SeenRollout {
    let store = house.sim.store();
    let object = store.get(&resource::ROLLOUT, "default", "web").expect("the Rollout");
    seen::rollout(&serde_json::from_value((**object).clone()).expect("an object"), None)
}

fn answer(house: &House, click: &Click) -> Result<sluice::api::Command, String> {
    let ann = Identity { user: "ann@example.com".into(), groups: Vec::new() };
    click::command(click, &ann, Some(&rollout(house)))
}

async fn paused() -> House {
    let mut house = House::open("slack:releases", PAUSES).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.wait(10).await;
    house
}

#[tokio::test]
async fn a_click_is_a_command_in_the_name_of_who_clicked_for_the_revision_shown() {
    let house = paused().await;
    let command = answer(&house, &clicked(&house, "Promote", "v0=1")).expect("a command");
    assert_eq!(command.verb, Verb::Promote);
    assert_eq!(command.by, "ann@example.com (Slack)");
    assert_eq!(command.revision, house.status()["currentRevision"]);
    let other = answer(&house, &clicked(&house, "Promote", "v0=2")).expect("a command");
    assert_ne!(command.id, other.id);
}

#[tokio::test]
async fn a_late_click_is_refused_with_what_came_before_it() {
    let mut house = paused().await;
    let promote = clicked(&house, "Promote", "v0=1");
    let (pause, abort) = (clicked(&house, "Pause", "v0=2"), clicked(&house, "Abort", "v0=3"));
    house.wait(1).await;
    house.command("promote");
    house.until_paused_at(4).await;
    let why = answer(&house, &promote).unwrap_err();
    assert_eq!(why, "promote of default/web: `promote` by ann was quicker. Look again.");
    assert!(answer(&house, &pause).is_err());
    assert!(answer(&house, &abort).is_ok(), "it is still the release that was to be aborted");
    let late = Click { at: house.sim.now(), ..promote.clone() };
    let why = answer(&house, &late).unwrap_err();
    assert!(why.contains("the release has gone on to another step"), "{why}");
    house.command("abort");
    house.rest().await;
    house.command("retry");
    house.until_paused_at(2).await;
    let why = answer(&house, &abort).unwrap_err();
    assert!(why.contains("the button is of attempt 1, but this is attempt 2"), "{why}");
    house.release("web:3");
    house.until("the third version", |status| status["revision"] == 3).await;
    let why = answer(&house, &abort).unwrap_err();
    assert!(why.contains("but the newest is"), "{why}");
}

#[tokio::test]
async fn a_click_that_was_taken_is_not_taken_again_by_another_replica() {
    let mut house = paused().await;
    let pause = clicked(&house, "Pause", "v0=2");
    let command = answer(&house, &pause).expect("a command");
    house.annotate(&json!(serde_json::to_string(&command).unwrap()));
    let why = answer(&house, &pause).unwrap_err();
    assert!(why.contains("this click has been taken already"), "{why}");
    house.wait(5).await;
    let why = answer(&house, &pause).unwrap_err();
    assert!(why.contains("this click has been taken already"), "{why}");
    // Somebody resumes; the same request comes once more.
    house.wait(1).await;
    house.command("resume");
    house.wait(5).await;
    let why = answer(&house, &pause).unwrap_err();
    assert!(why.contains("`resume` by ann was quicker"), "{why}");
}

#[tokio::test]
async fn a_command_that_waits_is_replaced_by_an_abort_alone() {
    let mut house = paused().await;
    let (pause, abort) = (clicked(&house, "Pause", "v0=2"), clicked(&house, "Abort", "v0=3"));
    house.sim.stop_controller();
    house.command("promote");
    let why = answer(&house, &pause).unwrap_err();
    assert!(why.contains("`promote` by ann still waits"), "{why}");
    assert!(answer(&house, &abort).is_ok());
}

#[tokio::test]
async fn only_what_slack_signs_comes_in_and_only_once() {
    let house = paused().await;
    let notifier = Arc::new(Notifier::new(Http::default()));
    let now: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
    let (desk, mut clicks) = desk(notifier.clone());
    let body = form(&house.message().click("Promote", "U1").unwrap());
    let time = now.as_second().to_string();
    let signature = signature::sign("hush", &time, &body);
    let take = |body: &[u8], at: Timestamp| desk.take(Some(&time), Some(&signature), body, at);
    assert_eq!(take(&body, now), Taken::NotConfigured);
    notifier.set_config(config_with("", &[("slack-signing-secret", "hush")]));
    assert_eq!(take(b"payload=%7B%7D", now), Taken::Refused);
    let late = now.checked_add(SignedDuration::from_secs(301)).unwrap();
    assert_eq!(take(&body, late), Taken::Refused);
    assert!(clicks.try_recv().is_err(), "nothing came in");
    assert_eq!(take(&body, now), Taken::Yes);
    assert_eq!(clicks.try_recv().unwrap().user, "U1");
    assert_eq!(take(&body, now), Taken::Refused, "a replay");
    for other in [&b"payload=no"[..], b"", b"\xff\xfe", b"payload=%7B%22type%22%3A1%7D"] {
        let signature = signature::sign("hush", &time, other);
        assert_eq!(desk.take(Some(&time), Some(&signature), other, now), Taken::Yes, "ignored");
    }
    assert!(clicks.try_recv().is_err());
}

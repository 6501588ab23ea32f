//! Slack is down, slow, or says no: nothing is lost or repeated, and no release waits.

use serde_json::json;
use sluice::sim::slack::Fault;

use crate::house::{House, config};

const STEPS: &str = "[{setWeight: 20}, {pause: {duration: 5s}}, {setWeight: 60}]";

const FAULTS: [Fault; 9] = [
    Fault::Refuse,
    Fault::Lose,
    Fault::LoseAnswer,
    Fault::TooMany(7),
    Fault::Status(502, false),
    Fault::Status(503, true),
    Fault::Error("internal_error"),
    Fault::Error("service_unavailable"),
    Fault::Error("ratelimited"),
];

#[tokio::test]
async fn whatever_a_call_meets_nothing_is_lost_or_repeated() {
    let mut house = House::open("slack:releases", STEPS).await;
    house.released().await;
    let (expected, calls) = (house.shown_without_times(), house.slack.calls().len());
    for (fault, every) in FAULTS.iter().zip([5, 7].into_iter().cycle()) {
        let mut house = House::open("slack:releases", STEPS).await;
        let met = fault.clone();
        house.slack.set_faults(Some(Box::new(move |_, number| {
            (number % every == 1).then(|| met.clone())
        })));
        house.released().await;
        assert_eq!(house.shown_without_times(), expected, "{fault:?} at each {every}. call");
        assert!(house.slack.calls().len() < 4 * calls, "{fault:?}: {:?}", house.slack.calls());
        house.check().await;
    }
}

#[tokio::test]
async fn a_slack_that_is_down_delays_no_release_and_is_told_all_in_the_end() {
    let took = |house: &House| {
        let record = house.status()["history"][0].clone();
        let time = |field: &str| -> jiff::Timestamp {
            record[field].as_str().expect("a time").parse().expect("a time")
        };
        time("endedAt").duration_since(time("startedAt"))
    };
    let mut calm = House::open("slack:releases", STEPS).await;
    calm.released().await;
    for fault in [Fault::Refuse, Fault::Lose, Fault::TooMany(600), Fault::Status(500, false)] {
        let mut house = House::open("slack:releases", STEPS).await;
        let met = fault.clone();
        house.slack.set_faults(Some(Box::new(move |_, _| Some(met.clone()))));
        house.release("web:2");
        house
            .until("the release", |status| status["phase"] == "Healthy" && status["revision"] == 2)
            .await;
        assert_eq!(took(&house), took(&calm), "{fault:?}");
        assert_eq!(house.shown(), "", "{fault:?}");
        house.slack.set_faults(None);
        house.rest().await;
        assert_eq!(
            house.shown_without_times().lines().next(),
            calm.shown_without_times().lines().next()
        );
        let facts = |house: &House| -> Vec<String> {
            let all = house.slack.messages();
            all.into_iter().filter(|one| one.thread.is_some()).map(|one| one.text).collect()
        };
        assert_eq!(facts(&house), facts(&calm), "{fault:?}: all of it, in order");
    }
}

#[tokio::test]
async fn too_many_requests_are_followed_by_silence() {
    let mut house = House::open("slack:releases", STEPS).await;
    house.release("web:2");
    house.slack.set_faults(Some(Box::new(|_, _| Some(Fault::TooMany(30)))));
    let before = house.slack.calls().len();
    house.wait(29).await;
    assert_eq!(house.slack.calls().len(), before + 1, "{:?}", house.slack.calls());
    house.wait(5).await;
    assert_eq!(house.slack.calls().len(), before + 2, "{:?}", house.slack.calls());
}

#[tokio::test]
async fn what_a_person_must_mend_is_an_event_once_and_is_told_when_it_is_mended() {
    for (code, said) in [
        ("invalid_auth", "check `slack-token` in the Secret"),
        ("channel_not_found", "invite the app to it"),
        ("not_in_channel", "invite the app to the channel"),
    ] {
        let mut house = House::open("slack:releases", STEPS).await;
        house.slack.set_faults(Some(Box::new(move |_, _| Some(Fault::Error(code)))));
        house.release("web:2");
        house
            .until("the release", |status| status["phase"] == "Healthy" && status["revision"] == 2)
            .await;
        house.wait(300).await;
        let events = house.events("NotificationFailed");
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(events[0].contains(said) && events[0].contains("slack:releases"), "{events:?}");
        assert!(!events[0].contains("xoxb"), "{events:?}");
        house.slack.set_faults(None);
        house.rest().await;
        assert!(house.shown().contains("promoted"), "{}", house.shown());
    }
}

#[tokio::test]
async fn a_message_that_somebody_deletes_is_not_posted_again() {
    let mut house = House::open("slack:releases", STEPS).await;
    house.release("web:2");
    house.until_paused_at(2).await;
    house.slack.delete(&house.message().ts);
    house.rest().await;
    let heads = house.slack.messages().into_iter().filter(|one| one.thread.is_none());
    assert_eq!(heads.count(), 0);
    house.check().await;
}

#[tokio::test]
async fn a_subscription_that_names_nobody_is_an_event_and_no_more() {
    let mut house = House::open("slack:relases, pager, webhook:cd", STEPS).await;
    house.release("web:2");
    house
        .until("the release", |status| status["phase"] == "Healthy" && status["revision"] == 2)
        .await;
    let events = house.events("NotificationFailed");
    assert_eq!(
        events,
        [
            "annotation sluice.dev/notify: there is no Slack channel `relases`; configured are \
             releases (ConfigMap sluice-notifications)",
            "annotation sluice.dev/notify: found `pager`, allowed are slack:NAME, webhook:NAME, \
             alertmanager, none (ConfigMap sluice-notifications)",
            "annotation sluice.dev/notify: there is no webhook `cd`; configured are ci (ConfigMap \
             sluice-notifications)",
        ]
    );
    assert_eq!(house.slack.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn one_who_does_not_answer_keeps_no_other_waiting() {
    let mut house = House::open_with("webhook:ci, slack:releases", STEPS, config("")).await;
    house.slack.set_faults(Some(Box::new(|called, _| {
        (called == "ci.example.com").then_some(Fault::Lose)
    })));
    house.release("web:2");
    house
        .until("the release", |status| status["phase"] == "Healthy" && status["revision"] == 2)
        .await;
    house.wait(10).await;
    assert!(house.shown().contains("promoted"), "{}", house.shown());
    house.patch(&json!({"metadata": {"annotations": {"sluice.dev/notify": "slack:releases"}}}));
    house.rest().await;
}

//! People are told of releases in Slack, and steer them there: the shipped controller with the shipped
//! rights and the shipped policy, and a Slack that answers as Slack's reference says.

use jiff::Timestamp;
use serde_json::Value;
use sluice::sim::slack::{Message, Slack, TOKEN};

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    slack::{ANN, BOB, SIGNING_SECRET, send, slack},
    support::controller::Controller,
};

const TWO_PAUSES: &str = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The newest message about a release of this app.
fn message(slack: &Slack, scenario: &Scenario, app: &str) -> Option<Message> {
    let about = format!("*{app}* in {}:", scenario.namespace);
    let all = slack.messages().into_iter().rev();
    let mut heads = all.filter(|one| one.thread.is_none() && one.text.contains(&about));
    heads.next()
}

/// The message, once it is as wanted.
async fn until_shown(
    slack: &Slack,
    scenario: &Scenario,
    app: &str,
    what: &str,
    wanted: impl Fn(&Message) -> bool,
) -> Message {
    let found = async || message(slack, scenario, app).filter(&wanted);
    scenario.poll(what, found).await
}

/// What was whispered to a user last, once there is so much of it.
async fn until_whispered(slack: &Slack, scenario: &Scenario, user: &str, times: usize) -> String {
    let found = async || {
        let all = slack.whispers();
        let theirs: Vec<&Value> = all
            .iter()
            .filter(|one| {
                one["user"] == user && one["text"].to_string().contains(&scenario.namespace)
            })
            .collect();
        (theirs.len() >= times).then(|| theirs[times - 1]["text"].as_str().unwrap().to_owned())
    };
    scenario.poll(&format!("whisper {times} to {user}"), found).await
}

async fn bind(scenario: &Scenario) {
    let line = "create rolebinding ann --clusterrole=sluice-operate --user=ann@example.com";
    scenario.user.kubectl(line, "").await.expect("a new binding");
    let line = "create rolebinding bob --clusterrole=sluice-view --user=bob@example.com";
    scenario.user.kubectl(line, "").await.expect("a new binding");
}

async fn subscribe(scenario: &Scenario, app: &str) {
    let line = format!("annotate rollout {app} sluice.dev/notify=slack:releases");
    scenario.user.kubectl(&line, "").await.expect("a subscription");
}

/// A release that ann aborts by a button: for the rights that this needs.
pub async fn somebody_clicks(scenario: &Scenario, controller: &Controller, instance: &str) {
    let slack = slack(scenario).await;
    bind(scenario).await;
    let app = App::new("clicked", TWO_PAUSES).instance(instance);
    scenario.deploy(&app).await;
    subscribe(scenario, "clicked").await;
    scenario.release(&app, "app:v2").await;
    scenario.until_paused_at("clicked", 2).await;
    let shown = until_shown(slack, scenario, "clicked", "the buttons", |one| {
        one.click("Abort", ANN).is_some()
    });
    let click = shown.await.click("Abort", ANN).unwrap();
    assert_eq!(send(controller, &click, now(), SIGNING_SECRET).await, 200);
    scenario.until_rolled_back("clicked").await;
}

#[test]
fn a_canary_is_followed_and_steered_in_slack() {
    scenario("notified", async |scenario| {
        let slack = slack(scenario).await;
        bind(scenario).await;
        let flags = ["--log-level", "trace"];
        let controller = scenario.controller("slack", "notified", &flags).await;
        let app = App::new("web", TWO_PAUSES).instance("notified");
        scenario.deploy(&app).await;
        subscribe(scenario, "web").await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        let paused = |one: &Message| one.click("Promote", ANN).is_some();
        let first = until_shown(slack, scenario, "web", "the first pause", paused).await;
        assert!(first.text.contains("▓▓░░░░░░░░ 20 %"), "{}", first.text);

        refusals(scenario, slack, &controller, &first).await;

        let click = first.click("Promote", ANN).unwrap();
        let at = now();
        assert_eq!(send(&controller, &click, at, SIGNING_SECRET).await, 200);
        let status = scenario.until_paused_at("web", 4).await;
        assert_eq!(status["lastCommand"]["by"], "ann@example.com (Slack)");
        // The same request again; and the old button, once the release has gone on.
        assert_eq!(send(&controller, &click, at, SIGNING_SECRET).await, 401);
        let second = until_shown(slack, scenario, "web", "the second pause", |one| {
            one.text.contains("60 %") && paused(one)
        })
        .await;
        assert_eq!(second.ts, first.ts, "one message a release");
        assert_eq!(send(&controller, &click, now(), SIGNING_SECRET).await, 200);
        let why = until_whispered(slack, scenario, ANN, 1).await;
        assert!(why.contains("the release has gone on to another step"), "{why}");

        let click = second.click("Promote", ANN).unwrap();
        assert_eq!(send(&controller, &click, now(), SIGNING_SECRET).await, 200);
        scenario.until_released("web").await;
        let last = until_shown(slack, scenario, "web", "the end", |one| {
            one.text.contains("promoted after") && one.buttons().is_empty()
        })
        .await;
        assert_eq!(last.ts, first.ts);
        let told = |slack: &Slack| -> Vec<String> {
            let all = slack.messages().into_iter();
            let thread = all.filter(|one| one.thread.as_ref() == Some(&last.ts));
            thread.map(|one| one.text.lines().last().unwrap_or_default().to_owned()).collect()
        };
        scenario.poll("the whole thread", async || (told(slack).len() == 8).then_some(())).await;
        let told = told(slack);
        assert!(told[0].contains("starts, attempt 1: app:v2"), "{told:?}");
        assert_eq!(told[2], "step 2 of 4: pause until somebody promotes");
        assert_eq!(told[3], "promote by ann@example.com (Slack): step 2 of 4 ended by promote");
        assert!(told[7].starts_with("promoted after"), "{told:?}");

        a_slack_that_does_not_answer_delays_nothing(scenario, slack, &app).await;
        let log = controller.logged();
        assert!(log.contains("TRACE"), "it logs all");
        for hidden in [TOKEN, SIGNING_SECRET] {
            assert!(!log.contains(hidden), "a secret shows in the log");
        }
    });
}

/// Whoever is not Slack, nobody in Kubernetes, or without the right promotes nothing.
async fn refusals(scenario: &Scenario, slack: &Slack, controller: &Controller, shown: &Message) {
    let click = |user: &str| shown.click("Promote", user).unwrap();
    assert_eq!(send(controller, &click(ANN), now(), "another secret").await, 401);
    for apart in [-400, 400] {
        assert_eq!(send(controller, &click(ANN), now() + apart, SIGNING_SECRET).await, 401);
    }
    assert_eq!(send(controller, &click(BOB), now(), SIGNING_SECRET).await, 200);
    let why = until_whispered(slack, scenario, BOB, 1).await;
    assert_eq!(
        why,
        "bob@example.com may not promote Rollout notified/web: this needs the verb promote on \
         rollouts.sluice.dev, which the roles sluice-operate and sluice-edit have."
    );
    assert_eq!(send(controller, &click("USTRANGER"), now(), SIGNING_SECRET).await, 200);
    let stranger = async || {
        let all = slack.whispers();
        all.iter()
            .any(|one| one["text"].to_string().contains("`USTRANGER: {user: …}`"))
            .then_some(())
    };
    scenario.poll("a word to a stranger", stranger).await;
    let status = scenario.seen().get("Rollout", "web")["status"].clone();
    assert_eq!(status["step"]["index"], 1, "nothing was promoted");
}

async fn a_slack_that_does_not_answer_delays_nothing(
    scenario: &Scenario,
    slack: &Slack,
    app: &App,
) {
    let about = format!("*web* in {}:", scenario.namespace);
    let name = scenario.namespace.clone();
    // Only for this test: others have messages in this Slack, too.
    slack.set_deaf(Some(name.clone()));
    scenario.release(app, "app:v3").await;
    scenario.until_paused_at("web", 2).await;
    scenario.user.sluice("promote web --full").await.expect("promote");
    scenario.until_released("web").await;
    let of_three = |one: &Message| one.text.contains(&about) && one.text.contains("app:v3");
    assert!(!slack.messages().iter().any(of_three), "it was released before Slack heard of it");
    slack.set_deaf(None);
    until_shown(slack, scenario, "web", "the end of the third version", |one| {
        of_three(one) && one.text.contains("promoted after")
    })
    .await;
    let heads = slack.messages().into_iter().filter(|one| one.thread.is_none() && of_three(one));
    assert_eq!(heads.count(), 1, "one message a release");
}

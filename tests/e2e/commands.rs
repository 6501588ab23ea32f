//! What people ask of a release with `kubectl sluice`.

use serde_json::Value;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

/// Exit codes of `kubectl sluice status`.
mod code {
    pub const HEALTHY: i32 = 0;
    pub const REFUSED: i32 = 1;
    pub const ABORTED: i32 = 4;
    pub const WAITING: i32 = 5;
    pub const TIMED_OUT: i32 = 6;
    pub const NOT_FOUND: i32 = 7;
    pub const IN_PROGRESS: i32 = 8;
}

const TWO_PAUSES: &str = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {pause: {}}]";

async fn status_code(scenario: &Scenario) -> i32 {
    scenario.user.sluice("status web").await.code
}

#[test]
fn promote_ends_one_pause_at_a_time() {
    scenario("promote", async |scenario| {
        let app = App::new("web", TWO_PAUSES);
        scenario.deploy(&app).await;
        assert_eq!(status_code(scenario).await, code::HEALTHY);
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        assert_eq!(status_code(scenario).await, code::WAITING);
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_paused_at("web", 4).await;
        scenario.user.sluice("promote web").await.expect("promote");
        let watched = scenario.user.sluice("status web --watch --timeout 60s").await;
        assert_eq!(watched.code, code::HEALTHY, "{watched:?}");
        scenario.until_released("web").await;
    });
}

#[test]
fn abort_takes_the_traffic_back_and_retry_starts_at_the_first_step() {
    scenario("abort-retry", async |scenario| {
        let app = App::new("web", TWO_PAUSES);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let canary = scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("abort web --reason errors").await.expect("abort");
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Command");
        assert_eq!(aborted["abort"]["reason"], "errors");
        assert_eq!(status_code(scenario).await, code::ABORTED);
        scenario.user.sluice("retry web").await.expect("retry");
        let again = scenario.until_paused_at("web", 2).await;
        assert_eq!(again["attempt"], 2);
        assert_eq!(again["currentRevision"], canary["currentRevision"]);
        scenario.user.sluice("promote web --full").await.expect("promote --full");
        let released = scenario.until_released("web").await;
        assert_eq!(released["stableRevision"], canary["currentRevision"]);
    });
}

#[test]
fn promote_full_goes_from_an_abort_to_the_end() {
    scenario("promote-full", async |scenario| {
        let app = App::new("web", TWO_PAUSES);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
        scenario.user.sluice("promote web --full").await.expect("promote --full");
        scenario.until_released("web").await;
        let nothing = scenario.user.sluice("promote web --full").await;
        assert_eq!(nothing.code, 0, "nothing to do is no failure: {nothing:?}");
    });
}

#[test]
fn pause_holds_and_resume_goes_on() {
    scenario("pause-resume", async |scenario| {
        let steps = "[{setWeight: 20}, {pause: {}}, {setWeight: 60}, {setWeight: 80}]";
        let app = App::new("web", steps);
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("pause web").await.expect("pause");
        scenario.user.sluice("promote web").await.expect("promote");
        let held = scenario
            .until_status("web", "a hold before the next step", |status| {
                status["step"]["index"] == 2 && status["phase"] == "Paused"
            })
            .await;
        assert_eq!(held["weights"]["canary"], 20);
        scenario.user.sluice("resume web").await.expect("resume");
        scenario.until_released("web").await;
    });
}

#[test]
fn a_command_for_another_revision_is_refused() {
    scenario("late-command", async |scenario| {
        let app = App::new("web", TWO_PAUSES);
        let first = scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        // As somebody who still looks at the page of the last release would write it.
        let revision = first["currentRevision"].as_str().unwrap();
        let command = format!(
            r#"{{"verb":"promote","revision":"{revision}","by":"late","id":"late-1","reason":""}}"#
        );
        let patch =
            serde_json::json!({"metadata": {"annotations": {"sluice.dev/command": command}}});
        let patch = patch.to_string();
        let words = ["patch", "rollout", "web", "--type=merge", "-p", &patch];
        scenario.user.run("kubectl".as_ref(), &words, "").await.expect("the annotation");
        let refused = scenario
            .until_status("web", "the refusal", |status| status["lastCommand"]["id"] == "late-1")
            .await;
        assert_eq!(refused["lastCommand"]["accepted"], false);
        assert_eq!(refused["phase"], "Paused");
        let text = scenario.until_event("web", "CommandRefused").await;
        assert!(text.contains("it was meant for revision"), "{text}");
    });
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    scenario("refused", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}]");
        scenario.deploy(&app).await;
        let before = scenario.seen().get("Rollout", "web")["status"].clone();
        let aborted = scenario.user.sluice("abort web").await;
        assert!(format!("{aborted:?}").contains("no release in progress"), "{aborted:?}");
        let retried = scenario.user.sluice("retry web").await;
        assert_eq!(retried.code, code::REFUSED, "{retried:?}");
        assert_eq!(scenario.user.sluice("status nothing").await.code, code::NOT_FOUND);
        let without_command = |status: &Value| {
            let mut status = status.clone();
            status.as_object_mut().unwrap().remove("lastCommand");
            status
        };
        let after = scenario.seen().get("Rollout", "web")["status"].clone();
        assert_eq!(without_command(&after), without_command(&before));
    });
}

#[test]
fn status_tells_progress_and_timeout_by_its_exit_code() {
    scenario("status-codes", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}]");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:never-ready").await;
        let canary = "pods of the canary";
        scenario.until_status("web", canary, |status| status["updatedReplicas"] == 1).await;
        assert_eq!(status_code(scenario).await, code::IN_PROGRESS);
        let watched = scenario.user.sluice("status web --watch --timeout 1s").await;
        assert_eq!(watched.code, code::TIMED_OUT, "{watched:?}");
        scenario.user.sluice("abort web").await.expect("abort");
        let watched = scenario.user.sluice("status web --watch --timeout 60s").await;
        assert_eq!(watched.code, code::ABORTED, "{watched:?}");
    });
}

//! A version whose pods never serve.

use sluice::sim::invariants::canary_weights;

use crate::{app::App, scenario::scenario};

#[test]
fn a_canary_that_is_never_ready_is_aborted_at_the_deadline() {
    scenario("never-ready", async |scenario| {
        let app = App::new("web", "[{setWeight: 30}, {pause: {}}]").set("/progressDeadline", "3s");
        let stable = scenario.deploy(&app).await;
        scenario.release(&app, "app:never-ready").await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Deadline");
        assert_eq!(aborted["abort"]["by"], "sluice");
        let canary = aborted["currentRevision"].as_str().unwrap();
        let message = aborted["message"].as_str().unwrap();
        let pod = format!("web-{canary}-");
        assert!(message.contains(&pod), "it names the pod {pod}: {message}");
        assert!(message.contains("no progress for 3s"), "{message}");
        assert_eq!(aborted["stableRevision"], stable["stableRevision"]);

        let seen = scenario.seen();
        let rollout = seen.get("Rollout", "web");
        assert_eq!(canary_weights(&seen.changes, rollout, "web"), [0], "the weight never rose");
        let set = format!("web-{}", stable["stableRevision"].as_str().unwrap());
        for set in
            seen.history("ReplicaSet", &set).skip_while(|set| set["status"]["readyReplicas"] != 3)
        {
            assert_eq!(set["status"]["readyReplicas"], 3, "stable is untouched");
        }
    });
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_and_the_next_version_goes_through() {
    scenario("bad-image", async |scenario| {
        let app = App::new("web", "[{setWeight: 30}]").set("/progressDeadline", "3s");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:badimage").await;
        let aborted = scenario.until_rolled_back("web").await;
        let message = aborted["message"].as_str().unwrap();
        assert!(message.contains("ImagePullBackOff"), "{message}");
        scenario.release(&app, "app:v3").await;
        scenario.until_released("web").await;
    });
}

#[test]
fn without_progress_deadline_abort_it_is_only_said() {
    scenario("no-abort", async |scenario| {
        let app = App::new("web", "[{setWeight: 30}]")
            .set("/progressDeadline", "2s")
            .set("/progressDeadlineAbort", "false");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:crash").await;
        let stuck = scenario
            .until_status("web", "the deadline", |status| status["phase"] == "Degraded")
            .await;
        assert!(stuck["abort"].is_null(), "{stuck}");
        let message = stuck["message"].as_str().unwrap();
        // Between two crashes the container runs, and is not ready.
        let said = ["CrashLoopBackOff", "ended with exit code 1"];
        assert!(said.iter().any(|said| message.contains(said)), "{message}");
        assert_eq!(scenario.user.sluice("status web").await.code, 3, "degraded");
        scenario.release(&app, "app:v3").await;
        scenario.until_released("web").await;
    });
}

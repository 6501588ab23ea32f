//! Smoke tests: Jobs that a step waits for.

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

/// Steps with a smoke test at 20 %.
fn steps(image: &str) -> String {
    format!(
        "[{{setWeight: 20}}, {{job: {{spec: {{template: {{spec: {{restartPolicy: Never, \
         containers: [{{name: smoke, image: '{image}'}}]}}}}}}}}}}, {{setWeight: 60}}]"
    )
}

/// Jobs that were ever created, as the API server answered.
fn jobs_created(scenario: &Scenario) -> usize {
    let calls = scenario.calls();
    let created = calls
        .iter()
        .filter(|call| call.verb == "create" && call.resource() == "jobs" && call.succeeded());
    created.count()
}

#[test]
fn a_smoke_test_that_passes_lets_the_release_go_on() {
    scenario("smoke-passes", async |scenario| {
        let app = App::new("web", &steps("smoke:v1"));
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_released("web").await;
        assert_eq!(jobs_created(scenario), 1);
    });
}

#[test]
fn a_smoke_test_that_fails_rolls_back() {
    scenario("smoke-fails", async |scenario| {
        let app = App::new("web", &steps("smoke:exit1"));
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Analysis");
        assert_eq!(jobs_created(scenario), 1);
    });
}

#[test]
fn a_smoke_test_whose_image_cannot_be_pulled_asks_a_person() {
    scenario("smoke-no-image", async |scenario| {
        let app = App::new("web", &steps("smoke:badimage"));
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let paused = scenario.until_paused_at("web", 2).await;
        assert_eq!(paused["analysis"]["step"]["phase"], "Inconclusive");
        assert_eq!(paused["weights"]["canary"], 20);
        scenario.until_event("web", "AnalysisInconclusive").await;
        assert_eq!(scenario.user.sluice("status web").await.code, 5, "waits for a person");
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
    });
}

#[test]
fn an_abort_ends_a_smoke_test_that_hangs() {
    scenario("smoke-hangs", async |scenario| {
        let app = App::new("web", &steps("smoke:hang"));
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until("the Job", |seen| seen.all("Job").next().map(|_| ())).await;
        scenario.user.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
        let run = scenario
            .until("the end of the run", |seen| {
                let run = seen.all("AnalysisRun").next()?;
                (run["status"]["phase"] == "Stopped").then(|| run.clone())
            })
            .await;
        assert_eq!(run["spec"]["terminate"], true);
        scenario
            .until("the Job's end", |seen| {
                let mut jobs = seen.all("Job");
                jobs.all(|job| job["status"]["active"].as_u64().unwrap_or(0) == 0).then_some(())
            })
            .await;
    });
}

//! The controller dies at any moment and is started again.

use std::collections::BTreeSet;

use sluice::sim::invariants::canary_weights;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::{controller::Controller, random::Random},
};

/// Kills per release.
const KILLS: u64 = 8;

/// Kills the controller after so many more changes in the namespace, whatever they are.
async fn kill_after(scenario: &Scenario, controller: Controller, changes: usize) {
    let until = scenario.seen().changes.len() + changes;
    let done = |seen: &crate::support::recorder::Seen| {
        let status = &seen.get("Rollout", "web")["status"];
        status["phase"] == "Healthy" && status["history"][0]["images"][0] == "app:v2"
    };
    let what = format!("{changes} more changes, or the end of the release");
    scenario.until(&what, |seen| (seen.changes.len() >= until || done(seen)).then_some(())).await;
    controller.kill().await;
}

#[test]
fn killed_at_random_moments_it_reaches_the_same_end() {
    scenario("killed", async |scenario| {
        let mut random = Random::seeded();
        let smoke = "{job: {spec: {template: {spec: {restartPolicy: Never, \
                     containers: [{name: smoke, image: 'smoke:v1'}]}}}}}";
        let steps = format!(
            "[{{setWeight: 20}}, {{setWeight: 40}}, {smoke}, {{setWeight: 60}}, \
             {{pause: {{duration: 300ms}}}}, {{setWeight: 80}}, {{setWeight: 100}}]"
        );
        let app = App::new("web", &steps).instance("killed");
        let flags = ["--no-leader-election"];
        let mut controller = scenario.controller("first", "killed", &flags).await;
        scenario.deploy(&app).await;
        scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        for kill in 0..KILLS {
            let changes = random.below(12);
            kill_after(scenario, controller, usize::try_from(changes).unwrap()).await;
            let name = format!("after-{kill}");
            controller = scenario.controller(&name, "killed", &flags).await;
        }
        let released = scenario.until_released("web").await;
        assert_eq!(released["history"][0]["images"][0], "app:v2");
        assert_eq!(released["attempt"], 1);

        // The steps' weights and no others, each once; back to 0 when stable has moved.
        let seen = scenario.seen();
        let weights = canary_weights(&seen.changes, seen.get("Rollout", "web"), "web");
        assert_eq!(weights, [0, 20, 40, 60, 80, 100, 0]);
        // The history counts what took effect. The audit log calls a write failed whose client was
        // killed before the answer, though etcd has it.
        let created = |kind: &str| {
            let names = seen.changes.iter().filter(|change| change.key.0 == kind);
            names.map(|change| &change.key.1).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(created("Job"), 1, "no measurement is taken twice");
        assert_eq!(created("AnalysisRun"), 1);
        assert_eq!(created("ReplicaSet"), 2);
        let states = seen.history("VirtualService", "web").count();
        assert_eq!(
            states,
            weights.len(),
            "each write of the route was a step, and none was repeated"
        );
    });
}

#[test]
fn killed_before_it_sees_an_abort_it_rolls_back_when_it_is_back() {
    scenario("killed-abort", async |scenario| {
        let app = App::new("web", "[{setWeight: 60}, {pause: {}}]").instance("killed-abort");
        let flags = ["--no-leader-election"];
        let controller = scenario.controller("first", "killed-abort", &flags).await;
        scenario.deploy(&app).await;
        scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        scenario.until_paused_at("web", 2).await;
        controller.kill().await;
        let sent = scenario.user.sluice("abort web --no-wait").await;
        sent.expect("the command can be given while no controller runs");
        let _controller = scenario.controller("second", "killed-abort", &flags).await;
        let aborted = scenario.until_rolled_back("web").await;
        assert_eq!(aborted["abort"]["cause"], "Command");
    });
}

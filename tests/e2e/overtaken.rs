//! A newer revision arrives while another is under way.

use crate::{app::App, scenario::scenario};

#[test]
fn a_newer_revision_overtakes_a_canary_at_80_percent() {
    scenario("overtaken", async |scenario| {
        let app = App::new("web", "[{setWeight: 80}, {pause: {}}]").set("/replicas", "5");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        let second = scenario.until_weight("web", 80).await;
        scenario.release(&app, "app:v3").await;
        let third = scenario
            .until_status("web", "v3 at 80 %", |status| {
                status["currentRevision"] != second["currentRevision"]
                    && status["phase"] == "Paused"
                    && status["weights"]["canary"] == 80
            })
            .await;
        scenario.user.sluice("promote web").await.expect("promote");
        let released = scenario.until_released("web").await;
        assert_eq!(released["stableRevision"], third["currentRevision"]);
        assert_eq!(released["history"][0]["images"][0], "app:v3");
        assert_eq!(released["history"][1]["outcome"], "Superseded");
    });
}

#[test]
fn going_back_to_the_stable_template_ends_the_release() {
    scenario("reverted", async |scenario| {
        let app = App::new("web", "[{setWeight: 40}, {pause: {}}]");
        let first = scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_weight("web", 40).await;
        scenario.release(&app, "app:v1").await;
        let back = scenario
            .until_status("web", "stable again", |status| {
                status["phase"] == "Healthy" && status["weights"]["canary"] == 0
            })
            .await;
        assert_eq!(back["stableRevision"], first["stableRevision"]);
        assert_eq!(back["currentRevision"], first["stableRevision"]);
    });
}

//! Releases that Istio's own metrics judge, by the templates as they are shipped.

use crate::{
    load::{Outcome, Sample},
    shop::{Layout, Shop},
    stage::{Stage, play},
};

/// A fifth of the users, for as long as the verdict takes; judged by errors and by latency.
const JUDGED: &str = r#"
scaleDownDelay: 0s
abortScaleDownDelay: 1s
analysis:
  templates:
    - {templateName: success-rate, clusterScope: true}
    - {templateName: latency, clusterScope: true}
  args:
    - {name: window, value: 30s}
    - {name: max-latency-ms, value: "75"}
steps: [{setWeight: 20}, {pause: {duration: 3m}}]
"#;

/// Version 1 answers in 40 ms.
const GOOD: &str = "shop:v1-slow40ms";

#[test]
fn a_version_with_errors_is_found_and_rolled_back() {
    play("judged-errors", async |stage| {
        let claim = "judged: a version with 5 % errors at weight 20";
        rolled_back(
            stage,
            "shop:v2-slow40ms-errors5",
            claim,
            |sample| matches!(&sample.outcome, Outcome::AppError(version) if version == "v2"),
        )
        .await;
    });
}

#[test]
fn a_slow_version_is_found_and_rolled_back() {
    play("judged-latency", async |stage| {
        let claim = "judged: a version of twice the latency at weight 20";
        rolled_back(
            stage,
            "shop:v2-slow80ms",
            claim,
            |sample| matches!(&sample.outcome, Outcome::Served(version) if version == "v2"),
        )
        .await;
    });
}

#[test]
fn a_good_version_goes_through() {
    play("judged-good", async |stage| {
        let shop = judged_shop(stage).set("/strategy/canary/steps/1/pause/duration", "95s");
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2-slow40ms").await;
        let status = stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("judged: a good version").await;
        closed.shared(&stage.weights_to_promotion(), "v2").lost_at_most(0, "promoted");
        let runs: Vec<_> = stage.seen().all("AnalysisRun").cloned().collect();
        let measured = runs
            .iter()
            .flat_map(|run| run["status"]["metricResults"].as_array().cloned().unwrap_or_default());
        let good =
            measured.filter(|metric| metric["successful"].as_i64().is_some_and(|count| count >= 2));
        assert_eq!(
            good.count(),
            2,
            "both metrics were measured and found good: {status} {runs:#?}"
        );
    });
}

/// Compared with stable over the same minutes.
const COMPARED: &str = "
scaleDownDelay: 0s
abortScaleDownDelay: 1s
analysis: {templates: [{templateName: compare-errors, clusterScope: true}]}
steps: [{setWeight: 30}, {pause: {duration: 20s}}]
";

#[test]
fn an_incident_in_both_versions_holds_the_release_and_blames_nobody() {
    play("judged-incident", async |stage| {
        let shop = stage.shop(Layout::Hosts, COMPARED).image("shop:v1-errors10");
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2-errors10").await;
        stage
            .until("the incident to be found", |seen| {
                let mut runs = seen.all("AnalysisRun").map(|run| run["status"].to_string());
                runs.any(|status| status.contains("shared incident")).then_some(())
            })
            .await;
        // Beyond the pause that would have ended the step.
        stage.until_answered(6000).await;
        {
            let seen = stage.seen();
            let status = &seen.get("Rollout", "shop")["status"];
            assert!(status["abort"].is_null(), "{status:#}");
            assert_eq!(status["weights"]["canary"], 30, "{status:#}");
        }
        stage.user.sluice("abort shop --reason incident").await.expect("abort");
        stage.until_rolled_back("shop").await;
        let closed = stage.close("judged: 10 % errors in both versions").await;
        let note = "held as a shared incident, until a person aborted";
        closed.shared(&stage.weights(), "v2").lost_at_most(0, note);
    });
}

fn judged_shop(stage: &Stage) -> Shop {
    stage.shop(Layout::Hosts, JUDGED).image(GOOD)
}

/// The release of a bad version, up to the moment when all is back.
async fn rolled_back(stage: &Stage, image: &str, claim: &'static str, is_bad: fn(&Sample) -> bool) {
    let shop = judged_shop(stage);
    stage.open_shop(&shop).await;
    stage.release(&shop, image).await;
    stage.until_rolled_back("shop").await;
    stage.until_answered(400).await;
    let mut closed = stage.close(claim).await;
    let bad: Vec<&Sample> = closed.samples.iter().filter(|sample| is_bad(sample)).collect();
    let first = bad.first().expect("users met the bad version").ended;
    let weights = stage.weights();
    let back = weights.iter().rfind(|weight| weight.percent == 0).expect("it was rolled back");
    let note = format!(
        "{:.0} s from the first bad answer to weight 0; {} bad answers",
        back.since.duration_since(first).as_secs_f64(),
        bad.len(),
    );
    closed = closed.shared(&weights, "v2");
    closed.lost_at_most(0, &note);
}

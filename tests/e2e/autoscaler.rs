//! The real HorizontalPodAutoscaler on a Rollout: what pods use is served by the metrics API of
//! `tests/cluster`.

use serde_json::{Value, json};

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

/// Looks of the autoscaler after which it is taken to have made up its mind.
const LOOKS: usize = 6;

/// An autoscaler that keeps pods at 80 % of their CPU request.
fn autoscaler(name: &str, least: u32, most: u32) -> String {
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "name": name},
            "minReplicas": least, "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    })
    .to_string()
}

/// The same with Kubernetes' own patience before it scales down, which that of `tests/cluster` lacks:
/// while pods are replaced, some have gone before others count.
fn patient_autoscaler(name: &str, least: u32, most: u32) -> String {
    let mut object: Value = serde_json::from_str(&autoscaler(name, least, most)).unwrap();
    object["spec"]["behavior"] = json!({"scaleDown": {"stabilizationWindowSeconds": 300}});
    object.to_string()
}

/// An app whose pods ask for 100m of CPU.
fn app(steps: &str, replicas: u32) -> App {
    App::new("web", steps)
        .set("/replicas", &replicas.to_string())
        .set("/template/spec/containers", "[{name: app, resources: {requests: {cpu: 100m}}}]")
}

/// The same, where each pod uses 70m whatever else there is: an autoscaler that counted the pods on
/// top would raise their number for ever, because 70/80 of twice as many pods are more than there
/// should be.
fn with_load_of_its_own(steps: &str) -> App {
    app(steps, 4)
        .set("/template/metadata", "{labels: {app: web}, annotations: {testcluster/cpu: 70m}}")
}

/// A load that the ready pods behind a Service share.
async fn load(scenario: &Scenario, service: &str, load: &str) {
    let line = format!("annotate service {service} testcluster/load-cpu={load} --overwrite");
    scenario.user.kubectl(&line, "").await.expect("annotate");
}

async fn until_replicas(scenario: &Scenario, replicas: u32) -> Value {
    scenario
        .until(&format!("{replicas} replicas, available"), |seen| {
            let rollout = seen.get("Rollout", "web");
            let there = rollout["spec"]["replicas"] == replicas
                && rollout["status"]["availableReplicas"].as_u64() >= Some(replicas.into())
                && rollout["status"]["replicas"] == replicas;
            there.then(|| rollout.clone())
        })
        .await
}

/// Waits until the autoscaler has looked a few times more.
async fn until_it_has_looked(scenario: &Scenario) {
    let looks = || {
        let calls = scenario.calls();
        let its = calls.iter().filter(|call| call.user() == "testcluster:controller-manager");
        its.filter(|call| call.verb == "get" && call.resource() == "rollouts/scale").count()
    };
    let before = looks();
    scenario
        .poll("looks of the autoscaler", async || (looks() >= before + LOOKS).then_some(()))
        .await;
}

/// All values that `spec.replicas` has had.
fn replicas_seen(scenario: &Scenario) -> Vec<u64> {
    let seen = scenario.seen();
    let mut values: Vec<u64> = seen
        .history("Rollout", "web")
        .filter_map(|rollout| rollout["spec"]["replicas"].as_u64())
        .collect();
    values.dedup();
    values
}

/// How many pods `status.selector` selects, as the autoscaler reads it.
async fn counted(scenario: &Scenario) -> usize {
    let path =
        format!("/apis/sluice.dev/v1alpha1/namespaces/{}/rollouts/web/scale", scenario.namespace);
    let scale = scenario.user.kubectl(&format!("get --raw {path}"), "").await.expect("the scale");
    let scale: Value = serde_json::from_str(&scale).unwrap();
    let selector = scale["status"]["selector"].as_str().unwrap();
    let pods = scenario.user.kubectl(&format!("get pods -o name -l {selector}"), "").await;
    pods.expect("pods").lines().count()
}

#[test]
fn an_autoscaler_scales_a_rollout_up_and_down_and_in_a_pause() {
    scenario("hpa-load", async |scenario| {
        let app = app("[{setWeight: 50}, {pause: {}}]", 2);
        scenario.deploy(&app).await;
        load(scenario, "web-stable", "400m").await;
        scenario.user.apply(&autoscaler("web", 2, 10)).await;
        until_replicas(scenario, 5).await;
        load(scenario, "web-stable", "240m").await;
        until_replicas(scenario, 3).await;

        scenario.release(&app.clone().set("/replicas", "3"), "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        // All users come more often; half of them reach the canary.
        load(scenario, "web-stable", "480m").await;
        load(scenario, "web-canary", "480m").await;
        scenario
            .until("more pods in the pause", |seen| {
                let status = &seen.get("Rollout", "web")["status"];
                let grown = status["replicas"].as_u64() >= Some(8)
                    && status["updatedAvailableReplicas"].as_u64() >= Some(4);
                (grown && status["weights"]["canary"] == 50).then_some(())
            })
            .await;
        until_it_has_looked(scenario).await;
        // 960m need twelve pods. Stable stands by with pods that have half as much to do as they could:
        // up to a quarter of the need is not seen (docs/operations.md).
        let last = replicas_seen(scenario).pop();
        assert!(last.is_some_and(|replicas| (8..12).contains(&replicas)), "{last:?}");
        scenario.user.sluice("promote web").await.expect("promote");
        let stable = scenario.until_released("web").await;
        assert_eq!(stable["weights"]["canary"], 0);
    });
}

#[test]
fn a_canary_on_top_does_not_make_an_autoscaler_run_away() {
    scenario("hpa-surge", async |scenario| {
        let steps = "[{setCanaryScale: {replicas: 4}}, {pause: {}}, {setWeight: 50}, {pause: {}}, \
                     {setWeight: 100}, {pause: {}}]";
        let app = with_load_of_its_own(steps);
        scenario.deploy(&app).await;
        scenario.user.apply(&autoscaler("web", 2, 40)).await;
        until_it_has_looked(scenario).await;
        scenario.release(&app, "app:v2").await;
        for step in [2, 4, 6] {
            let paused = scenario.until_paused_at("web", step).await;
            assert_eq!(paused["updatedAvailableReplicas"], 4);
            assert_eq!(paused["availableReplicas"], 8, "the canary is on top");
            until_it_has_looked(scenario).await;
            assert_eq!(counted(scenario).await, 4, "exactly the desired share counts");
            scenario.user.sluice("promote web").await.expect("promote");
        }
        scenario.until_released("web").await;
        until_it_has_looked(scenario).await;
        assert_eq!(replicas_seen(scenario), [4], "lesson 33");
        assert_eq!(counted(scenario).await, 4);
    });
}

#[test]
fn an_abort_with_an_autoscaler_ends_and_all_pods_of_stable_count() {
    scenario("hpa-abort", async |scenario| {
        let app = with_load_of_its_own("[{setWeight: 75}, {pause: {}}]");
        scenario.deploy(&app).await;
        scenario.user.apply(&autoscaler("web", 2, 40)).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        until_it_has_looked(scenario).await;
        // The autoscaler scales in while the abort is on its way (lesson 35).
        let pods = "annotate pods -l app=web testcluster/cpu=20m --overwrite";
        scenario.user.kubectl(pods, "").await.expect("annotate");
        scenario.user.sluice("abort web").await.expect("abort");
        scenario.until_rolled_back("web").await;
        scenario
            .until("two replicas, all of stable", |seen| {
                let status = &seen.get("Rollout", "web")["status"];
                (status["replicas"] == 2 && status["availableReplicas"] == 2).then_some(())
            })
            .await;
        assert_eq!(counted(scenario).await, 2);
    });
}

#[test]
fn the_preview_of_a_blue_green_release_does_not_count() {
    scenario("hpa-blue-green", async |scenario| {
        let strategy = "{blueGreen: {activeService: web-stable, previewService: web-canary, \
                        autoPromotionEnabled: false, scaleDownDelay: 1s}}";
        let app = with_load_of_its_own("[]").set("/strategy", strategy);
        scenario.deploy(&app).await;
        scenario.user.apply(&autoscaler("web", 2, 40)).await;
        scenario.release(&app, "app:v2").await;
        scenario
            .until_status("web", "the preview", |status| {
                status["phase"] == "Paused" && status["availableReplicas"] == 8
            })
            .await;
        until_it_has_looked(scenario).await;
        assert_eq!(counted(scenario).await, 4);
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
        until_it_has_looked(scenario).await;
        assert_eq!(replicas_seen(scenario), [4]);
        assert_eq!(counted(scenario).await, 4);
    });
}

#[test]
fn the_surge_of_rolling_and_of_a_canary_by_pods_does_not_count() {
    for (name, strategy) in [
        ("rolling", "{rolling: {maxSurge: 100%, maxUnavailable: 0}}"),
        ("by-pods", "{canary: {maxSurge: 100%, steps: [{setWeight: 50}, {pause: {}}]}}"),
    ] {
        scenario(&format!("hpa-{name}"), async |scenario| {
            let app = with_load_of_its_own("[]").set("/strategy", strategy);
            scenario.deploy(&app).await;
            scenario.user.apply(&patient_autoscaler("web", 2, 40)).await;
            until_it_has_looked(scenario).await;
            scenario.release(&app, "app:v2").await;
            if name == "by-pods" {
                scenario.until_paused_at("web", 2).await;
                until_it_has_looked(scenario).await;
                scenario.user.sluice("promote web").await.expect("promote");
            }
            scenario.until_released("web").await;
            until_it_has_looked(scenario).await;
            assert_eq!(replicas_seen(scenario), [4]);
        });
    }
}

#[test]
fn a_sync_that_writes_replicas_does_not_take_the_pods_away() {
    scenario("hpa-gitops", async |scenario| {
        let app = app("[]", 2);
        scenario.deploy(&app).await;
        load(scenario, "web-stable", "400m").await;
        scenario.user.apply(&autoscaler("web", 2, 10)).await;
        until_replicas(scenario, 5).await;
        // The manifest in Git says 1 (lesson 34); without `replicas` it would leave them alone.
        scenario.user.apply(&app.clone().set("/replicas", "1").rollout()).await;
        until_replicas(scenario, 5).await;
        let seen = scenario.seen();
        let fewest = seen
            .history("Rollout", "web")
            .skip_while(|rollout| rollout["status"]["phase"] != "Healthy")
            .filter_map(|rollout| rollout["status"]["availableReplicas"].as_u64())
            .min();
        assert!(fewest >= Some(1), "stable is never at 0: {fewest:?}");
    });
}

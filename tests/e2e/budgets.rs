//! PodDisruptionBudgets and what evicts or resizes pods, such as a drain or a VerticalPodAutoscaler:
//! with the real disruption controller.

use serde_json::{Value, json};

use crate::{
    app::App,
    scenario::{Scenario, scenario},
};

fn budget(least: &Value) -> String {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}},
    })
    .to_string()
}

/// Waits until the budget expects so many pods, wants so many healthy, and allows so many to go.
async fn until_budget(scenario: &Scenario, expected: u64, healthy: u64, allowed: u64) {
    let what = format!("a budget of {healthy} of {expected} pods, {allowed} of which may go");
    let line = "get poddisruptionbudget web -o json";
    scenario
        .poll(&what, async || {
            let answer = scenario.user.kubectl(line, "").await;
            let budget: Value = serde_json::from_str(&answer.stdout).ok()?;
            let status = &budget["status"];
            let is = |field: &str, count: u64| status[field] == count;
            (is("expectedPods", expected)
                && is("desiredHealthy", healthy)
                && is("disruptionsAllowed", allowed))
            .then_some(())
        })
        .await;
}

/// The names of the pods with this image.
fn pods(scenario: &Scenario, image: &str) -> Vec<String> {
    let seen = scenario.seen();
    let of = |pod: &&Value| {
        pod["spec"]["containers"][0]["image"] == image
            && pod["metadata"]["deletionTimestamp"].is_null()
    };
    let names = seen.all("Pod").filter(of).filter_map(|pod| pod["metadata"]["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Evicts a pod, as `kubectl drain` does. Returns the API server's refusal, or nothing.
async fn evict(scenario: &Scenario, pod: &str) -> String {
    let namespace = &scenario.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
    let body = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    });
    scenario.user.kubectl(&format!("create --raw {path} -f -"), &body.to_string()).await.stderr
}

#[test]
fn a_budget_counts_the_pods_of_both_revisions_in_mid_release() {
    scenario("pdb-counts", async |scenario| {
        let app = App::new("web", "[{setWeight: 50}, {pause: {}}]").set("/replicas", "4");
        scenario.deploy(&app).await;
        scenario.user.apply(&budget(&json!("75%"))).await;
        until_budget(scenario, 4, 3, 1).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        // 75 % of four and two, rounded up.
        until_budget(scenario, 6, 5, 1).await;
        scenario.user.apply(&budget(&json!(4))).await;
        until_budget(scenario, 6, 4, 2).await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
        until_budget(scenario, 4, 4, 0).await;
        // Nobody may evict a pod now, but a release is not an eviction.
        scenario.release(&app, "app:v3").await;
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
    });
}

#[test]
fn evictions_in_mid_release_keep_to_the_budget_and_the_release_goes_on() {
    scenario("pdb-evictions", async |scenario| {
        let app = App::new("web", "[{setWeight: 50}, {pause: {}}]").set("/replicas", "4");
        scenario.deploy(&app).await;
        scenario.release(&app, "app:v2").await;
        scenario.until_paused_at("web", 2).await;
        let canary = pods(scenario, "app:v2");
        let stable = pods(scenario, "app:v1");
        scenario.user.apply(&budget(&json!(6))).await;
        until_budget(scenario, 6, 6, 0).await;
        let refused = evict(scenario, &stable[0]).await;
        assert!(refused.contains("violate the pod's disruption budget"), "{refused}");
        scenario.user.apply(&budget(&json!(5))).await;
        until_budget(scenario, 6, 5, 1).await;
        assert_eq!(evict(scenario, &canary[0]).await, "");
        // The weight follows what is left of the canary, and comes back with its pod.
        scenario.until_weight("web", 50).await;
        until_budget(scenario, 6, 5, 1).await;
        assert_eq!(evict(scenario, &stable[0]).await, "");
        until_budget(scenario, 6, 5, 1).await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
    });
}

/// Number of ReplicaSets: a release would have made another.
fn revisions(scenario: &Scenario) -> usize {
    scenario.seen().all("ReplicaSet").count()
}

#[test]
fn what_a_vertical_pod_autoscaler_does_to_pods_starts_no_release() {
    scenario("vpa", async |scenario| {
        let containers = "[{name: app, resources: {requests: {cpu: 100m}}}]";
        let app = App::new("web", "[]").set("/template/spec/containers", containers);
        scenario.deploy(&app).await;
        // How it finds the pods of its targetRef.
        let path = format!(
            "/apis/sluice.dev/v1alpha1/namespaces/{}/rollouts/web/scale",
            scenario.namespace
        );
        let groups = scenario.user.kubectl("get --raw /apis/sluice.dev/v1alpha1", "").await;
        let groups: Value = serde_json::from_str(&groups.expect("discovery")).unwrap();
        let mut resources = groups["resources"].as_array().unwrap().iter();
        let scale = resources.find(|resource| resource["name"] == "rollouts/scale").unwrap();
        assert_eq!(scale["kind"], "Scale");
        let scale = scenario.user.kubectl(&format!("get --raw {path}"), "").await;
        let scale: Value = serde_json::from_str(&scale.expect("the scale")).unwrap();
        assert_eq!(scale["status"]["replicas"], 3);
        let selector = scale["status"]["selector"].as_str().unwrap();
        let found = scenario.user.kubectl(&format!("get pods -o name -l {selector}"), "").await;
        assert_eq!(found.expect("pods").lines().count(), 3);

        // It evicts a pod, and the one in its place comes with other resources: here by a LimitRange,
        // which is an admission plugin as its webhook is.
        let range = json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "recommended"},
            "spec": {"limits": [{"type": "Container", "defaultRequest": {"memory": "64Mi"}}]},
        });
        scenario.user.apply(&range.to_string()).await;
        let pods = pods(scenario, "app:v1");
        assert_eq!(evict(scenario, &pods[0]).await, "");
        let resized = |pod: &&Value| {
            pod["spec"]["containers"][0]["resources"]["requests"]["memory"] == "64Mi"
        };
        scenario
            .until("the pod that takes its place", |seen| {
                let status = &seen.get("Rollout", "web")["status"];
                let there = seen.get("Pod", &pods[0]).is_null()
                    && seen.all("Pod").filter(resized).count() == 1;
                (there && status["availableReplicas"] == 3 && status["phase"] == "Healthy")
                    .then_some(())
            })
            .await;
        assert_eq!(revisions(scenario), 1);
        let seen = scenario.seen();
        assert_eq!(seen.get("Rollout", "web")["status"]["revision"], 1);
    });
}

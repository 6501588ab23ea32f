//! Releases while something else goes wrong.

use crate::{
    shop::Layout,
    stage::{Stage, is_ready, play},
};

const FIVE_STEPS: &str = "
scaleDownDelay: 0s
steps:
  - setWeight: 20
  - pause: {duration: 3s}
  - setWeight: 40
  - pause: {duration: 3s}
  - setWeight: 60
  - pause: {duration: 3s}
  - setWeight: 80
  - pause: {duration: 3s}
";

/// Waits for a person at one half.
const HALF: &str = "
scaleDownDelay: 0s
steps: [{setWeight: 50}, {pause: {}}]
";

/// The same with as many new pods as old ones.
const HALF_OF_FOUR: &str = "
scaleDownDelay: 0s
steps: [{setCanaryScale: {replicas: 4}}, {setWeight: 50}, {pause: {}}]
";

#[test]
fn a_controller_killed_at_every_step_loses_no_request() {
    play("controller-killed", async |stage| {
        let shop = stage.shop(Layout::Subsets, FIVE_STEPS);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        for weight in [20, 40, 60, 80] {
            stage.until_routed(weight).await;
            stage.kill_controller().await;
            stage.until_answered(200).await;
            stage.start_controller().await;
        }
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("the controller killed at every step").await;
        closed.shared(&stage.weights_to_promotion(), "v2").lost_at_most(0, "");
    });
}

#[test]
fn weights_that_gitops_puts_back_lose_no_request() {
    play("gitops", async |stage| {
        let shop = stage.shop(Layout::Hosts, HALF);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        for _ in 0..2 {
            stage.until_paused_at("shop", 2).await;
            stage.until_routed(50).await;
            stage.until_answered(300).await;
            stage.user.apply(&shop.virtual_service().to_string()).await;
        }
        stage.until_routed(50).await;
        stage.until_answered(300).await;
        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("a GitOps tool that resets the weights twice at 50 %").await;
        closed.shared(&stage.weights_to_promotion(), "v2").lost_at_most(0, "");
    });
}

#[test]
fn a_crash_of_a_pod_costs_no_more_than_without_a_release() {
    play("crash", async |stage| {
        // Four crashes without a release: what Istio itself loses then.
        let shop = stage.shop(Layout::Hosts, HALF_OF_FOUR).set("/replicas", "4").retried();
        stage.open_shop(&shop).await;
        for _ in 0..4 {
            crash(stage, "stableRevision").await;
        }
        let before = stage.close("four crashes without a release").await;
        let lost = before.tally.failed();
        before.lost_at_most(lost, "with Istio's own retries");

        stage.release(&shop, "shop:v2").await;
        stage.until_paused_at("shop", 3).await;
        stage.let_users_come(&shop).await;
        for revision in ["stableRevision", "currentRevision"].repeat(2) {
            crash(stage, revision).await;
        }
        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let after = stage.close("two crashes in each revision in mid-release").await;
        after.lost_at_most(lost + SLACK, "with Istio's own retries");
    });
}

/// Requests that are in flight to a pod at the moment of its crash, or are not, by chance.
const SLACK: usize = 4;

/// Lets a ready pod crash, and waits until it is ready again.
async fn crash(stage: &Stage, revision: &str) {
    let (name, restarts) = stage
        .until("a ready pod", |seen| {
            let status = &seen.get("Rollout", "shop")["status"];
            let mut pods = seen.all("Pod").filter(|pod| is_ready(pod));
            let pod = pods
                .find(|pod| pod["metadata"]["labels"]["sluice.dev/revision"] == status[revision])?;
            let name = pod["metadata"]["name"].as_str()?.to_owned();
            Some((name, pod["status"]["containerStatuses"][0]["restartCount"].as_u64()?))
        })
        .await;
    let kill = format!("annotate pod {name} --overwrite testcluster/kill=crash-{restarts}");
    stage.user.kubectl(&kill, "").await.expect("annotate");
    stage
        .until("the pod to be back", |seen| {
            let pod = seen.get("Pod", &name);
            let now = pod["status"]["containerStatuses"][0]["restartCount"].as_u64()?;
            (now > restarts && is_ready(pod)).then_some(())
        })
        .await;
    stage.until_answered(200).await;
}

//! Pods that come and go under a live Service: rolling releases, and scaling in mid-release. There
//! the pod itself must go on until the proxies know that it goes.

use crate::{
    shop::{Layout, Shop},
    stage::{Stage, play},
};

const BY_ONE: &str = "{maxSurge: 1, maxUnavailable: 0}";

#[test]
fn a_rolling_release_loses_no_request_where_pods_linger() {
    play("rolling", async |stage| {
        let shop = stage.shop(Layout::Rolling, BY_ONE).set("/replicas", "4").lingering();
        roll(stage, &shop, "rolling, pods with a `preStop` of 2 s").await;
    });
}

#[test]
fn a_rolling_release_without_linger_loses_what_retries_cannot_save() {
    play("rolling-abrupt", async |stage| {
        let shop = stage.shop(Layout::Rolling, BY_ONE).set("/replicas", "4").retried();
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("rolling, pods without `preStop`, Istio's retries").await;
        closed.lost_at_most(20, "as with a Deployment");
    });
}

async fn roll(stage: &Stage, shop: &Shop, claim: &'static str) {
    stage.open_shop(shop).await;
    stage.release(shop, "shop:v2").await;
    stage.until_released("shop").await;
    stage.until_alone("shop").await;
    stage.close(claim).await.lost_at_most(0, "");
}

#[test]
fn scaling_in_mid_release_loses_no_request() {
    play("scaled", async |stage| {
        let steps = "{steps: [{setWeight: 50}, {pause: {}}], scaleDownDelay: 0s}";
        let shop = stage.shop(Layout::Hosts, steps).set("/replicas", "4").lingering();
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        stage.until_paused_at("shop", 2).await;
        for replicas in [8, 2, 6] {
            stage
                .user
                .kubectl(&format!("scale rollout shop --replicas={replicas}"), "")
                .await
                .expect("scale");
            stage.until_pods(replicas, replicas / 2).await;
            stage.until_answered(300).await;
        }
        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("scaled from 4 to 8, 2 and 6 at 50 %").await;
        closed
            .shared(&stage.weights_to_promotion(), "v2")
            .lost_at_most(0, "pods with a `preStop` of 2 s");
    });
}

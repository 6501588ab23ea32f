//! Ways back, and forth in the middle of a release.

use serde_json::Value;

use crate::{
    shop::{Layout, Shop},
    stage::{Closed, Stage, play},
};

/// Up to 80 %, and then a person decides.
const TO_EIGHTY: &str = "
scaleDownDelay: 0s
abortScaleDownDelay: 1s
steps: [{setWeight: 20}, {pause: {duration: 2s}}, {setWeight: 80}, {pause: {}}]
";

/// Waits until the release waits at 80 %, and long enough there for its share to be counted.
async fn until_eighty(stage: &Stage) -> Value {
    let status = stage.until_paused_at("shop", 4).await;
    stage.until_answered(400).await;
    status
}

/// Aborts a release at 80 % and waits until stable is alone again; the row is called `told`.
async fn aborted_at_eighty(stage: &Stage, shop: &Shop, told: &'static str) -> Closed {
    stage.open_shop(shop).await;
    stage.release(shop, "shop:v2").await;
    until_eighty(stage).await;
    stage.user.sluice("abort shop --reason test").await.expect("abort");
    stage.until_rolled_back("shop").await;
    stage.until_alone("shop").await;
    stage.close(told).await
}

#[test]
fn an_abort_at_eighty_percent_loses_no_request() {
    play("abort", async |stage| {
        let shop = stage.shop(Layout::Hosts, TO_EIGHTY);
        let closed = aborted_at_eighty(stage, &shop, "abort at 80 %").await;
        closed.shared(&stage.weights(), "v2").lost_at_most(0, "");
    });
}

#[test]
fn an_abort_where_stable_had_shrunk_loses_no_request() {
    play("abort-dynamic", async |stage| {
        let shop = stage
            .shop(Layout::Hosts, TO_EIGHTY)
            .set("/strategy/canary/dynamicStableScale", "true")
            .set("/replicas", "5")
            .lingering();
        let told = "abort at 80 %, stable had shrunk with its weight";
        let closed = aborted_at_eighty(stage, &shop, told).await;
        closed.shared(&stage.weights(), "v2").lost_at_most(0, "pods with a `preStop` of 2 s");
    });
}

#[test]
fn a_third_version_overtakes_the_second_and_loses_no_request() {
    play("overtaken", async |stage| {
        let shop = stage.shop(Layout::Subsets, TO_EIGHTY);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        until_eighty(stage).await;
        stage.release(&shop, "shop:v3").await;
        until_eighty(stage).await;
        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        stage.close("a third version at 80 % of the second").await.lost_at_most(0, "");
    });
}

#[test]
fn a_promotion_in_full_loses_no_request() {
    play("promote-full", async |stage| {
        let shop = stage.shop(Layout::Hosts, TO_EIGHTY).set("/replicas", "4");
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2-start2s").await;
        stage.until_weight("shop", 20).await;
        stage.user.sluice("promote shop --full").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        stage.close("promotion in full from 20 %").await.lost_at_most(0, "");
    });
}

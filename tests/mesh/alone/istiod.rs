//! istiod goes, and comes back.

use crate::{shop::Layout, stage::play_alone};

const TWO_STEPS: &str = "
scaleDownDelay: 0s
steps: [{setWeight: 30}, {pause: {duration: 3s}}, {setWeight: 60}, {pause: {duration: 3s}}]
";

#[test]
fn an_istiod_killed_in_mid_release_loses_no_request() {
    play_alone("istiod-killed", async |stage| {
        let shop = stage.shop(Layout::Hosts, TWO_STEPS);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        stage.until_routed(30).await;
        stage.house.kill_istiod().await;
        // The proxies keep what they know; the release goes on to its end without them.
        stage.until_released("shop").await;
        stage.until_answered(1000).await;
        stage.house.start_istiod().await;
        stage.until_alone("shop").await;
        let closed = stage.close("istiod killed in mid-release, back after the promotion").await;
        closed.lost_at_most(0, "");
    });
}

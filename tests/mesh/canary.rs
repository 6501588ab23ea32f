//! Canaries.

use crate::{shop::Layout, stage::play};

/// Ten steps, each long enough for its share to be counted.
const TEN_STEPS: &str = "
scaleDownDelay: 0s
steps:
  - setWeight: 1
  - pause: {duration: 3s}
  - setWeight: 5
  - pause: {duration: 3s}
  - setWeight: 10
  - pause: {duration: 3s}
  - setWeight: 20
  - pause: {duration: 3s}
  - setWeight: 30
  - pause: {duration: 3s}
  - setWeight: 40
  - pause: {duration: 3s}
  - setWeight: 50
  - pause: {duration: 3s}
  - setWeight: 60
  - pause: {duration: 3s}
  - setWeight: 80
  - pause: {duration: 3s}
  - setWeight: 100
  - pause: {duration: 3s}
";

#[test]
fn a_canary_by_hosts_loses_no_request() {
    play("hosts", async |stage| {
        let shop = stage.shop(Layout::Hosts, TEN_STEPS);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("canary of ten steps, two hosts").await;
        closed.shared(&stage.weights_to_promotion(), "v2").lost_at_most(0, "");
    });
}

#[test]
fn a_canary_by_subsets_loses_no_request() {
    play("subsets", async |stage| {
        let shop = stage.shop(Layout::Subsets, TEN_STEPS);
        stage.open_shop(&shop).await;
        stage.release(&shop, "shop:v2").await;
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        let closed = stage.close("canary of ten steps, two subsets").await;
        closed.shared(&stage.weights_to_promotion(), "v2").lost_at_most(0, "");
    });
}

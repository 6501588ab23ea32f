//! Blue-green.

use crate::{
    shop::Layout,
    stage::{Stage, play},
};

/// Switched by itself as soon as the new colour is ready; the old one goes at once.
const AT_ONCE: &str = "scaleDownDelay: 0s";

#[test]
fn a_switch_of_the_service_loses_no_request() {
    play("service", async |stage| {
        switch(stage, Layout::Service, "blue-green, switched by the Service").await;
    });
}

#[test]
fn a_switch_of_the_virtual_service_loses_no_request() {
    play("virtual-service", async |stage| {
        switch(stage, Layout::VirtualService, "blue-green, switched by the VirtualService").await;
    });
}

async fn switch(stage: &Stage, layout: Layout, claim: &'static str) {
    let shop = stage.shop(layout, AT_ONCE);
    stage.open_shop(&shop).await;
    for version in ["v2", "v3"] {
        stage.release(&shop, &format!("shop:{version}")).await;
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
    }
    stage.close(claim).await.lost_at_most(0, "two releases");
}

//! Two controllers: one leads, the other waits; whoever lost the Lease writes nothing more.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::cluster::{CONTROLLER, Cluster},
};

fn leases(scenario: &Scenario) -> Api<Lease> {
    Api::namespaced(scenario.client(), CONTROLLER.0)
}

async fn until_holder(scenario: &Scenario, lease: &str, holder: &str) {
    let leases = leases(scenario);
    let what = format!("{holder} to hold the Lease {lease}");
    scenario
        .poll(&what, async || {
            let spec = leases.get(lease).await.ok()?.spec?;
            (spec.holder_identity? == holder).then_some(())
        })
        .await;
}

#[test]
fn the_other_controller_goes_on_where_the_leader_stopped() {
    scenario("handover", async |scenario| {
        let first = scenario.controller("first", "handover", &[]).await;
        until_holder(scenario, "sluice-handover", "handover-first").await;
        let second = scenario.controller("second", "handover", &[]).await;
        let app = App::new("web", "[{setWeight: 30}, {pause: {}}, {setWeight: 60}]");
        let app = app.instance("handover");
        scenario.deploy(&app).await;
        scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        scenario.until_paused_at("web", 2).await;
        assert_eq!(first.terminate().await, Some(0), "it ends in order");
        until_holder(scenario, "sluice-handover", "handover-second").await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
        drop(second);
    });
}

#[test]
fn a_killed_leader_is_replaced_when_its_lease_runs_out() {
    scenario("takeover", async |scenario| {
        let first = scenario.controller("first", "takeover", &[]).await;
        until_holder(scenario, "sluice-takeover", "takeover-first").await;
        let _second = scenario.controller("second", "takeover", &[]).await;
        let app = App::new("web", "[{setWeight: 30}, {pause: {}}]").instance("takeover");
        scenario.deploy(&app).await;
        first.kill().await;
        scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        until_holder(scenario, "sluice-takeover", "takeover-second").await;
        scenario.until_paused_at("web", 2).await;
        scenario.user.sluice("promote web").await.expect("promote");
        scenario.until_released("web").await;
    });
}

#[test]
fn a_controller_that_lost_its_lease_ends_and_writes_nothing_more() {
    scenario("lease-lost", async |scenario| {
        let mut controller = scenario.controller("first", "lease-lost", &[]).await;
        until_holder(scenario, "sluice-lease-lost", "lease-lost-first").await;
        let app = App::new("web", "[{setWeight: 30}, {pause: {}}]").instance("lease-lost");
        scenario.deploy(&app).await;
        let thief = json!({"spec": {"holderIdentity": "thief"}});
        let patch = Patch::Merge(thief);
        let (leases, params) = (leases(scenario), PatchParams::default());
        let taken = leases.patch("sluice-lease-lost", &params, &patch).await;
        taken.expect("the Lease can be taken");
        let code = controller.ended().await;
        assert!(code.is_some_and(|code| code != 0), "it ends, and says that it failed: {code:?}");
        let log = std::fs::read_to_string(&controller.log).unwrap();
        assert!(log.contains("the lease is lost"), "{log}");

        let before = writes(scenario);
        scenario.user.apply(&app.clone().image("app:v2").rollout()).await;
        // Another controller, whose log shows that the change was there to be seen.
        let other = scenario.controller("other", "lease-lost", &[]).await;
        assert_eq!(writes(scenario), before, "nobody leads, and nobody writes");
        drop(other);
    });
}

/// Writes of controllers in the namespace.
fn writes(scenario: &Scenario) -> usize {
    let user = Cluster::controller_user();
    let calls = scenario.calls();
    let writes =
        calls.iter().filter(|call| !["get", "list", "watch"].contains(&call.verb.as_str()));
    writes.filter(|call| call.user() == user).count()
}

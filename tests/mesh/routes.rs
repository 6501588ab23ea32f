//! What else is in a VirtualService, seen in the traffic before, during and after a release: header
//! routes, mirrors, faults and timeouts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    load::{Entry, Outcome},
    shop::{Layout, Shop},
    stage::{Stage, is_ready, play},
};

/// First some testers, then copies of half of the requests, then everybody.
const STEPS: &str = r#"
scaleDownDelay: 0s
steps:
  - setCanaryScale: {replicas: 2}
  - setHeaderRoute: {name: testers, match: [{headerName: x-tester, headerValue: {exact: "yes"}}]}
  - pause: {}
  - setMirrorRoute: {name: copies, match: [{path: {exact: /}}], percentage: 50}
  - pause: {}
  - setMirrorRoute: {name: copies}
  - setHeaderRoute: {name: testers}
  - setWeight: 50
  - pause: {}
"#;

/// Of every ten requests one takes this much longer, by a fault that the team injects.
const FAULT: Duration = Duration::from_millis(400);

/// The team's own routes: a short timeout for one path, and a fault on the route that is split.
fn team_routes(shop: &Shop) -> Value {
    let mut service = shop.virtual_service();
    let delay = json!({"percentage": {"value": 10}, "fixedDelay": "0.4s"});
    service["spec"]["http"][0]["fault"] = json!({"delay": delay});
    let report = json!({
        "name": "report",
        "match": [{"uri": {"prefix": "/report"}}],
        "timeout": "0.5s",
        "route": [{"destination": {"host": "shop-stable", "port": {"number": 80}}}],
    });
    service["spec"]["http"].as_array_mut().expect("routes").insert(0, report);
    service
}

#[test]
fn header_routes_mirrors_faults_and_timeouts_do_what_they_say() {
    play("routes", async |stage| {
        let shop = stage
            .shop(Layout::Hosts, STEPS)
            .set("/strategy/canary/traffic/managedRoutes", "[{name: testers}, {name: copies}]");
        stage.user.apply(&shop.manifests()).await;
        stage.user.apply(&team_routes(&shop).to_string()).await;
        stage.until_released("shop").await;
        stage.until_served(&Entry::gateway(&shop.public(), 1)).await;

        team_routes_work(stage, &shop).await;
        assert_eq!(versions(&tester(&shop), 20).await, ["v1"], "no header route before");

        stage.release(&shop, "shop:v2").await;
        stage.until_paused_at("shop", 3).await;
        stage.poll("testers to meet v2", async || meets(&tester(&shop), "v2").await).await;
        assert_eq!(versions(&tester(&shop), 50).await, ["v2"], "testers");
        assert_eq!(versions(&visitor(&shop), 50).await, ["v1"], "all others");
        team_routes_work(stage, &shop).await;

        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_paused_at("shop", 5).await;
        let copied = async || {
            let before = asked_new_pods(stage).await;
            let sent = 200;
            assert_eq!(versions(&visitor(&shop), sent).await, ["v1"], "no answer is the mirror's");
            asked_new_pods(stage).await - before
        };
        // A half of 200, give or take five standard deviations.
        let copies = stage.poll("copies of half of the requests", async || {
            let copies = copied().await;
            (65..=135).contains(&copies).then_some(copies)
        });
        copies.await;
        assert_eq!(versions(&tester(&shop), 20).await, ["v2"], "testers, beside the mirror");
        team_routes_work(stage, &shop).await;

        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_paused_at("shop", 9).await;
        let both = stage.poll("both versions", async || {
            (versions(&visitor(&shop), 50).await == ["v1", "v2"]).then_some(())
        });
        both.await;
        team_routes_work(stage, &shop).await;
        stage.user.sluice("promote shop").await.expect("promote");
        stage.until_released("shop").await;
        stage.until_alone("shop").await;
        assert_eq!(versions(&visitor(&shop), 50).await, ["v2"], "after the promotion");
        team_routes_work(stage, &shop).await;
        let routes = stage.seen().get("VirtualService", "shop")["spec"].clone();
        assert_eq!(routes, team_routes(&shop)["spec"], "all is as the team wrote it");
    });
}

fn visitor(shop: &Shop) -> Entry {
    Entry::gateway(&shop.public(), 1)
}

fn tester(shop: &Shop) -> Entry {
    visitor(shop).header("x-tester", "yes")
}

/// The versions that answer, sorted, each once.
async fn versions(entry: &Entry, requests: usize) -> Vec<String> {
    let mut versions = Vec::new();
    for outcome in entry.several(requests).await {
        match outcome.0 {
            Outcome::Served(version) => versions.push(version),
            other => panic!("{other:?}"),
        }
    }
    versions.sort();
    versions.dedup();
    versions
}

async fn meets(entry: &Entry, version: &str) -> Option<()> {
    (entry.once().await == Outcome::Served(version.to_owned())).then_some(())
}

/// The fault is injected into a tenth of the requests, and the short timeout ends a slow answer.
async fn team_routes_work(stage: &Stage, shop: &Shop) {
    let sent = 150;
    let slow = visitor(shop).several(sent).await;
    let slow = slow.iter().filter(|(_, took)| *took >= FAULT).count();
    assert!((2..=40).contains(&slow), "{slow} of {sent} requests took {FAULT:?}, 10 % should");
    let began = Instant::now();
    let report = visitor(shop).path("report?delay=5s").once().await;
    let cut = matches!(&report, Outcome::Lost(why) if why.starts_with("504"));
    assert!(cut && began.elapsed() < Duration::from_secs(5), "{report:?} in {:?}", began.elapsed());
    let quick = visitor(shop).path("report").once().await;
    assert!(matches!(quick, Outcome::Served(_)), "{quick:?} in {}", stage.namespace);
}

/// The requests that the pods of the new revision have received.
async fn asked_new_pods(stage: &Stage) -> u64 {
    let addresses: Vec<String> = {
        let seen = stage.seen();
        let new = seen.get("Rollout", "shop")["status"]["currentRevision"].clone();
        let ours = |pod: &&Value| pod["metadata"]["labels"]["sluice.dev/revision"] == new;
        let pods = seen.all("Pod").filter(|pod| is_ready(pod)).filter(ours);
        pods.filter_map(|pod| pod["status"]["podIP"].as_str().map(String::from)).collect()
    };
    let mut requests = 0;
    for address in addresses {
        let counts = reqwest::get(format!("http://{address}:8080/counts")).await.expect("a pod");
        let counts: Value = counts.json().await.expect("JSON");
        requests += counts["requests"].as_u64().expect("a number");
    }
    requests
}

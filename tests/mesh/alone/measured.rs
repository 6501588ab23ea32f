//! How long a change takes to reach the proxies: what `propagationDelay` and `scaleDownDelay` are
//! chosen from. There is no release here: two Deployments, and changes as Sluice makes them.

use std::time::{Duration, Instant};

use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::{
    load::{Outcome, Sample},
    report,
    shop::{Layout, Shop, list},
    stage::{Stage, is_ready, play_alone},
};

/// How often each change is made.
const TIMES: usize = 8;

/// The same while istiod is busy with others.
const TIMES_BUSY: usize = 2;

/// Answers between two changes: a good second's.
const BETWEEN: usize = 200;

/// The same while istiod is busy: longer than the ten seconds for which it may put off a push.
const BETWEEN_BUSY: usize = 2600;

/// A kind of change: to either version.
struct Kind {
    name: &'static str,
    kind: &'static str,
    object: &'static str,
    to: fn(&str) -> Value,
    /// The only route of the VirtualService meanwhile.
    route: fn() -> Value,
}

const WEIGHTS: Kind = Kind {
    name: "weights of a VirtualService",
    kind: "VirtualService",
    object: "shop",
    to: |version| {
        let new = if version == "v2" { 100 } else { 0 };
        routes(&json!([
            {"destination": {"host": "shop-stable"}, "weight": 100 - new},
            {"destination": {"host": "shop-canary"}, "weight": new},
        ]))
    },
    route: || json!([{"destination": {"host": "shop-stable"}}]),
};

const SELECTOR: Kind = Kind {
    name: "selector of a Service",
    kind: "Service",
    object: "shop-stable",
    to: |version| json!({"spec": {"selector": {"app": "shop", "version": version}}}),
    route: || json!([{"destination": {"host": "shop-stable"}}]),
};

const SUBSET: Kind = Kind {
    name: "labels of a subset",
    kind: "DestinationRule",
    object: "shop",
    to: |version| json!({"spec": {"subsets": [{"name": "one", "labels": {"version": version}}]}}),
    route: || json!([{"destination": {"host": "shop", "subset": "one"}}]),
};

fn routes(route: &Value) -> Value {
    json!({"spec": {"http": [{"name": "primary", "route": route}]}})
}

#[test]
fn changes_reach_the_proxies_in_less_than_the_default_delays() {
    play_alone("measured", async |stage| {
        let shop = open(stage).await;
        for kind in [WEIGHTS, SELECTOR, SUBSET] {
            let delays = toggled(stage, &shop, &kind, TIMES, BETWEEN).await;
            let longest = delays.iter().max().copied().unwrap_or_default();
            report::delays(kind.name, delays);
            assert!(longest < PROPAGATION_DELAY, "{}: {longest:?}", kind.name);
        }
        let (up, down) = endpoints(stage, &shop).await;
        report::delays("a pod is Ready until it is asked", up);
        report::delays("a pod goes until it is asked no more", down);

        let noise = tokio::spawn(be_noisy(stage.house.cluster.client.clone(), shop.public()));
        let delays = toggled(stage, &shop, &WEIGHTS, TIMES_BUSY, BETWEEN_BUSY).await;
        noise.abort();
        let longest = delays.iter().max().copied().unwrap_or_default();
        report::delays("weights, while other routes change 20 times a second", delays);
        assert!(longest < SCALE_DOWN_DELAY, "{longest:?}");
    });
}

/// The default of `propagationDelay`.
const PROPAGATION_DELAY: Duration = Duration::from_secs(2);

/// The default of `scaleDownDelay`.
const SCALE_DOWN_DELAY: Duration = Duration::from_secs(30);

/// Two Deployments, and the Services that select one of them each.
async fn open(stage: &Stage) -> Shop {
    let shop = stage.shop(Layout::Hosts, "{}").lingering();
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "shop"},
        "spec": {"host": "shop", "subsets": [{"name": "one", "labels": {"version": "v1"}}]},
    });
    stage.user.apply(&shop.network()).await;
    stage.user.apply(&list(&[deployment(&shop, "v1"), deployment(&shop, "v2"), rule])).await;
    for (service, version) in [("shop-stable", "v1"), ("shop-canary", "v2")] {
        patch(stage, "Service", service, &(SELECTOR.to)(version)).await;
    }
    stage
        .until("four ready pods", |seen| {
            (seen.all("Pod").filter(|pod| is_ready(pod)).count() == 4).then_some(())
        })
        .await;
    shop
}

fn deployment(shop: &Shop, version: &str) -> Value {
    let mut template = shop.rollout()["spec"]["template"].take();
    template["metadata"]["labels"]["version"] = json!(version);
    template["spec"]["containers"][0]["image"] = json!(format!("shop:{version}"));
    let labels = json!({"app": "shop", "version": version});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("shop-{version}")},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    })
}

/// Makes a change back and forth under load. Returns for each how long the old version was asked.
async fn toggled(
    stage: &Stage,
    shop: &Shop,
    kind: &Kind,
    times: usize,
    between: usize,
) -> Vec<Duration> {
    patch(stage, kind.kind, kind.object, &(kind.to)("v1")).await;
    if kind.kind != "VirtualService" {
        patch(stage, "VirtualService", "shop", &routes(&(kind.route)())).await;
    }
    stage.let_users_come(shop).await;
    stage.until_answered(BETWEEN).await;
    let mut changes = Vec::new();
    for version in ["v2", "v1"].iter().cycle().take(times) {
        let at = patch(stage, kind.kind, kind.object, &(kind.to)(version)).await;
        changes.push((at, *version));
        stage.until_answered(between).await;
    }
    let closed = stage.close("").await;
    assert_eq!(closed.tally.failed(), 0, "{}: {:?}", kind.name, closed.tally.lost);
    let ends = changes.iter().skip(1).map(|(at, _)| *at).chain([Instant::now()]);
    let lags = changes.iter().zip(ends).map(|((at, version), end)| {
        let old = |sample: &&Sample| {
            let served = matches!(&sample.outcome, Outcome::Served(seen) if seen != version);
            served && sample.began >= *at && sample.began < end
        };
        let last = closed.samples.iter().filter(old).map(|sample| sample.began).max();
        last.map_or(Duration::ZERO, |last| last.duration_since(*at))
    });
    lags.collect()
}

/// Pods that come and go: how long until they are asked, and until they are asked no more.
async fn endpoints(stage: &Stage, shop: &Shop) -> (Vec<Duration>, Vec<Duration>) {
    patch(stage, "Service", "shop-stable", &(SELECTOR.to)("v1")).await;
    patch(stage, "VirtualService", "shop", &routes(&(SELECTOR.route)())).await;
    stage.let_users_come(shop).await;
    let (mut ready, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..TIMES / 2 {
        let name = stage
            .until("a ready pod", |seen| {
                let mut pods = seen.all("Pod").filter(|pod| is_ready(pod));
                let pod = pods.find(|pod| pod["metadata"]["labels"]["version"] == "v1")?;
                pod["metadata"]["name"].as_str().map(String::from)
            })
            .await;
        let delete = format!("delete pod {name} --wait=false");
        stage.user.kubectl(&delete, "").await.expect("kubectl delete");
        let leaving = |pod: &Value| !pod["metadata"]["deletionTimestamp"].is_null();
        gone.push((when(stage, &name, leaving).await, name.clone()));
        let successor = stage
            .until("two ready pods", |seen| {
                let ready =
                    |pod: &&Value| is_ready(pod) && pod["metadata"]["labels"]["version"] == "v1";
                let pods: Vec<&Value> = seen.all("Pod").filter(ready).collect();
                let youngest = pods.iter().max_by_key(|pod| {
                    pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default()
                })?;
                let name = youngest["metadata"]["name"].as_str()?.to_owned();
                (pods.len() == 2).then_some(name)
            })
            .await;
        ready.push((when(stage, &successor, is_ready).await, successor));
        stage.until_answered(BETWEEN).await;
    }
    let closed = stage.close("").await;
    assert_eq!(closed.tally.failed(), 0, "{:?}", closed.tally.lost);
    let asked = |pod: &str| {
        let of = closed.samples.iter().filter(|sample| sample.pod == pod);
        of.map(|sample| sample.began).collect::<Vec<Instant>>()
    };
    let up = ready.iter().filter_map(|(at, pod)| {
        let first = asked(pod).into_iter().min()?;
        Some(first.saturating_duration_since(*at))
    });
    let down = gone.iter().filter_map(|(at, pod)| {
        let last = asked(pod).into_iter().max()?;
        Some(last.saturating_duration_since(*at))
    });
    (up.collect(), down.collect())
}

/// When a pod was first seen like this.
async fn when(stage: &Stage, pod: &str, is: impl Fn(&Value) -> bool) -> Instant {
    stage
        .until("the pod to change", |seen| {
            let mut states = seen.timeline("Pod", pod);
            states.find(|(_, state)| is(state)).map(|(at, _)| at)
        })
        .await
}

/// Changes an object. Returns when the change was seen, or now if it is as wanted.
async fn patch(stage: &Stage, kind: &'static str, name: &str, merge: &Value) -> Instant {
    let before = stage.seen().timeline(kind, name).count();
    let line = format!("patch {kind} {name} --type merge --patch-file /dev/stdin");
    let answer = stage.user.kubectl(&line, &merge.to_string()).await;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    if answer.stdout.contains("no change") {
        return Instant::now();
    }
    stage.until("the change", |seen| seen.timeline(kind, name).nth(before).map(|(at, _)| at)).await
}

/// Changes a route that nobody uses, twenty times a second.
async fn be_noisy(client: kube::Client, host: String) {
    let gvk = GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "virtualservices");
    let api: Api<DynamicObject> = Api::namespaced_with(client, "client", &resource);
    let params = PatchParams::apply("noise").force();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    for count in 0_u64.. {
        tick.tick().await;
        let noise = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "noise"},
            "spec": {
                "hosts": [format!("noise.{host}")], "gateways": ["istio-system/gateway"],
                "http": [{"timeout": format!("{}s", 1 + count % 50), "route": [{"destination": {"host": "nobody"}}]}],
            },
        });
        api.patch("noise", &params, &Patch::Apply(&noise)).await.expect("the noise is accepted");
    }
}

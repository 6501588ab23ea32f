//! The Rollouts: the layouts of `tests/scenarios/bases`, each in a namespace of its own.

use std::{fs, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, api::ListParams};

use serde_json::{Value, json};

use crate::support::{cluster::Cluster, package, wait::until};

/// Pods of each Rollout.
pub const PODS: usize = 4;

/// A kind of Rollout.
pub struct Kind {
    /// What it is called in tables.
    pub name: &'static str,
    base: &'static str,
    /// What its strategy has besides the base's, in YAML.
    strategy: &'static str,
    /// Jobs of one release, each of which must be created once.
    pub jobs: usize,
    /// Weights of one release in its VirtualService, if they are told by its steps.
    pub weights: &'static [i64],
}

/// All kinds, with short delays and a few pods each.
pub const KINDS: [Kind; 7] = [
    Kind {
        name: "canary, two hosts, a smoke test",
        base: "host-split",
        strategy: "{canary: {scaleDownDelay: 1s, steps: [{setWeight: 20}, {job: {spec: {template: \
                   {spec: {restartPolicy: Never, containers: [{name: smoke, image: 'smoke:1'}]}}}}}, \
                   {setWeight: 60}, {pause: {duration: 500ms}}, {setWeight: 100}]}}",
        jobs: 1,
        weights: &[20, 60, 100, 0],
    },
    Kind {
        name: "canary, two subsets",
        base: "subset-split",
        strategy: "{canary: {scaleDownDelay: 1s, steps: [{setWeight: 25}, \
                   {pause: {duration: 500ms}}, {setWeight: 50}, {setWeight: 75}, {setWeight: 100}]}}",
        jobs: 0,
        weights: &[25, 50, 75, 100, 0],
    },
    Kind {
        name: "canary, two hosts, an analysis of two Jobs",
        base: "host-split",
        strategy: "{canary: {scaleDownDelay: 1s, steps: [{setWeight: 50}, {analysis: {metrics: \
                   [{name: probe, interval: 1s, count: 2, provider: {job: {spec: {template: {spec: \
                   {restartPolicy: Never, containers: [{name: probe, image: 'probe:1'}]}}}}}}]}}, \
                   {setWeight: 100}]}}",
        jobs: 2,
        weights: &[50, 100, 0],
    },
    Kind {
        name: "canary by pods",
        base: "by-pods",
        strategy: "{canary: {steps: [{setWeight: 25}, {pause: {duration: 500ms}}, {setWeight: 75}]}}",
        jobs: 0,
        weights: &[],
    },
    Kind {
        name: "blue-green by a Service, a smoke test before the switch",
        base: "blue-green",
        strategy: "{blueGreen: {scaleDownDelay: 1s, prePromotionAnalysis: {metrics: [{name: smoke, \
                   provider: {job: {spec: {template: {spec: {restartPolicy: Never, containers: \
                   [{name: smoke, image: 'smoke:1'}]}}}}}}]}}}",
        jobs: 1,
        weights: &[],
    },
    Kind {
        name: "blue-green by a VirtualService",
        base: "blue-green-hosts",
        strategy: "{blueGreen: {scaleDownDelay: 1s}}",
        jobs: 0,
        weights: &[],
    },
    Kind { name: "rolling", base: "rolling", strategy: "{}", jobs: 0, weights: &[] },
];

/// One Rollout, alone in its namespace; it is called `web`.
pub struct Shop {
    /// Its namespace.
    pub namespace: String,
    /// What it is.
    pub kind: &'static Kind,
}

/// The resource version of now.
pub async fn version(cluster: &Cluster) -> String {
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    let listed = namespaces.list(&ListParams::default().limit(1)).await.expect("an answer");
    listed.metadata.resource_version.expect("a list has a version")
}

/// Makes the Rollouts; their first revisions may still be on their way.
pub async fn deploy(cluster: &Cluster, rollouts: usize) -> Vec<Shop> {
    let mut shops = Vec::new();
    for (index, kind) in KINDS.iter().cycle().take(rollouts).enumerate() {
        let namespace = format!("{}-{index}", kind.base);
        cluster.admin.kubectl(&format!("create namespace {namespace}"), "").await.expect("new");
        let items: Vec<Value> = objects(kind);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        cluster.user(&namespace).apply(&list.to_string()).await;
        shops.push(Shop { namespace, kind });
    }
    shops
}

fn objects(kind: &Kind) -> Vec<Value> {
    let path = package().join(format!("tests/scenarios/bases/{}.yaml", kind.base));
    let text = fs::read_to_string(path).expect("the base is there");
    let mut objects: Vec<Value> = serde_yaml::from_multiple(&text).expect("the base is YAML");
    for object in objects.iter_mut().filter(|object| object["kind"] == "Rollout") {
        let strategy: Value = serde_yaml::from_str(kind.strategy).expect("YAML");
        let spec = json!({
            "replicas": PODS,
            "template": {"spec": {"terminationGracePeriodSeconds": 1}},
            "strategy": strategy,
        });
        json_patch::merge(object, &json!({"spec": spec}));
        let istio = object.pointer_mut("/spec/strategy").and_then(Value::as_object_mut);
        for strategy in istio.into_iter().flat_map(|strategies| strategies.values_mut()) {
            if let Some(istio) = strategy.pointer_mut("/traffic/istio") {
                istio["propagationDelay"] = json!("200ms");
            }
        }
    }
    objects
}

/// Waits until the pods of old revisions are gone; if they stay, the history tells.
pub async fn settle(cluster: &Cluster, rollouts: usize) {
    let pods: Api<Pod> = Api::all(cluster.client.clone());
    let ours = ListParams::default().labels("sluice.dev/revision");
    let settled = until("the old pods to go", Duration::from_mins(1), async || {
        let pods = pods.list(&ours).await.ok()?;
        (pods.items.len() == PODS * rollouts).then_some(())
    });
    if let Err(error) = settled.await {
        eprintln!("{error}");
    }
}

/// Deletes the Rollouts and waits until they are gone. Returns what is wrong.
pub async fn delete(cluster: &Cluster) -> Option<String> {
    cluster.admin.kubectl("delete rollouts --all -A --wait=false", "").await.expect("an answer");
    let gone = until("the deleted Rollouts to be gone", Duration::from_mins(2), async || {
        let left = cluster.admin.kubectl("get rollouts -A -o name", "").await;
        (left.code == 0 && left.stdout.is_empty()).then_some(())
    });
    gone.await.err()
}

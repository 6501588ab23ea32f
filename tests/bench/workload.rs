//! The Rollouts of the benchmark and what people do to them.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use super::support::{audit, cluster::Cluster, wait::until};

const NAMESPACE: &str = "bench";

/// Requests under way at once.
const PARALLEL: usize = 24;

/// The longest time that all releases together may take.
const LIMIT: Duration = Duration::from_mins(10);

/// The Rollouts of the benchmark.
pub struct Workload {
    client: Client,
}

impl Workload {
    /// A namespace for them.
    pub async fn new(cluster: &Cluster) -> Self {
        let workload = Self { client: cluster.client.clone() };
        cluster
            .admin
            .kubectl(&format!("create namespace {NAMESPACE}"), "")
            .await
            .expect("a namespace");
        workload
    }

    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource)
    }

    fn rollouts(&self) -> Api<DynamicObject> {
        self.api("sluice.dev", "v1alpha1", "Rollout")
    }

    /// Creates Rollouts of ten steps and waits until all are healthy.
    pub async fn create(&self, names: &[String]) {
        let steps: Value = (1..=10).map(|step| json!({"setWeight": step * 10})).collect();
        stream::iter(names)
            .for_each_concurrent(PARALLEL, |name| self.create_one(name, &steps))
            .await;
        self.all_promoted(names).await;
    }

    /// Creates one Rollout and brings it into the middle of a release.
    pub async fn create_paused(&self, name: &str) {
        self.create_one(name, &json!([{"setWeight": 50}, {"pause": {}}])).await;
        let names = [name.to_owned()];
        self.all_promoted(&names).await;
        self.release(&names).await;
        self.all(&names, "paused", |object| object.data["status"]["phase"] == "Paused").await;
    }

    async fn create_one(&self, name: &str, steps: &Value) {
        let (stable, canary) = (format!("{name}-stable"), format!("{name}-canary"));
        for service in [&stable, &canary] {
            let spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
            self.post("", "v1", "Service", service, spec).await;
        }
        let destination =
            |host: &str, weight: u8| json!({"destination": {"host": host}, "weight": weight});
        let route = json!([destination(&stable, 100), destination(&canary, 0)]);
        let spec = json!({"hosts": [name], "http": [{"route": route}]});
        self.post("networking.istio.io", "v1", "VirtualService", name, spec).await;
        let spec = json!({
            "replicas": 3,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "app:1"}]},
            },
            "strategy": {"canary": {
                "stableService": stable, "canaryService": canary, "scaleDownDelay": "0s",
                "traffic": {"istio": {
                    "propagationDelay": "0s", "virtualServices": [{"name": name}],
                }},
                "steps": steps,
            }},
        });
        self.post("sluice.dev", "v1alpha1", "Rollout", name, spec).await;
    }

    async fn post(&self, group: &str, version: &str, kind: &str, name: &str, spec: Value) {
        let api = self.api(group, version, kind);
        let mut object = DynamicObject::new(
            name,
            &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
        );
        object.data = json!({"spec": spec});
        api.create(&PostParams::default(), &object).await.expect("the object is valid");
    }

    /// Sets a new image everywhere.
    pub async fn release(&self, names: &[String]) {
        let patch = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "app:2"}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        let rollouts = self.rollouts();
        let patches = stream::iter(names.iter().map(Ok::<_, kube::Error>));
        patches
            .try_for_each_concurrent(PARALLEL, async |name| {
                rollouts.patch(name, &PatchParams::default(), &patch).await.map(drop)
            })
            .await
            .expect("the image can be set");
    }

    /// Writes the command `abort`, as `kubectl sluice` does.
    pub async fn abort(&self, name: &str) {
        let rollouts = self.rollouts();
        let object = rollouts.get(name).await.expect("the Rollout");
        let command = json!({
            "verb": "abort", "by": "bench", "id": "1",
            "revision": object.data["status"]["currentRevision"],
        });
        let annotations = json!({"sluice.dev/command": command.to_string()});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        rollouts.patch(name, &PatchParams::default(), &patch).await.expect("the command");
    }

    /// Waits until the newest revision of each is stable.
    pub async fn all_promoted(&self, names: &[String]) {
        self.all(names, "promoted", |object| {
            let status = &object.data["status"];
            status["observedGeneration"] == json!(object.metadata.generation)
                && status["phase"] == "Healthy"
                && status["stableRevision"] == status["currentRevision"]
        })
        .await;
    }

    /// Waits until some of the releases have moved their weights.
    pub async fn weights_moved(&self, names: &[String], some: usize) {
        self.count(names, some, "in mid-release", |object| {
            object.data["status"]["weights"]["canary"].as_i64() > Some(0)
        })
        .await;
    }

    async fn all(&self, names: &[String], what: &str, is: impl Fn(&DynamicObject) -> bool) {
        self.count(names, names.len(), what, is).await;
    }

    async fn count(
        &self,
        names: &[String],
        wanted: usize,
        what: &str,
        is: impl Fn(&DynamicObject) -> bool,
    ) {
        let mut waiting: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let mut events = watcher(self.rollouts(), watcher::Config::default())
            .default_backoff()
            .applied_objects()
            .boxed();
        let wait = async {
            while waiting.len() > names.len() - wanted {
                let object = events.next().await.expect("the watch goes on").expect("the watch");
                if is(&object) {
                    waiting.remove(object.metadata.name.as_deref().unwrap_or_default());
                }
            }
        };
        let ended = tokio::time::timeout(LIMIT, wait).await;
        assert!(ended.is_ok(), "not {what}: {waiting:?}");
    }

    /// Waits until the controller has written nothing for two seconds.
    pub async fn quiet(&self, cluster: &Cluster) {
        let log = &cluster.audit_log;
        let mut from = audit::end(log);
        let mut since = tokio::time::Instant::now();
        let quiet = until("the controller to come to rest", Duration::from_mins(1), async || {
            let calls = audit::calls_since(log, from);
            from = audit::end(log);
            let mut ours = calls.iter().filter(|call| call.user() == Cluster::controller_user());
            if ours.any(|call| call.resource() != "leases" && call.verb != "watch") {
                since = tokio::time::Instant::now();
            }
            (since.elapsed() > Duration::from_secs(2)).then_some(())
        });
        quiet.await.unwrap();
    }
}

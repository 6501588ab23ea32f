//! Shares, and what comes of them over time.

mod fractions;
mod over_time;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Objects;

/// Objects of a cluster in namespace `shop`.
#[derive(Clone, Default)]
struct Cluster {
    virtual_services: Vec<Value>,
    destination_rules: Vec<Value>,
    services: Vec<Value>,
    endpoint_slices: Vec<Value>,
    pods: Vec<Value>,
}

// === impl Cluster ===

impl Cluster {
    fn look<T>(&self, see: impl FnOnce(&Objects<'_>) -> T) -> T {
        let virtual_services: Vec<&Value> = self.virtual_services.iter().collect();
        let destination_rules: Vec<&Value> = self.destination_rules.iter().collect();
        let services: Vec<&Value> = self.services.iter().collect();
        let endpoint_slices: Vec<&Value> = self.endpoint_slices.iter().collect();
        let pods: Vec<&Value> = self.pods.iter().collect();
        see(&Objects {
            virtual_services: &virtual_services,
            destination_rules: &destination_rules,
            services: &services,
            endpoint_slices: &endpoint_slices,
            pods: &pods,
            direct: &[],
        })
    }

    /// A `VirtualService` of these HTTP routes.
    fn with_routes(mut self, http: &Value) -> Self {
        self.virtual_services.push(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"http": http},
        }));
        self
    }

    /// A Service with these pods as its ready endpoints, made if they are not there.
    fn with_service(mut self, name: &str, pods: &[&str]) -> Self {
        self.services.push(json!({"metadata": {"name": name, "namespace": "shop"}}));
        let endpoints: Vec<Value> = pods
            .iter()
            .map(|pod| json!({"conditions": {"ready": true}, "targetRef": {"name": pod}}))
            .collect();
        self.endpoint_slices.push(json!({
            "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": endpoints,
        }));
        for name in pods {
            if !self.pods.iter().any(|pod| pod["metadata"]["name"] == *name) {
                self.pods.push(pod(name));
            }
        }
        self
    }

    fn pod(&mut self, name: &str) -> &mut Value {
        self.pods.iter_mut().find(|pod| pod["metadata"]["name"] == name).unwrap()
    }
}

/// A ready pod `stable-1` of revision `stable` with image `web:stable`.
fn pod(name: &str) -> Value {
    let revision = name.split('-').next().unwrap();
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "labels": {
                "app": "web", "version": revision, "sluice.dev/revision": revision,
                "service.istio.io/canonical-revision": revision,
            },
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": format!("web-{revision}"), "controller": true},
            ],
        },
        "spec": {"containers": [{"image": format!("registry:5000/web:{revision}")}]},
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// Two Services with two and one pods, by these weights.
fn canary(stable: u32, canary: u32) -> Cluster {
    Cluster::default()
        .with_routes(&json!([{"route": [
            {"destination": {"host": "stable"}, "weight": stable},
            {"destination": {"host": "canary.shop.svc.cluster.local"}, "weight": canary},
        ]}]))
        .with_service("stable", &["stable-1", "stable-2"])
        .with_service("canary", &["canary-1"])
}

fn at(seconds: i64) -> Timestamp {
    let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    epoch + SignedDuration::from_secs(seconds)
}

//! The Rollout for a Deployment that runs already, and what it needs beside it. Pure.

use serde_json::{Map, Value, json};

use crate::{api::REVISION_LABEL, traffic::istio::host::service_of};

/// How releases of the Deployment shall go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Pods are replaced a few at a time.
    #[default]
    Rolling,
    /// A share of the traffic, or without a VirtualService of the pods.
    Canary {
        /// The two Services, stable and canary.
        services: Option<(String, String)>,
        /// The VirtualService, and the name of the route in it where it must be said.
        virtual_service: Option<(String, Option<String>)>,
        /// The steps.
        steps: Vec<Value>,
    },
    /// All traffic at once.
    BlueGreen {
        /// The Service that users reach.
        active: String,
        /// The Service for a look before the switch.
        preview: Option<String>,
    },
}

/// The steps of a canary that nobody described: small first, and a person before the half.
pub fn default_steps() -> Vec<Value> {
    [
        json!({"setWeight": 5}),
        json!({"pause": {"duration": "5m"}}),
        json!({"setWeight": 25}),
        json!({"pause": {"duration": "10m"}}),
        json!({"pause": {"timeout": "1h", "onTimeout": "hold"}}),
        json!({"setWeight": 50}),
        json!({"pause": {"duration": "10m"}}),
    ]
    .into()
}

/// The Rollout that takes `deployment` over.
pub fn rollout(deployment: &Value, name: &str, replicas: i64, shape: &Shape) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = deployment["metadata"]["namespace"].as_str() {
        metadata["namespace"] = json!(namespace);
    }
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "workloadRef": {
                "apiVersion": "apps/v1", "kind": "Deployment",
                "name": deployment["metadata"]["name"],
            },
            "strategy": strategy(shape),
        },
    })
}

fn strategy(shape: &Shape) -> Value {
    match shape {
        Shape::Rolling => json!({"rolling": {}}),
        Shape::Canary { services, virtual_service, steps } => {
            let mut to = Map::new();
            if let Some((stable, canary)) = services {
                to.insert("stableService".into(), json!(stable));
                to.insert("canaryService".into(), json!(canary));
            }
            if let Some((name, route)) = virtual_service {
                let mut reference = json!({"name": name});
                if let Some(route) = route {
                    reference["routes"] = json!([route]);
                }
                let istio = json!({"virtualServices": [reference]});
                to.insert("traffic".into(), json!({"istio": istio}));
            }
            to.insert("steps".into(), json!(steps));
            json!({"canary": to})
        }
        Shape::BlueGreen { active, preview } => {
            let mut to = json!({"activeService": active});
            if let Some(preview) = preview {
                to["previewService"] = json!(preview);
            }
            json!({"blueGreen": to})
        }
    }
}

/// A second Service like `service`: the same pods and ports, inside the cluster only.
pub fn second_service(service: &Value, name: &str) -> Value {
    let mut metadata = json!({"name": name});
    for field in ["namespace", "labels"] {
        if !service["metadata"][field].is_null() {
            metadata[field] = service["metadata"][field].clone();
        }
    }
    let mut selector = service["spec"]["selector"].clone();
    if let Some(selector) = selector.as_object_mut() {
        selector.remove(REVISION_LABEL);
    }
    let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let ports = ports.into_iter().map(|mut port| {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
        port
    });
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"selector": selector, "ports": ports.collect::<Vec<_>>()},
    })
}

/// Whether a Service selects the pods of a template's labels.
pub fn selects(service: &Value, labels: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    selector.is_some_and(|selector| {
        !selector.is_empty()
            && selector
                .iter()
                .filter(|(key, _)| *key != REVISION_LABEL)
                .all(|(key, value)| labels[key] == *value)
    })
}

/// The VirtualService with a second destination of weight 0 in each http route that leads to
/// `stable` alone; none if there is no such route, or already one with both.
pub fn with_second_destination(
    object: &Value,
    namespace: &str,
    stable: &str,
    canary: &str,
) -> Option<Value> {
    let home = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
    let is = |destination: &Value, name: &str| {
        let host = destination["destination"]["host"].as_str().unwrap_or_default();
        service_of(host, home) == Some((namespace, name))
    };
    let mut edited = object.clone();
    let mut found = false;
    for route in edited.pointer_mut("/spec/http").and_then(Value::as_array_mut)? {
        let Some(destinations) = route["route"].as_array_mut() else { continue };
        if destinations.iter().any(|destination| is(destination, canary)) {
            return None;
        }
        let [only] = destinations.as_mut_slice() else { continue };
        if !is(only, stable) || !only["destination"]["subset"].is_null() {
            continue;
        }
        let mut second = only.clone();
        let host = only["destination"]["host"].as_str().unwrap_or_default();
        second["destination"]["host"] = json!(host.replacen(stable, canary, 1));
        only["weight"] = json!(100);
        second["weight"] = json!(0);
        destinations.push(second);
        found = true;
    }
    found.then_some(edited)
}

/// Whether some http route splits between the two Services.
pub fn splits(object: &Value, namespace: &str, stable: &str, canary: &str) -> bool {
    let home = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
    let routes = object["spec"]["http"].as_array().map_or(&[][..], Vec::as_slice);
    routes.iter().any(|route| {
        let hosts = route["route"].as_array().map_or(&[][..], Vec::as_slice);
        [stable, canary].iter().all(|name| {
            hosts.iter().any(|destination| {
                let host = destination["destination"]["host"].as_str().unwrap_or_default();
                service_of(host, home) == Some((namespace, *name))
            })
        })
    })
}

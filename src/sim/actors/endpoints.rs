//! The EndpointSlice controller: which pods a Service leads to.
//!
//! One slice for each Service that has a selector; the real one starts another after 100 pods, and
//! one more for each set of ports to which the pods resolve a port's name.

use std::{net::Ipv4Addr, sync::Arc};

use serde_json::{Map, Value, json};

use super::{cluster::Cluster, object, selector::Selector};
use crate::sim::api::{
    Key,
    resource::{ENDPOINT_SLICE, POD, SERVICE},
};

const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");

/// The label that names a slice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Publishes what a Service leads to now.
pub fn sync(cluster: &mut Cluster, key: &Key) {
    let Some(service) = cluster.get(&SERVICE, key) else { return };
    if object::is_deleting(&service) {
        return;
    }
    let slices = cluster.controlled(&ENDPOINT_SLICE, object::uid(&service));
    let mut slices = slices.into_iter().filter(|(_, slice)| {
        object::labels(slice)[MANAGED_BY.0] == MANAGED_BY.1 && !object::is_deleting(slice)
    });
    let slice = slices.next();
    for (surplus, _) in slices {
        cluster.delete(&ENDPOINT_SLICE, &surplus);
    }
    let Some(selector) = Selector::of_service(&service) else {
        if let Some((slice, _)) = slice {
            cluster.delete(&ENDPOINT_SLICE, &slice);
        }
        return;
    };
    let pods = pods(cluster, key, &selector);
    let ports = ports(&service, &pods);
    let endpoints = endpoints(&service, &pods);
    let labels = labels(&service);
    if let Some((slice, _)) = slice {
        cluster.edit(&ENDPOINT_SLICE, &slice, |slice| {
            slice["endpoints"] = endpoints;
            slice["ports"] = ports;
            slice["metadata"]["labels"] = labels;
        });
        return;
    }
    let slice = json!({
        "metadata": {
            "generateName": format!("{}-", key.1),
            "labels": labels,
            "ownerReferences": [object::owned_by(&SERVICE, &service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    });
    // Refused only where the namespace goes, and all of this with it.
    let _ = cluster.create(&ENDPOINT_SLICE, &key.0, slice);
}

/// Pods that it selects and that have an address, by address.
fn pods(cluster: &Cluster, key: &Key, selector: &Selector) -> Vec<Arc<Value>> {
    let names = cluster.index.pods(&key.0, selector);
    let found = names.filter_map(|name| cluster.store.get(&POD, &key.0, name).cloned());
    let mut pods: Vec<_> = found
        .filter(|pod| selector.matches(object::labels(pod)) && !object::has_ended(pod))
        .filter(|pod| !object::text(pod, "/status/podIP").is_empty())
        .collect();
    pods.sort_by_cached_key(|pod| object::text(pod, "/status/podIP").parse::<Ipv4Addr>().ok());
    pods
}

fn labels(service: &Value) -> Value {
    let mut labels = object::labels(service).as_object().cloned().unwrap_or_else(Map::new);
    labels.insert(SERVICE_NAME.to_owned(), json!(object::name(service)));
    labels.insert(MANAGED_BY.0.to_owned(), json!(MANAGED_BY.1));
    if service["spec"]["clusterIP"] == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), json!(""));
    }
    Value::Object(labels)
}

fn endpoints(service: &Value, pods: &[Arc<Value>]) -> Value {
    let all = service["spec"]["publishNotReadyAddresses"] == true;
    let endpoint = |pod: &Arc<Value>| {
        let serving = all || object::ready_since(pod).is_some();
        let terminating = object::is_deleting(pod);
        json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": all || serving && !terminating,
                "serving": serving, "terminating": terminating,
            },
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {
                "kind": "Pod", "namespace": pod["metadata"]["namespace"],
                "name": object::name(pod), "uid": object::uid(pod),
            },
        })
    };
    pods.iter().map(endpoint).collect()
}

/// The Service's ports as the pods have them. One that no pod has is left out.
fn ports(service: &Value, pods: &[Arc<Value>]) -> Value {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let resolved = ports.filter_map(|port| {
        let target = port.get("targetPort").filter(|target| !target.is_null());
        let target = target.unwrap_or_else(|| &port["port"]);
        let number = match target.as_str() {
            Some(name) => pods.iter().find_map(|pod| named_port(pod, name))?,
            None => {
                target.as_i64().filter(|number| *number != 0).or_else(|| port["port"].as_i64())?
            }
        };
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let name = port["name"].as_str().unwrap_or_default();
        let mut resolved = json!({"name": name, "port": number, "protocol": protocol});
        if let Some(application) = port.get("appProtocol").filter(|value| !value.is_null()) {
            resolved["appProtocol"] = application.clone();
        }
        Some(resolved)
    });
    resolved.collect()
}

fn named_port(pod: &Value, name: &str) -> Option<i64> {
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let mut ports = containers.flat_map(|each| each["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == name)?["containerPort"].as_i64()
}

#[cfg(test)]
mod tests;

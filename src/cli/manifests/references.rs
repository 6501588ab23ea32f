//! Objects that the Rollout names and that are not there.

use serde_json::Value;

use super::{names_of, there};
use crate::{api::Rollout, traffic::istio::host::service_of};

/// What is missing, each in a sentence that says where it is named.
pub(super) fn missing(rollout: &Rollout, namespace: &str, objects: &[Value]) -> Vec<String> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let owner = format!("Rollout {name}");
    let canary = &rollout.spec.strategy.canary;
    let mut errors = Vec::new();
    let mut need = |owner: &str, field: &str, kind: &str, namespace: &str, wanted: &str| {
        let names = names_of(objects, kind, Some(namespace));
        if !names.contains(&wanted) {
            errors.push(format!(
                "{owner}: {field}: there is no {kind} {wanted} in namespace {namespace}; {}",
                there(&names)
            ));
        }
    };
    let services =
        [("stableService", &canary.stable_service), ("canaryService", &canary.canary_service)];
    for (field, service) in services {
        if let Some(service) = service {
            need(&owner, &format!("spec.strategy.canary.{field}"), "Service", namespace, service);
        }
    }
    let istio = &canary.traffic.istio;
    for (index, route) in istio.virtual_services.iter().enumerate() {
        let field = format!("spec.strategy.canary.traffic.istio.virtualServices[{index}]");
        let namespace = route.namespace.as_deref().unwrap_or(namespace);
        need(&owner, &field, "VirtualService", namespace, &route.name);
    }
    if let Some(rule) = &istio.destination_rule {
        let field = "spec.strategy.canary.traffic.istio.destinationRule";
        need(&owner, field, "DestinationRule", namespace, &rule.name);
        let is = |object: &&Value| {
            object["kind"] == "DestinationRule"
                && object["metadata"]["name"] == *rule.name
                && object["metadata"]["namespace"] == *namespace
        };
        let host = objects.iter().find(is).and_then(|rule| rule["spec"]["host"].as_str());
        if let Some((namespace, service)) = host.and_then(|host| service_of(host, namespace)) {
            let owner = format!("DestinationRule {}", rule.name);
            need(&owner, "spec.host", "Service", namespace, service);
        }
    }
    errors
}

//! Objects that the Rollout names and that are not there.

use serde_json::Value;

use super::{names_of, there};
use crate::{api::Rollout, traffic::istio::host::service_of, world::Program};

/// What is missing, each in a sentence that says where it is named.
pub(super) fn missing(rollout: &Rollout, namespace: &str, objects: &[Value]) -> Vec<String> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let owner = format!("Rollout {name}");
    let program = Program::new(&rollout.spec);
    let strategy = program.field();
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
    let services = [&program.stable_service, &program.canary_service];
    for (field, service) in program.service_fields().into_iter().zip(services) {
        if let Some(service) = service {
            need(&owner, &format!("{strategy}.{field}"), "Service", namespace, service);
        }
    }
    if let Some(workload) = &rollout.spec.workload_ref {
        need(&owner, "spec.workloadRef", &workload.kind, namespace, &workload.name);
    }
    let Some(istio) = program.istio() else { return errors };
    for (index, route) in istio.virtual_services.iter().enumerate() {
        let field = format!("{strategy}.traffic.istio.virtualServices[{index}]");
        let namespace = route.namespace.as_deref().unwrap_or(namespace);
        need(&owner, &field, "VirtualService", namespace, &route.name);
    }
    if let Some(rule) = &istio.destination_rule {
        let field = format!("{strategy}.traffic.istio.destinationRule");
        need(&owner, &field, "DestinationRule", namespace, &rule.name);
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

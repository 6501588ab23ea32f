//! Objects that the Rollout names and that are not there.

use serde_json::Value;

use super::{names_of, there};
use crate::{api::Rollout, traffic::istio::host::service_of, world::Program};

/// An object that is named and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Kind and name of what names it.
    pub owner: String,
    /// The field that names it.
    pub field: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The names of those of its kind that are there.
    pub there: Vec<String>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, field, kind, namespace, name, .. } = self;
        let there = there(&self.there.iter().map(String::as_str).collect::<Vec<_>>());
        write!(f, "{owner}: {field}: there is no {kind} {name} in namespace {namespace}; {there}")
    }
}

/// What is missing.
pub fn missing(rollout: &Rollout, namespace: &str, objects: &[Value]) -> Vec<Missing> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let owner = format!("Rollout {name}");
    let program = Program::new(&rollout.spec);
    let strategy = program.field();
    let mut errors = Vec::new();
    let mut need = |owner: &str, field: &str, kind: &str, namespace: &str, wanted: &str| {
        let names = names_of(objects, kind, Some(namespace));
        if !names.contains(&wanted) {
            errors.push(Missing {
                owner: owner.to_owned(),
                field: field.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: wanted.to_owned(),
                there: names.into_iter().map(str::to_owned).collect(),
            });
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

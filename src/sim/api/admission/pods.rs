//! Pods and pod templates.

use serde_json::{Map, Value, json};

use super::{
    causes::{self, Cause},
    metadata, names,
};
use crate::sim::api::limits::amount;

/// Fills in what a pod's spec lacks.
pub fn complete(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    default(spec, "restartPolicy", || json!("Always"));
    default(spec, "terminationGracePeriodSeconds", || json!(30));
    default(spec, "dnsPolicy", || json!("ClusterFirst"));
    default(spec, "schedulerName", || json!("default-scheduler"));
    default(spec, "securityContext", || json!({}));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        default(spec, "serviceAccount", || account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        default(spec, "serviceAccountName", || account);
    }
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            complete_container(container);
        }
        if spec[list].is_null() {
            spec.as_object_mut().map(|fields| fields.remove(list));
        }
    }
    if let Some(volumes) = spec.get_mut("volumes") {
        volumes.as_array_mut().into_iter().flatten().for_each(complete_volume);
    }
}

fn complete_container(container: &mut Value) {
    if !container.is_object() {
        return;
    }
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    default(container, "imagePullPolicy", || json!(policy));
    default(container, "terminationMessagePath", || json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", || json!("File"));
    default(container, "resources", || json!({}));
    for part in ["requests", "limits"] {
        if let Some(list) = container["resources"].get_mut(part) {
            amount::tidy(list);
        }
    }
    for port in list(container, "ports") {
        default(port, "protocol", || json!("TCP"));
    }
    for variable in list(container, "env") {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef") {
            default(reference, "apiVersion", || json!("v1"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe) {
            default(probe, "timeoutSeconds", || json!(1));
            default(probe, "periodSeconds", || json!(10));
            default(probe, "successThreshold", || json!(1));
            default(probe, "failureThreshold", || json!(3));
            if let Some(get) = probe.get_mut("httpGet") {
                default(get, "path", || json!("/"));
                default(get, "scheme", || json!("HTTP"));
            }
        }
    }
}

fn complete_volume(volume: &mut Value) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source) {
            default(source, "defaultMode", || json!(420));
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        default(path, "type", || json!(""));
    }
    if volume.as_object().is_some_and(|fields| fields.len() == 1) {
        default(volume, "emptyDir", || json!({}));
    }
}

/// Whether an image has no tag, or the tag `latest`.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Sets a field that is absent.
pub fn default(object: &mut Value, field: &str, value: impl FnOnce() -> Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.entry(field).or_insert_with(value);
    }
}

fn list<'v>(object: &'v mut Value, field: &str) -> impl Iterator<Item = &'v mut Value> {
    let items = object.as_object_mut().and_then(|fields: &mut Map<_, _>| fields.get_mut(field));
    items.and_then(Value::as_array_mut).into_iter().flatten()
}

/// What is wrong with a pod template at `path`.
pub fn judge_template(path: &str, template: &Value) -> Vec<Cause> {
    let mut found =
        metadata::labels(&format!("{path}.metadata.labels"), &template["metadata"]["labels"]);
    found.extend(judge(&format!("{path}.spec"), &template["spec"]));
    found
}

/// What is wrong with a pod's spec at `path`.
pub fn judge(path: &str, spec: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let containers = spec["containers"].as_array();
    if containers.is_none_or(Vec::is_empty) {
        found.push(causes::required(&format!("{path}.containers"), ""));
    }
    let volumes: Vec<&Value> =
        spec["volumes"].as_array().into_iter().flatten().map(|volume| &volume["name"]).collect();
    let mut seen: Vec<&Value> = Vec::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            found.extend(judge_container(&path, container, &volumes));
            if seen.contains(&&container["name"]) {
                found.push(causes::duplicate(&format!("{path}.name"), &container["name"]));
            }
            seen.push(&container["name"]);
        }
    }
    let policy = &spec["restartPolicy"];
    if !["Always", "OnFailure", "Never"].iter().any(|known| policy == known) {
        let known = ["Always", "OnFailure", "Never"].map(str::to_owned);
        found.push(causes::not_supported(&format!("{path}.restartPolicy"), policy, &known));
    }
    found
}

fn judge_container(path: &str, container: &Value, volumes: &[&Value]) -> Vec<Cause> {
    let mut found = Vec::new();
    match container["name"].as_str().filter(|name| !name.is_empty()) {
        None => found.push(causes::required(&format!("{path}.name"), "")),
        Some(name) => {
            if let Some(why) = names::label(name) {
                found.push(causes::invalid(&format!("{path}.name"), &container["name"], &why));
            }
        }
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        found.push(causes::required(&format!("{path}.image"), ""));
    }
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.ports[{index}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => found.push(causes::required(&path, "")),
            Some(number) if !(1..=65_535).contains(&number) => {
                let why = "must be between 1 and 65535, inclusive";
                found.push(causes::invalid(&path, &port["containerPort"], why));
            }
            Some(_) => {}
        }
    }
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        if !volumes.contains(&&mount["name"]) {
            let path = format!("{path}.volumeMounts[{index}].name");
            let text = format!("Not found: {}", mount["name"]);
            found.push((path, "FieldValueNotFound", text));
        }
    }
    found
}

/// The pod's quality of service: it decides who is evicted first.
pub fn quality(spec: &Value) -> &'static str {
    let all = || {
        let lists = ["containers", "initContainers"];
        lists.into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten())
    };
    let has = |container: &Value, kind: &str, name: &str| {
        container["resources"][kind].get(name).is_some_and(|amount| *amount != "0")
    };
    let both = ["cpu", "memory"];
    let any = |container: &Value| {
        both.iter().any(|name| has(container, "limits", name) || has(container, "requests", name))
    };
    let full = |container: &Value| {
        both.iter().all(|name| {
            let resources = &container["resources"];
            let request = resources["requests"].get(name);
            has(container, "limits", name)
                && request.is_none_or(|request| *request == resources["limits"][name])
        })
    };
    if !all().any(any) {
        "BestEffort"
    } else if all().all(full) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

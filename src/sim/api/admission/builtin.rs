//! Defaults and rules of built-in kinds, as far as people meet them.

use serde_json::{Value, json};

use super::{
    autoscaler,
    causes::{self, Cause},
    pods::{self, default},
};
use crate::sim::api::{
    Resource,
    http::selector,
    limits::{amount, range},
};

/// Fills in what the object lacks.
pub fn complete(resource: &Resource, object: &mut Value) {
    without_nothings(object, true);
    match resource.kind {
        "Pod" => complete_pod(&mut object["spec"]),
        "ReplicaSet" => {
            default(&mut object["spec"], "replicas", || json!(1));
            complete_template(object);
        }
        "Deployment" => complete_deployment(object),
        "Job" => complete_job(object),
        "Service" => complete_service(object),
        "Secret" => complete_secret(object),
        "Namespace" => {
            let name = object["metadata"]["name"].clone();
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            default(object, "spec", || json!({}));
            default(&mut object["spec"], "finalizers", || json!(["kubernetes"]));
        }
        "HorizontalPodAutoscaler" => autoscaler::complete(&mut object["spec"]),
        "ResourceQuota" => amount::tidy(&mut object["spec"]["hard"]),
        "LimitRange" => range::complete_range(object),
        "PriorityClass" => {
            default(object, "preemptionPolicy", || json!("PreemptLowerPriority"));
        }
        "PodTemplate" => {
            if let Some(spec) = object.pointer_mut("/template/spec") {
                pods::complete(spec);
            }
        }
        "StatefulSet" | "DaemonSet" => complete_template(object),
        _ => {}
    }
}

/// What a write that says nothing of it leaves as it is.
pub fn keep(resource: &Resource, old: &Value, new: &mut Value) {
    if resource.kind == "Pod" {
        for field in ["priority", "preemptionPolicy"] {
            if let Some(kept) = old["spec"].get(field) {
                default(&mut new["spec"], field, || kept.clone());
            }
        }
    }
}

/// Nulls and empty lists are not kept by typed kinds.
fn without_nothings(value: &mut Value, root: bool) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                let list = field.as_array().is_some_and(Vec::is_empty) && name != "endpoints";
                !field.is_null() && !list
            });
            for (name, field) in fields.iter_mut() {
                if !root || name != "status" {
                    without_nothings(field, false);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_nothings(item, false)),
        _ => {}
    }
}

fn complete_pod(spec: &mut Value) {
    pods::complete(spec);
    default(spec, "enableServiceLinks", || json!(true));
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        let limits = container["resources"]["limits"].as_object().cloned().unwrap_or_default();
        for (name, amount) in limits {
            let resources = &mut container["resources"];
            default(resources, "requests", || json!({}));
            default(&mut resources["requests"], &name, || amount);
        }
    }
}

fn complete_template(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template/metadata") {
        template.as_object_mut().map(|fields| fields.remove("creationTimestamp"));
    }
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        pods::complete(spec);
    }
}

fn complete_deployment(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "replicas", || json!(1));
    default(spec, "revisionHistoryLimit", || json!(10));
    default(spec, "progressDeadlineSeconds", || json!(600));
    default(spec, "strategy", || json!({}));
    default(&mut spec["strategy"], "type", || json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        default(&mut spec["strategy"], "rollingUpdate", || json!({}));
        default(&mut spec["strategy"]["rollingUpdate"], "maxSurge", || json!("25%"));
        default(&mut spec["strategy"]["rollingUpdate"], "maxUnavailable", || json!("25%"));
    }
    complete_template(object);
}

fn complete_job(object: &mut Value) {
    let uid = object["metadata"]["uid"].clone();
    let name = object["metadata"]["name"].clone();
    let spec = &mut object["spec"];
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        default(spec, "completions", || json!(1));
    }
    default(spec, "parallelism", || json!(1));
    default(spec, "backoffLimit", || json!(6));
    default(spec, "completionMode", || json!("NonIndexed"));
    default(spec, "suspend", || json!(false));
    default(spec, "manualSelector", || json!(false));
    default(spec, "podReplacementPolicy", || json!("TerminatingOrFailed"));
    if spec["manualSelector"] != true && spec.get("selector").is_none() && uid.is_string() {
        spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.clone();
        let labels = &mut spec["template"]["metadata"]["labels"];
        for prefix in ["batch.kubernetes.io/", ""] {
            labels[format!("{prefix}controller-uid")] = uid.clone();
            labels[format!("{prefix}job-name")] = name.clone();
        }
    }
    // The API server copies the template's labels, those that it has just made up included.
    if object["metadata"]["labels"].is_null() {
        object["metadata"]["labels"] = object["spec"]["template"]["metadata"]["labels"].clone();
        super::metadata::tidy(object);
    }
    // A missing policy is told as such, so it must not become `Always` here.
    let policy = object.pointer("/spec/template/spec/restartPolicy").cloned();
    complete_template(object);
    if policy.is_none()
        && let Some(spec) = object.pointer_mut("/spec/template/spec")
    {
        spec["restartPolicy"] = json!("Always");
    }
}

fn complete_service(object: &mut Value) {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let spec = &mut object["spec"];
    default(spec, "type", || json!("ClusterIP"));
    default(spec, "sessionAffinity", || json!("None"));
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let number = port["port"].clone();
        default(port, "protocol", || json!("TCP"));
        default(port, "targetPort", || number);
    }
    if spec["ports"].is_null() {
        spec.as_object_mut().map(|fields| fields.remove("ports"));
    }
    if spec["type"] == "ExternalName" {
        return;
    }
    default(spec, "internalTrafficPolicy", || json!("Cluster"));
    default(spec, "ipFamilyPolicy", || json!("SingleStack"));
    default(spec, "ipFamilies", || json!(["IPv4"]));
    default(spec, "clusterIP", || json!(address(&uid)));
    let address = spec["clusterIP"].clone();
    default(spec, "clusterIPs", || json!([address]));
}

/// An address of 10.96.0.0/12 that is the same for the same Service.
fn address(uid: &str) -> String {
    let hash = uid
        .bytes()
        .fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let [_, b, c, d] = hash.to_be_bytes();
    format!("10.{}.{c}.{}", 96 + b % 16, d.max(1))
}

fn complete_secret(object: &mut Value) {
    default(object, "type", || json!("Opaque"));
    let texts = object.as_object_mut().and_then(|fields| fields.remove("stringData"));
    for (name, text) in texts.as_ref().and_then(Value::as_object).into_iter().flatten() {
        object["data"][name] = json!(base64(text.as_str().unwrap_or_default().as_bytes()));
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

// === rules ===

/// What is wrong with the object, or with its change.
pub fn judge(resource: &Resource, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    match resource.kind {
        "Pod" => judge_pod(old, new),
        "ReplicaSet" | "Deployment" => judge_workload(old, new),
        "Job" => judge_job(old, new),
        "LimitRange" => judge_range(new),
        "Service" => judge_service(old, new),
        _ => Vec::new(),
    }
}

fn judge_pod(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut found = pods::judge("spec", &new["spec"]);
    let Some(old) = old else { return found };
    let kept = |object: &Value| {
        let mut spec = object["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            spec[field] = Value::Null;
        }
        // The scheduler binds through a subresource; here it may write the field, once.
        if old["spec"]["nodeName"].is_null() {
            spec["nodeName"] = Value::Null;
        }
        spec
    };
    if kept(old) != kept(new) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        found.push(causes::forbidden("spec", why));
    }
    found
}

fn judge_workload(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let spec = &new["spec"];
    for field in ["replicas", "minReadySeconds"] {
        if spec[field].as_i64().is_some_and(|number| number < 0) {
            let path = format!("spec.{field}");
            found.push(causes::invalid(&path, &spec[field], "must be greater than or equal to 0"));
        }
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if spec["selector"].is_null() {
        found.push(causes::required("spec.selector", ""));
        let labels = if labels.is_null() { &Value::Null } else { labels };
        let why = "`selector` does not match template `labels`";
        found.push(causes::invalid("spec.template.metadata.labels", labels, why));
    } else if spec["selector"].as_object().is_some_and(serde_json::Map::is_empty) {
        let why = "empty selector is invalid for deployment";
        found.push(causes::invalid("spec.selector", &spec["selector"], why));
    } else if !selector::of_object(&spec["selector"]).matches(labels) {
        let why = "`selector` does not match template `labels`";
        found.push(causes::invalid("spec.template.metadata.labels", labels, why));
    }
    found.extend(pods::judge_template("spec.template", &spec["template"]));
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if policy != "Always" {
        let path = "spec.template.spec.restartPolicy";
        found.push(causes::not_supported(path, policy, &["Always".to_owned()]));
    }
    if let Some(old) = old.filter(|old| old["spec"]["selector"] != spec["selector"]) {
        let _ = old;
        found.push(causes::invalid("spec.selector", &spec["selector"], "field is immutable"));
    }
    found
}

/// One entry a type.
fn judge_range(new: &Value) -> Vec<Cause> {
    let mut seen: Vec<&Value> = Vec::new();
    let mut found = Vec::new();
    let limits = new["spec"]["limits"].as_array().into_iter().flatten();
    for (index, limit) in limits.enumerate() {
        let kind = &limit["type"];
        if seen.contains(&kind) {
            found.push(causes::duplicate(&format!("spec.limits[{index}].type"), kind));
        }
        seen.push(kind);
    }
    found
}

fn judge_job(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let spec = &new["spec"];
    let mut found = Vec::new();
    for field in ["parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"] {
        if spec[field].as_i64().is_some_and(|number| number < 0) {
            let path = format!("spec.{field}");
            found.push(causes::invalid(&path, &spec[field], "must be greater than or equal to 0"));
        }
    }
    found.extend(pods::judge_template("spec.template", &spec["template"]));
    let policy = &spec["template"]["spec"]["restartPolicy"];
    if policy == "Always" {
        let path = "spec.template.spec.restartPolicy";
        found.push(causes::required(path, "valid values: \"OnFailure\", \"Never\""));
    }
    if let Some(old) = old {
        for field in ["completions", "selector", "template", "completionMode"] {
            let suspended = field == "template" && old["spec"]["suspend"] == true;
            if old["spec"][field] != spec[field] && !suspended {
                let path = format!("spec.{field}");
                found.push(causes::invalid(&path, &spec[field], "field is immutable"));
            }
        }
    }
    found
}

fn judge_service(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let spec = &new["spec"];
    let mut found = Vec::new();
    let ports = spec["ports"].as_array();
    let headless = spec["clusterIP"] == "None";
    if ports.is_none_or(Vec::is_empty) && !headless && spec["type"] != "ExternalName" {
        found.push(causes::required("spec.ports", ""));
    }
    let several = ports.is_some_and(|ports| ports.len() > 1);
    for (index, port) in ports.into_iter().flatten().enumerate() {
        let path = format!("spec.ports[{index}]");
        if several && port["name"].as_str().is_none_or(str::is_empty) {
            found.push(causes::required(&format!("{path}.name"), ""));
        }
        for field in ["port", "targetPort"] {
            let number = &port[field];
            let named = field == "targetPort" && number.is_string();
            if !named && !number.as_i64().is_some_and(|number| (1..=65_535).contains(&number)) {
                let number = if number.is_null() { json!(0) } else { number.clone() };
                let why = "must be between 1 and 65535, inclusive";
                found.push(causes::invalid(&format!("{path}.{field}"), &number, why));
            }
        }
    }
    if let Some(old) = old
        && old["spec"]["type"] == spec["type"]
        && old["spec"]["clusterIPs"] != spec["clusterIPs"]
    {
        let why = "may not change once set";
        found.push(causes::invalid("spec.clusterIPs[0]", &spec["clusterIPs"], why));
    }
    found
}

//! Quotas: what a namespace may hold in all.
//!
//! In: objects, and quotas with the status that the quota controller keeps. Out: what an object uses,
//! what a namespace uses, and which quotas a new object changes; or the refusal. A quota that has no
//! status yet limits nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    amount::{self, Amount, Amounts},
    forbidden, of_pod,
};
use crate::sim::api::{Key, Refusal, Resource, Store, resource, resource::RESOURCE_QUOTA};

/// What each container must say where a quota limits it.
const REQUIRED: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Whether a quota's entry counts this kind of object.
pub fn counts(resource: &Resource, entry: &str) -> bool {
    if entry == format!("count/{}", resource.qualified()) {
        return true;
    }
    match resource.kind {
        "Pod" => {
            let extended = entry.strip_prefix("requests.").is_some_and(is_extended);
            let ephemeral = entry.ends_with("ephemeral-storage");
            entry == "pods" || REQUIRED.contains(&entry) || extended || ephemeral
        }
        "Service" => ["services", "services.nodeports", "services.loadbalancers"].contains(&entry),
        "PersistentVolumeClaim" => ["persistentvolumeclaims", "requests.storage"].contains(&entry),
        "ConfigMap" | "Secret" | "ResourceQuota" => entry == resource.plural,
        _ => false,
    }
}

fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

/// What an object uses.
pub fn usage(resource: &Resource, object: &Value, now: Timestamp) -> Amounts {
    let one = Amount::of(1);
    let mut used = Amounts::from([(format!("count/{}", resource.qualified()), one)]);
    let spec = &object["spec"];
    match resource.kind {
        "Pod" if is_charged(object, now) => {
            used.insert("pods".to_owned(), one);
            for part in ["requests", "limits"] {
                for (name, amount) in of_pod(spec, part) {
                    let basic = ["cpu", "memory", "ephemeral-storage"].contains(&&*name);
                    if !basic && !is_extended(&name) {
                        continue;
                    }
                    if part == "requests" && basic {
                        used.insert(name.clone(), amount);
                    }
                    used.insert(format!("{part}.{name}"), amount);
                }
            }
        }
        "Service" => {
            let ports = Amount::of(spec["ports"].as_array().map_or(0, Vec::len));
            let (nodes, balancers) = match spec["type"].as_str() {
                Some("NodePort") => (ports, Amount::default()),
                Some("LoadBalancer") => (ports, one),
                _ => (Amount::default(), Amount::default()),
            };
            used.insert("services".to_owned(), one);
            used.insert("services.nodeports".to_owned(), nodes);
            used.insert("services.loadbalancers".to_owned(), balancers);
        }
        "PersistentVolumeClaim" => {
            used.insert("persistentvolumeclaims".to_owned(), one);
            let storage = Amount::read(&spec["resources"]["requests"]["storage"]);
            used.insert("requests.storage".to_owned(), storage.unwrap_or_default());
        }
        "ConfigMap" | "Secret" | "ResourceQuota" => {
            used.insert(resource.plural.to_owned(), one);
        }
        _ => {}
    }
    used
}

/// Whether a pod uses more than its place: it has not ended, and its deletion is not overdue.
fn is_charged(pod: &Value, now: Timestamp) -> bool {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let metadata = &pod["metadata"];
    let at = metadata["deletionTimestamp"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    let overdue = at.is_some_and(|at| now.as_second() > at.as_second() + grace);
    !ended && !overdue
}

/// Whether the scopes of a quota include an object.
fn includes(quota: &Value, resource: &Resource, object: &Value) -> bool {
    let scopes = quota["spec"]["scopes"].as_array().into_iter().flatten();
    let scopes = scopes.map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
    let selected = quota["spec"]["scopeSelector"]["matchExpressions"].as_array();
    let mut all = scopes.chain(selected.into_iter().flatten().cloned());
    all.all(|scope| resource.kind == "Pod" && is_in_scope(&scope, object))
}

fn is_in_scope(scope: &Value, pod: &Value) -> bool {
    let spec = &pod["spec"];
    let ends = spec["activeDeadlineSeconds"].as_i64().is_some();
    let best_effort = pod["status"]["qosClass"] == "BestEffort";
    let class = &spec["priorityClassName"];
    let listed = scope["values"].as_array().is_some_and(|values| values.contains(class));
    match (scope["scopeName"].as_str(), scope["operator"].as_str()) {
        (Some("Terminating"), _) => ends,
        (Some("NotTerminating"), _) => !ends,
        (Some("BestEffort"), _) => best_effort,
        (Some("NotBestEffort"), _) => !best_effort,
        (Some("PriorityClass"), Some("Exists")) => class.is_string(),
        (Some("PriorityClass"), Some("DoesNotExist")) => !class.is_string(),
        (Some("PriorityClass"), Some("In")) => class.is_string() && listed,
        (Some("PriorityClass"), Some("NotIn")) => !listed,
        _ => false,
    }
}

/// The quotas as they are once `new` is there, in place of `old`; only those that change.
///
/// # Errors
/// A quota does not allow it.
pub fn charged(
    store: &Store,
    resource: &Resource,
    namespace: &str,
    old: Option<&Value>,
    new: &Value,
) -> Result<Vec<(Key, Value)>, Refusal> {
    let mut changed = Vec::new();
    if resource.kind == "Event" || old.is_some() && resource.kind != "Service" {
        return Ok(changed);
    }
    let now = store.time().now();
    for (key, quota) in store.list(&RESOURCE_QUOTA, Some(namespace)) {
        let status = &quota["status"];
        let hard = amount::read(&status["hard"]);
        let entries: Vec<&String> = hard.keys().filter(|entry| counts(resource, entry)).collect();
        if entries.is_empty() || !includes(quota, resource, new) {
            continue;
        }
        let name = quota["metadata"]["name"].as_str().unwrap_or_default();
        if let Some(missing) = missing(resource, &entries, new) {
            let why = format!("failed quota: {name}: must specify {missing}");
            return Err(forbidden(resource, new, &why));
        }
        let before = old.map(|old| usage(resource, old, now)).unwrap_or_default();
        let mut more = usage(resource, new, now);
        more.retain(|entry, amount| {
            amount.nanos -= before.get(entry).map_or(0, |before| before.nanos);
            hard.contains_key(entry) && amount.nanos > 0
        });
        let mut used = amount::read(&status["used"]);
        let exceeded: Vec<&String> = more
            .iter()
            .filter(|(entry, amount)| {
                let sum = used.get(*entry).copied().unwrap_or_default().plus(**amount);
                sum.nanos > hard[*entry].nanos
            })
            .map(|(entry, _)| entry)
            .collect();
        if !exceeded.is_empty() {
            let list = |amounts: &Amounts| pretty(amounts, &exceeded);
            let why = format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                list(&more),
                list(&used),
                list(&hard)
            );
            return Err(forbidden(resource, new, &why));
        }
        amount::add(&mut used, &more);
        let mut quota = (**quota).clone();
        quota["status"]["used"] = amount::shown(&used);
        changed.push((key.clone(), quota));
    }
    Ok(changed)
}

fn pretty(amounts: &Amounts, entries: &[&String]) -> String {
    let shown =
        entries.iter().filter_map(|entry| Some(format!("{entry}={}", amounts.get(*entry)?)));
    shown.collect::<Vec<_>>().join(",")
}

/// What containers of a pod should say and do not, and which.
fn missing(resource: &Resource, entries: &[&String], pod: &Value) -> Option<String> {
    if resource.kind != "Pod" {
        return None;
    }
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| REQUIRED.contains(&entry.as_str())) {
        let (part, name) = entry.split_once('.').unwrap_or(("requests", entry.as_str()));
        let mut silent: Vec<&str> = ["containers", "initContainers"]
            .into_iter()
            .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
            .filter(|container| container["resources"][part].get(name).is_none())
            .filter_map(|container| container["name"].as_str())
            .collect();
        silent.sort_unstable();
        if !silent.is_empty() {
            found.push(format!("{entry} for: {}", silent.join(",")));
        }
    }
    (!found.is_empty()).then(|| found.join("; "))
}

/// A quota's status as it should be: what it limits, and what is used of that.
pub fn status(store: &Store, quota: &Value) -> Value {
    let namespace = quota["metadata"]["namespace"].as_str().unwrap_or_default();
    let hard = amount::read(&quota["spec"]["hard"]);
    let mut used: Amounts = hard.keys().map(|entry| (entry.clone(), Amount::default())).collect();
    let now = store.time().now();
    for resource in resource::ALL.into_iter().filter(|resource| resource.namespaced) {
        if !hard.keys().any(|entry| counts(resource, entry)) {
            continue;
        }
        for (_, object) in store.list(resource, Some(namespace)) {
            if includes(quota, resource, object) {
                let mut own = usage(resource, object, now);
                own.retain(|entry, _| hard.contains_key(entry));
                amount::add(&mut used, &own);
            }
        }
    }
    json!({"hard": amount::shown(&hard), "used": amount::shown(&used)})
}

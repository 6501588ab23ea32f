//! Limit ranges: what containers have that say nothing, and what they may not go below or above.

use serde_json::{Value, json};

use super::{
    amount::{self, Amounts},
    forbidden, of_pod,
};
use crate::sim::api::{
    Refusal, Store,
    admission::default,
    resource::{LIMIT_RANGE, POD},
};

/// Where the API server notes what it filled in.
const NOTE: &str = "kubernetes.io/limit-ranger";

/// Completes a limit range itself: what may be at most is the default, a default limit is the
/// default request, and so is what must be at least.
pub fn complete_range(range: &mut Value) {
    for limit in range["spec"]["limits"].as_array_mut().into_iter().flatten() {
        for list in ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"] {
            if let Some(list) = limit.get_mut(list) {
                amount::tidy(list);
            }
        }
        if limit["type"] != "Container" {
            continue;
        }
        for (from, to) in
            [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
        {
            for (name, amount) in limit[from].as_object().cloned().into_iter().flatten() {
                default(limit, to, || json!({}));
                default(&mut limit[to], &name, || amount);
            }
        }
    }
}

/// Gives the containers of a pod the defaults of its namespace.
pub(super) fn complete(store: &Store, namespace: &str, pod: &mut Value) {
    for (_, range) in store.list(&LIMIT_RANGE, Some(namespace)) {
        let (mut requests, mut limits) = (json!({}), json!({}));
        for limit in limits_of(range, "Container") {
            json_patch::merge(&mut requests, &limit["defaultRequest"]);
            json_patch::merge(&mut limits, &limit["default"]);
        }
        let mut notes = Vec::new();
        for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
            for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
                let name = container["name"].as_str().unwrap_or_default().to_owned();
                for (part, word, defaults) in
                    [("requests", "request", &requests), ("limits", "limit", &limits)]
                {
                    let set = fill(&mut container["resources"], part, defaults);
                    if !set.is_empty() {
                        notes.push(format!("{} {word} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
        if !notes.is_empty() {
            let note = format!("LimitRanger plugin set: {}", notes.join("; "));
            pod["metadata"]["annotations"][NOTE] = json!(note);
        }
    }
}

fn limits_of<'v>(range: &'v Value, kind: &str) -> impl Iterator<Item = &'v Value> {
    let limits = range["spec"]["limits"].as_array().into_iter().flatten();
    limits.filter(move |limit| limit["type"] == *kind)
}

/// Fills in what is missing; returns what that was.
fn fill(resources: &mut Value, part: &str, defaults: &Value) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in defaults.as_object().into_iter().flatten() {
        default(resources, part, || json!({}));
        if resources[part].get(name).is_none() {
            resources[part][name] = amount.clone();
            set.push(name.clone());
        }
    }
    set
}

/// Whether a pod keeps within the limit ranges of its namespace.
///
/// # Errors
/// It does not.
pub fn judge(store: &Store, namespace: &str, pod: &Value) -> Result<(), Refusal> {
    for (_, range) in store.list(&LIMIT_RANGE, Some(namespace)) {
        let mut found = Vec::new();
        for limit in limits_of(range, "Container") {
            for list in ["containers", "initContainers"] {
                for container in pod["spec"][list].as_array().into_iter().flatten() {
                    let amounts = |part: &str| amount::read(&container["resources"][part]);
                    found.extend(breaches(limit, &amounts("requests"), &amounts("limits")));
                }
            }
        }
        for limit in limits_of(range, "Pod") {
            let amounts = |part: &str| of_pod(&pod["spec"], part);
            found.extend(breaches(limit, &amounts("requests"), &amounts("limits")));
        }
        match found.as_slice() {
            [] => {}
            [one] => return Err(forbidden(&POD, pod, one)),
            several => return Err(forbidden(&POD, pod, &format!("[{}]", several.join(", ")))),
        }
    }
    Ok(())
}

fn breaches(limit: &Value, requests: &Amounts, limits: &Amounts) -> Vec<String> {
    let mut found = Vec::new();
    let kind = limit["type"].as_str().unwrap_or_default();
    let (min, max) = (amount::read(&limit["min"]), amount::read(&limit["max"]));
    for (name, least) in &min {
        let start = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(name), limits.get(name)) {
            (None, _) => found.push(format!("{start}.  No request is specified")),
            (Some(request), _) if request.nanos < least.nanos => {
                found.push(format!("{start}, but request is {request}"));
            }
            (_, Some(limit)) if limit.nanos < least.nanos => {
                found.push(format!("{start}, but limit is {limit}"));
            }
            _ => {}
        }
    }
    for (name, most) in &max {
        let start = format!("maximum {name} usage per {kind} is {most}");
        match (limits.get(name), requests.get(name)) {
            (None, _) => found.push(format!("{start}.  No limit is specified")),
            (Some(limit), _) if limit.nanos > most.nanos => {
                found.push(format!("{start}, but limit is {limit}"));
            }
            (_, Some(request)) if request.nanos > most.nanos => {
                found.push(format!("{start}, but request is {request}"));
            }
            _ => {}
        }
    }
    found
}

//! Eviction: the deletion of a pod that a `PodDisruptionBudget` may forbid.
//!
//! In: a pod's name, and the budgets with the status that the disruption controller keeps. Out: the
//! pod's deletion, told in its condition `DisruptionTarget` and in the budget's `disruptedPods`; or
//! 429. Pods that have not begun to run, or have ended, go without a question.

use serde_json::{Value, json};

use super::{
    Key, Refusal, Store,
    http::selector,
    managed_fields::Writer,
    resource::{DISRUPTION_BUDGET, POD},
    store::{Deletion, expect, second, status_writer},
};

/// The field manager of what the server itself writes.
const SERVER: &str = "kube-apiserver";

/// Evicts a pod.
///
/// # Errors
/// It does not exist, is not the one that `how` expects, or its budget does not allow it.
pub fn evict(store: &mut Store, by: &Writer, key: &Key, how: Deletion) -> Result<(), Refusal> {
    let pod = store.get(&POD, &key.0, &key.1).cloned();
    let pod = pod.ok_or_else(|| Refusal::not_found(&POD, &key.1))?;
    if !disturbs_nobody(&pod) {
        ask(store, key, &pod)?;
    }
    expect(&POD, &key.1, &pod, &how)?;
    let mut marked = (*pod).clone();
    let told = json!({
        "type": "DisruptionTarget", "status": "True", "lastTransitionTime": now(store),
        "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    });
    set_condition(&mut marked["status"], told);
    let marked = store.replace(&status_writer(by.manager), &POD, key, marked)?;
    // That was our own change.
    let version = marked["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    let resource_version = how.resource_version.and(version);
    let by = Writer { subresource: None, ..*by };
    store.delete(&by, &POD, key, &Deletion { resource_version, ..how }).map(drop)
}

fn disturbs_nobody(pod: &Value) -> bool {
    let ended =
        ["Pending", "Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase);
    ended || !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Takes one of the disruptions that the pod's budget allows, if it has a budget.
fn ask(store: &mut Store, key: &Key, pod: &Value) -> Result<(), Refusal> {
    let labels = &pod["metadata"]["labels"];
    let covers = |budget: &Value| {
        let selector = &budget["spec"]["selector"];
        selector.is_object() && selector::of_object(selector).matches(labels)
    };
    let budgets = store.list(&DISRUPTION_BUDGET, Some(&key.0));
    let budgets: Vec<_> = budgets.filter(|(_, budget)| covers(budget)).collect();
    let (name, mut budget) = match budgets.as_slice() {
        [] => return Ok(()),
        [(name, budget)] => ((*name).clone(), (***budget).clone()),
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Refusal::new(500, "", message));
        }
    };
    if !is_ready(pod) && may_go_unready(&budget) {
        return Ok(());
    }
    take_one(&mut budget, key, &now(store))?;
    store.replace(&status_writer(SERVER), &DISRUPTION_BUDGET, &name, budget).map(drop)
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Whether a pod that serves nobody may go without a disruption: by default only where the others
/// are as many as they should be.
fn may_go_unready(budget: &Value) -> bool {
    let count = |field: &str| budget["status"][field].as_i64().unwrap_or(0);
    let desired = count("desiredHealthy");
    budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        || desired > 0 && count("currentHealthy") >= desired
}

fn take_one(budget: &mut Value, pod: &Key, now: &str) -> Result<(), Refusal> {
    let generation = budget["metadata"]["generation"].as_i64().unwrap_or(0);
    let name = budget["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let status = &mut budget["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    if count("observedGeneration") < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        let mut refusal = forbidden(&why);
        refusal.details["retryAfterSeconds"] = json!(10);
        return Err(refusal);
    }
    let allowed = count("disruptionsAllowed");
    if allowed <= 0 {
        return Err(forbidden(&reason(status, &name)));
    }
    status["disruptionsAllowed"] = json!(allowed - 1);
    if allowed == 1 {
        tell_allowed(status, now);
    }
    status["disruptedPods"][&pod.1] = json!(now);
    Ok(())
}

fn reason(status: &Value, name: &str) -> String {
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let failed = conditions
        .find(|one| one["type"] == "DisruptionAllowed" && one["reason"] == "SyncFailed")
        .and_then(|one| one["message"].as_str());
    let (desired, current) = (count("desiredHealthy"), count("currentHealthy"));
    match failed {
        Some(why) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
        ),
        None if current <= desired => format!(
            "The disruption budget {name} needs {desired} healthy pods and has {current} currently"
        ),
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

fn forbidden(why: &str) -> Refusal {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut refusal = Refusal::new(429, "TooManyRequests", message);
    refusal.details = json!({"causes": [{"reason": "DisruptionBudget", "message": why}]});
    refusal
}

fn now(store: &Store) -> String {
    second(store.time().now())
}

/// Says in a budget's conditions whether its status allows a disruption.
pub fn tell_allowed(status: &mut Value, now: &str) {
    let allowed = status["disruptionsAllowed"].as_i64().unwrap_or(0) > 0;
    let (word, reason) =
        if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let mut told = json!({
        "type": "DisruptionAllowed", "status": word, "reason": reason, "message": "",
        "lastTransitionTime": now,
    });
    if status["observedGeneration"].as_i64().is_some_and(|seen| seen > 0) {
        told["observedGeneration"] = status["observedGeneration"].clone();
    }
    set_condition(status, told);
}

/// Puts a condition among those of a status. One whose status stays keeps its transition time.
pub fn set_condition(status: &mut Value, mut condition: Value) {
    let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
    match all.iter_mut().find(|present| present["type"] == condition["type"]) {
        Some(present) => {
            if present["status"] == condition["status"] {
                condition["lastTransitionTime"] = present["lastTransitionTime"].clone();
            }
            *present = condition;
        }
        None => all.push(condition),
    }
    status["conditions"] = Value::Array(all);
}

//! Whether `ResourceQuotas` have room for the pods of a release. Pure.

use serde_json::Value;

use super::{Check, Level, snapshot::Snapshot};
use crate::world::{Shift, quantity::nano_units};

/// One check for each quota without scopes; none where there is no quota.
pub fn room(seen: &Snapshot) -> Vec<Check> {
    let pods = surge(seen);
    let mut checks = Vec::new();
    for quota in &seen.quotas {
        let name = quota["metadata"]["name"].as_str().unwrap_or_default();
        if !quota["spec"]["scopes"].is_null() || !quota["spec"]["scopeSelector"].is_null() {
            let text = format!("ResourceQuota {name} has scopes, which are not looked at");
            checks.push(Check::new(Level::NotChecked, "quota", text));
            continue;
        }
        let short = short(quota, &seen.template, pods);
        if short.is_empty() {
            let text = format!("ResourceQuota {name} has room for {pods} more pods");
            checks.push(Check::new(Level::Ok, "quota", text));
        } else {
            let text = format!(
                "ResourceQuota {name} has no room for the {pods} more pods of a release: {}",
                short.join("; ")
            );
            let next =
                "raise it, ask for less, or use rolling with maxSurge: 0 and maxUnavailable: 1";
            checks.push(Check::new(Level::Fail, "quota", text).next(next));
        }
    }
    checks
}

/// The most pods that a release has on top.
pub fn surge(seen: &Snapshot) -> u32 {
    let program = &seen.program;
    if program.shift == Shift::Pods {
        let surge = program.max_surge.map_or(seen.desired, |surge| surge.rounded_up(seen.desired));
        return surge;
    }
    seen.desired
}

/// What is short, each in a few words.
fn short(quota: &Value, template: &Value, pods: u32) -> Vec<String> {
    let hard = quota["status"]["hard"].as_object().or_else(|| quota["spec"]["hard"].as_object());
    let mut found = Vec::new();
    for (resource, hard) in hard.into_iter().flatten() {
        let Some(each) = of_a_pod(template, resource) else { continue };
        let amount = |value: &Value| value.as_str().and_then(nano_units);
        let Some(limit) = amount(hard) else { continue };
        let used = amount(&quota["status"]["used"][resource]).unwrap_or(0);
        if used + each * i128::from(pods) > limit {
            let used = quota["status"]["used"][resource].as_str().unwrap_or("0");
            found.push(format!("{resource}: {used} of {} used", hard.as_str().unwrap_or_default()));
        }
    }
    found
}

/// What one pod takes of a quota's resource; none where pods do not count.
fn of_a_pod(template: &Value, resource: &str) -> Option<i128> {
    if matches!(resource, "pods" | "count/pods") {
        return nano_units("1");
    }
    let (kind, name) = match resource.split_once('.') {
        Some((kind @ ("requests" | "limits"), name)) => (kind, name),
        _ if matches!(resource, "cpu" | "memory" | "ephemeral-storage") => ("requests", resource),
        _ => return None,
    };
    let containers = template["spec"]["containers"].as_array()?;
    let amounts = containers.iter().filter_map(|container| {
        let resources = &container["resources"];
        // A limit without a request is the request, too.
        let found = [&resources[kind][name], &resources["limits"][name]];
        found.into_iter().find_map(|value| value.as_str().and_then(nano_units))
    });
    Some(amounts.sum())
}

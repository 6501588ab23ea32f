//! What the server serves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, Request};
use crate::sim::api::{Resource, resource};

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// The answer, if the request asks such.
pub(super) fn answer(request: &Request) -> Option<Answer> {
    if request.method != "GET" {
        return None;
    }
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let body = match parts.as_slice() {
        ["version"] => json!({
            "major": "1", "minor": "35", "gitVersion": "v1.35.4", "gitCommit": "", "gitTreeState": "",
            "buildDate": "2026-01-01T00:00:00Z", "goVersion": "", "compiler": "gc",
            "platform": "linux/amd64",
        }),
        ["healthz" | "livez" | "readyz"] => {
            return Some(Answer::Text { status: 200, text: "ok".to_owned() });
        }
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["apis"] => {
            let groups: Vec<Value> =
                groups().iter().map(|(group, versions)| described(group, versions)).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", version] => resources("", version)?,
        ["apis", group] => {
            let versions = groups().remove(*group)?;
            let mut body = described(group, &versions);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            body
        }
        ["apis", group, version] => resources(group, version)?,
        _ => return None,
    };
    Some(Answer::ok(body))
}

/// The groups with their versions.
fn groups() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for resource in resource::ALL.iter().filter(|resource| !resource.group.is_empty()) {
        let versions = groups.entry(resource.group).or_default();
        for version in resource.versions {
            if !versions.contains(version) {
                versions.push(version);
            }
        }
    }
    groups.insert("authentication.k8s.io", vec!["v1"]);
    groups.insert("authorization.k8s.io", vec!["v1"]);
    groups
}

fn described(group: &str, versions: &[&str]) -> Value {
    let version =
        |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let known = groups().get(group).is_some_and(|versions| versions.contains(&version));
    let core = group.is_empty() && version == "v1";
    if !known && !core {
        return None;
    }
    let mut list: Vec<Value> = resource::ALL
        .iter()
        .filter(|one| one.group == group && one.versions.contains(&version))
        .flat_map(|resource| entries(resource))
        .collect();
    list.extend(questions(group));
    if core {
        // Core Events are a view of those of events.k8s.io.
        list.extend(entries(&resource::EVENT));
    }
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": list,
    }))
}

/// What can only be asked.
fn questions(group: &str) -> Vec<Value> {
    let kinds: &[&str] = match group {
        "authentication.k8s.io" => &["SelfSubjectReview"],
        "authorization.k8s.io" => {
            &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"]
        }
        _ => &[],
    };
    let entry = |kind: &&str| {
        let name = format!("{}s", kind.to_lowercase());
        json!({
            "name": name, "singularName": kind.to_lowercase(), "namespaced": false, "kind": kind,
            "verbs": ["create"],
        })
    };
    kinds.iter().map(entry).collect()
}

fn entries(resource: &Resource) -> Vec<Value> {
    let mut entry = json!({
        "name": resource.plural,
        "singularName": resource.kind.to_lowercase(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": VERBS,
    });
    if !resource.short.is_empty() {
        entry["shortNames"] = json!(resource.short);
    }
    if resource.group == crate::api::GROUP {
        entry["categories"] = json!(["sluice"]);
    } else if ["pods", "services", "replicasets", "deployments", "jobs"].contains(&resource.plural)
    {
        entry["categories"] = json!(["all"]);
    }
    let mut list = vec![entry];
    let verbs = json!(["get", "patch", "update"]);
    if resource.status {
        list.push(json!({
            "name": format!("{}/status", resource.plural), "singularName": "",
            "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs,
        }));
    }
    if resource.scale {
        list.push(json!({
            "name": format!("{}/scale", resource.plural), "singularName": "",
            "namespaced": resource.namespaced, "group": "autoscaling", "version": "v1",
            "kind": "Scale", "verbs": verbs,
        }));
    }
    if resource.kind == "Pod" {
        list.push(json!({
            "name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy",
            "version": "v1", "kind": "Eviction", "verbs": ["create"],
        }));
    }
    list
}

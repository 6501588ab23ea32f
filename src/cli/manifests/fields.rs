//! Fields that do not exist.
//!
//! In: an object. Out: each field that its kind does not have, with the nearest name that it has.
//! Our kinds go by their schemas, Deployments, Services, Secrets
//! and pod templates by the types of Kubernetes.
//! Istio's kinds have no schema here.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PodTemplateSpec, Secret, Service},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::sim::api::{
    Resource,
    admission::{definition, unknown_fields},
    resource,
};

/// Most edits between a wrong name and the one that was meant.
const NEAR: usize = 3;

/// The fields of `object` that do not exist, each with its path and a sentence.
pub(super) fn unknown(resource: &Resource, object: &Value) -> Vec<String> {
    let mut found: Vec<String> = unknown_fields(resource, object)
        .into_iter()
        .map(|path| match nearest(resource, &path) {
            Some(near) => format!("{path}: there is no such field; did you mean `{near}`?"),
            None => format!("{path}: there is no such field"),
        })
        .collect();
    let lost = match resource.kind {
        "Deployment" => lost::<Deployment>(object, ""),
        "Service" => lost::<Service>(object, ""),
        "Secret" => lost::<Secret>(object, ""),
        "Rollout" if !object["spec"]["template"].is_null() => {
            lost::<PodTemplateSpec>(&object["spec"]["template"], "spec.template.")
        }
        _ => Vec::new(),
    };
    found.extend(lost.iter().map(|path| format!("{path}: there is no such field")));
    found
}

/// The paths of fields that the type does not read. An object that does not have the type's form
/// is for admission to judge.
fn lost<T: DeserializeOwned + Serialize>(object: &Value, prefix: &str) -> Vec<String> {
    let read = serde_json::from_value::<T>(object.clone());
    let read = read.ok().and_then(|read| serde_json::to_value(read).ok());
    let mut found = Vec::new();
    if let Some(read) = read {
        compare(object, &read, prefix, &mut found);
    }
    found
}

fn compare(written: &Value, read: &Value, path: &str, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(fields), Value::Object(kept)) => {
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                match kept.get(name) {
                    Some(read) => compare(value, read, &format!("{path}{name}."), found),
                    None => found.push(format!("{path}{name}")),
                }
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            let path = path.trim_end_matches('.');
            for (index, (item, other)) in items.iter().zip(others).enumerate() {
                compare(item, other, &format!("{path}[{index}]."), found);
            }
        }
        _ => {}
    }
}

/// The name nearest to the last one of `path`, among those that are allowed there.
fn nearest(resource: &Resource, path: &str) -> Option<String> {
    if resource.group != resource::ROLLOUT.group {
        return None;
    }
    let mut schema = definition(resource)?.pointer("/spec/versions/0/schema/openAPIV3Schema")?;
    let (above, wrong) = path.rsplit_once('.').unwrap_or(("", path));
    for part in above.split('.').filter(|part| !part.is_empty()) {
        let name = part.split('[').next().unwrap_or_default();
        let others = &schema["additionalProperties"];
        schema = schema["properties"].get(name).unwrap_or(others);
        for _ in 0..part.matches('[').count() {
            schema = &schema["items"];
        }
    }
    let names = schema["properties"].as_object()?.keys();
    let near = names.map(|name| (distance(wrong, name), name)).min()?;
    (near.0 <= NEAR && near.0 < wrong.len()).then(|| near.1.clone())
}

/// How many letters must be put in, taken out or changed; capital letters count as small ones.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in
            [("", "abc", 3), ("setWieght", "setWeight", 2), ("kitten", "sitting", 3), ("a", "A", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_misspelt_field_is_named_with_what_was_meant() {
        let steps = json!([{"setWeight": 5}, {"setWieght": 5}]);
        let rollout = json!({"spec": {"strategy": {"canary": {"steps": steps}}}});
        let found = unknown(&resource::ROLLOUT, &rollout);
        assert_eq!(
            found,
            [
                "spec.strategy.canary.steps[1].setWieght: there is no such field; did you mean `setWeight`?"
            ]
        );
    }

    #[test]
    fn fields_of_kubernetes_are_checked_as_well() {
        let container = json!({"name": "a", "image": "b", "imagePulPolicy": "Always"});
        let template = json!({"metadata": {}, "spec": {"containers": [container]}});
        let rollout = json!({"spec": {"template": template}});
        let found = unknown(&resource::ROLLOUT, &rollout);
        assert_eq!(
            found,
            ["spec.template.spec.containers[0].imagePulPolicy: there is no such field"]
        );
        let service = json!({"metadata": {"name": "a"}, "spec": {"selecter": {"app": "a"}}});
        let found = unknown(&resource::SERVICE, &service);
        assert_eq!(found, ["spec.selecter: there is no such field"]);
    }
}

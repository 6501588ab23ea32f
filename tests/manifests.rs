//! The manifests that are shipped: examples hold only fields that exist, and their analysis
//! resolves; the two variants of the controller's rights do not drift apart.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sluice::{
    analysis::template::{Library, Request, Subject, resolve},
    api::{AnalysisTemplate, AnalysisTemplateSpec, Rollout},
};

#[test]
fn examples_hold_only_fields_that_exist() {
    for (place, document) in examples() {
        let kind = document["kind"].as_str().expect("a kind");
        let read_back = match kind {
            "Rollout" => read_back::<Rollout>(&document),
            "AnalysisTemplate" => read_back::<AnalysisTemplate>(&document),
            _ => continue,
        };
        let lost = lost(&document, &read_back, "");
        assert!(lost.is_empty(), "{place}: no such fields in a {kind}: {lost:?}");
    }
}

#[test]
fn the_analysis_of_examples_resolves() {
    let documents = examples();
    let mut resolved = 0;
    for (place, document) in documents.iter().filter(|(_, object)| object["kind"] == "Rollout") {
        let rollout: Rollout = serde_json::from_value(document.clone()).unwrap();
        let Some(analysis) = &sluice::world::Program::new(&rollout.spec).analysis else { continue };
        let templates = templates(&documents);
        let request = Request {
            templates: &analysis.templates,
            metrics: &analysis.metrics,
            args: &analysis.args,
        };
        let library = Library { templates: &templates, cluster_templates: &BTreeMap::new() };
        let mut object = document.clone();
        object["metadata"]["namespace"] = json!("shop");
        let subject = Subject { rollout: &object, stable: Some("aaaa"), latest: "bbbb" };
        let run = resolve(&request, &library, &subject);
        assert!(run.is_ok(), "{place}: {:?}", run.err().map(|error| error.to_string()));
        resolved += 1;
    }
    assert!(resolved > 0, "an example shows an analysis");
}

/// Whoever adds a right to one variant must add it to the other.
#[test]
fn the_rights_in_one_namespace_are_those_in_all() {
    let mut wanted = rules("config/rbac/controller.yaml");
    wanted.extend(rules("config/rbac/secrets.yaml"));
    wanted.extend(rules("config/rbac/lease.yaml"));
    for rule in &mut wanted {
        // Theirs is a ClusterRole of its own, because they are in no namespace.
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != "clusteranalysistemplates");
        }
    }
    assert_eq!(rules("config/namespaced/role.yaml"), wanted);
}

/// All rules of the roles in a file.
fn rules(path: &str) -> Vec<Value> {
    let documents = documents(&root().join(path)).into_iter();
    let rules = documents.filter_map(|document| document.get("rules")?.as_array().cloned());
    rules.flatten().collect()
}

fn templates(documents: &[(String, Value)]) -> BTreeMap<String, Arc<AnalysisTemplateSpec>> {
    let all = documents.iter().filter(|(_, object)| object["kind"] == "AnalysisTemplate");
    let read = all.map(|(place, object)| {
        let template: AnalysisTemplate = serde_json::from_value(object.clone()).expect(place);
        (template.metadata.name.expect(place), Arc::new(template.spec))
    });
    read.collect()
}

fn read_back<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    let object: T = serde_json::from_value(document.clone()).expect("an object of its kind");
    serde_json::to_value(object).expect("JSON")
}

/// Paths in `written` that are not in `read`.
fn lost(written: &Value, read: &Value, path: &str) -> Vec<String> {
    match (written, read) {
        (Value::Object(fields), Value::Object(_)) => {
            let below = fields.iter().flat_map(|(name, value)| {
                let path = format!("{path}.{name}");
                read.get(name).map_or_else(|| vec![path.clone()], |read| lost(value, read, &path))
            });
            below.collect()
        }
        (Value::Array(items), Value::Array(others)) => {
            let pairs = items.iter().zip(others).enumerate();
            pairs
                .flat_map(|(i, (item, other))| lost(item, other, &format!("{path}[{i}]")))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Every document of every example, with its place.
fn examples() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root().join("examples")).expect("examples") {
        for file in fs::read_dir(folder.expect("an example").path()).expect("a folder") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|kind| kind == "md") {
                continue;
            }
            found.extend(
                documents(&path).into_iter().map(|object| (path.display().to_string(), object)),
            );
        }
    }
    assert!(!found.is_empty());
    found
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a readable file");
    let documents = text.split("\n---\n").map(serde_yaml::from_str);
    documents.collect::<Result<_, _>>().expect("YAML")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

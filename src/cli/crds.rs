//! `sluice crds`: writes the CustomResourceDefinitions, one file a kind.

use std::{fs, path::Path};

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::api::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Rollout};

/// The CustomResourceDefinitions of every kind.
///
/// # Errors
/// If a generated schema has not the shape of a CustomResourceDefinition, which is a bug.
pub fn definitions() -> anyhow::Result<Vec<CustomResourceDefinition>> {
    let mut rollout = serde_json::to_value(Rollout::crd())?;
    shorten_inline_metrics(&mut rollout);
    drop_idle(&mut rollout);
    Ok(vec![
        serde_json::from_value(rollout)?,
        AnalysisTemplate::crd(),
        ClusterAnalysisTemplate::crd(),
        AnalysisRun::crd(),
    ])
}

/// Drops the descriptions below a Rollout's inline `metrics`: `kubectl explain
/// analysistemplate.spec.metrics` has them, and the definition must stay small enough for a plain
/// `kubectl apply`, which copies it into an annotation.
fn shorten_inline_metrics(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "metrics" {
                    if let Some(items) = field.get_mut("items") {
                        drop_descriptions(items);
                    }
                } else {
                    shorten_inline_metrics(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_inline_metrics),
        _ => {}
    }
}

fn drop_descriptions(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        if fields.get("description").is_some_and(Value::is_string) {
            fields.remove("description");
        }
        fields.values_mut().for_each(drop_descriptions);
    }
}

/// Drops what tells the API server nothing: formats of numbers whose bounds are given, and choices
/// between anything and anything.
fn drop_idle(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(drop_idle);
    }
    if let Value::Object(fields) = schema {
        let bounded =
            fields.contains_key("maximum") || fields.get("type") == Some(&json!("number"));
        if bounded && fields.get("format").is_some_and(Value::is_string) {
            fields.remove("format");
        }
        if fields.get("anyOf") == Some(&json!([{}, {}])) {
            fields.remove("anyOf");
        }
        fields.values_mut().for_each(drop_idle);
    }
}

/// The file name and YAML text of a definition.
///
/// # Errors
/// If it cannot be written as YAML.
pub fn file(definition: &CustomResourceDefinition) -> anyhow::Result<(String, String)> {
    let yaml = serde_yaml::to_string(definition).context("cannot write the definition as YAML")?;
    let name = format!("{}.yaml", definition.spec.names.plural);
    Ok((name, format!("# Generated from src/api by `make crds`; do not edit.\n{yaml}")))
}

/// Writes every definition into `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for definition in definitions()? {
        let (name, text) = file(&definition)?;
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

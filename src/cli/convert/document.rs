//! The documents of the input, and what each of them is.

use serde_json::Value;

use crate::cli::manifests::Source;

/// What a document is to the converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A Rollout of Argo Rollouts.
    ArgoRollout,
    /// An AnalysisTemplate or ClusterAnalysisTemplate of Argo Rollouts.
    ArgoTemplate,
    /// A Canary of Flagger.
    Canary,
    /// A `MetricTemplate` of Flagger.
    MetricTemplate,
    /// A Deployment.
    Deployment,
    /// One that has no equal, with the reason.
    Nothing(&'static str),
    /// Anything else, which goes on as it is.
    Other,
}

/// One object of the input.
#[derive(Clone, Debug)]
pub struct Document {
    /// `FILE, document N`.
    pub place: String,
    /// What it is.
    pub what: What,
    /// The object.
    pub object: Value,
}

impl Document {
    /// `Rollout checkout`.
    pub fn subject(&self) -> String {
        format!("{} {}", self.kind(), self.object["metadata"]["name"].as_str().unwrap_or_default())
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// The object without the two fields that say what it is.
    pub fn body(&self) -> Value {
        let mut body = self.object.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        body
    }
}

/// Reads all documents; items of a List count as documents of their own.
///
/// # Errors
/// What is no object, each in a sentence.
pub fn read(sources: &[Source]) -> Result<Vec<Document>, Vec<String>> {
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    for source in sources {
        let parsed = serde_yaml::from_multiple::<Value>(&source.text);
        let parsed = parsed.unwrap_or_else(|error| {
            errors.push(format!("{}: {error}", source.name));
            Vec::new()
        });
        for (index, value) in parsed.into_iter().enumerate() {
            let place = format!("{}, document {}", source.name, index + 1);
            let items = match value["kind"].as_str() {
                Some("List") => value["items"].as_array().cloned().unwrap_or_default(),
                _ => vec![value],
            };
            for object in items.into_iter().filter(|object| !object.is_null()) {
                if object["kind"].as_str().is_none_or(str::is_empty) {
                    errors.push(format!(
                        "{place}: kind: found none, allowed is that of an object of Kubernetes"
                    ));
                    continue;
                }
                documents.push(Document { place: place.clone(), what: what(&object), object });
            }
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

fn what(object: &Value) -> What {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split('/').next().unwrap_or_default();
    match (group, object["kind"].as_str().unwrap_or_default()) {
        ("argoproj.io", "Rollout") => What::ArgoRollout,
        ("argoproj.io", "AnalysisTemplate" | "ClusterAnalysisTemplate") => What::ArgoTemplate,
        ("argoproj.io", "Experiment") => What::Nothing(
            "Sluice has no experiments: the canary itself, with setCanaryScale and weight 0, is what can be tried",
        ),
        ("argoproj.io", "AnalysisRun") => What::Nothing("a run of the past; Sluice starts its own"),
        ("flagger.app", "Canary") => What::Canary,
        ("flagger.app", "MetricTemplate") => What::MetricTemplate,
        ("flagger.app", "AlertProvider") => What::Nothing(
            "no alerts are sent from here; alert on the controller's metrics or on Events",
        ),
        ("apps", "Deployment") => What::Deployment,
        _ => What::Other,
    }
}

//! Templates that run the same pods, templates that do not, and the fingerprints of `v1` for ever.

mod golden;
mod pairs;

use serde_json::Value;

use crate::api::PodTemplate;

fn template(text: &str) -> PodTemplate {
    serde_yaml::from_str(text).expect(text)
}

/// A template whose one container has these further fields.
fn container(fields: &str) -> PodTemplate {
    template(&format!("spec: {{containers: [{{name: web, image: 'web:1'{}}}]}}", more(fields)))
}

/// A template whose spec has these further fields.
fn spec(fields: &str) -> PodTemplate {
    template(&format!("spec: {{containers: [{{name: web, image: 'web:1'}}]{}}}", more(fields)))
}

/// A template with one volume that has these further fields.
fn volume(fields: &str) -> PodTemplate {
    spec(&format!("volumes: [{{name: a{}}}]", more(fields)))
}

/// A template with this metadata.
fn metadata(text: &str) -> PodTemplate {
    template(&format!("{{metadata: {text}, spec: {{containers: []}}}}"))
}

fn more(fields: &str) -> String {
    if fields.is_empty() {
        return String::new();
    }
    format!(", {fields}")
}

/// Every template of the golden file, with what is written beside it.
fn corpus() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fingerprints/v1.json");
    let text = std::fs::read_to_string(path).expect("the golden file");
    serde_json::from_str(&text).expect("a list of templates")
}

fn template_of(entry: &Value) -> PodTemplate {
    serde_json::from_value(entry["template"].clone()).expect("a template")
}

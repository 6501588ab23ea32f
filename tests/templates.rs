//! The shipped `analysis-templates`: each is what it says, and tells the good from the bad.

#[path = "support/shipped.rs"]
mod shipped;

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use sluice::{
    analysis::provider::prometheus::{HttpClients, InProcess, Request},
    api::ClusterAnalysisTemplate,
    sim::prometheus::{Database, http},
};

/// The simulated Prometheus, without a simulation around it.
#[derive(Debug)]
struct Simulated(Database);

impl InProcess for Simulated {
    fn answer(&self, request: &Request) -> (u16, Vec<u8>) {
        let mut form = reqwest::Url::parse("http://form").expect("an address");
        form.query_pairs_mut().extend_pairs(&request.form);
        let (path, body) = (request.url.path(), form.query().unwrap_or_default());
        let now = shipped::measured_at();
        let (status, body) = http::answer("POST", path, "", body, &self.0, now);
        (status, body.to_string().into_bytes())
    }
}

#[tokio::test]
async fn each_passes_the_good_fails_the_bad_and_waits_for_what_is_silent() {
    let http = HttpClients::in_process(Arc::new(Simulated(shipped::samples())));
    let surprises = shipped::surprises(&http, "http://prometheus").await;
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn each_that_asks_prometheus_needs_no_argument_and_all_go_together() {
    let templates = shipped::templates();
    assert!(templates.len() >= 8);
    let url = ("url", "http://web-canary/");
    for name in templates.keys() {
        let needed = if name == "smoke-http" { &[url][..] } else { &[] };
        let run = shipped::run(&[name], needed, "abc").expect(name);
        let endless = run.metrics.iter().all(|metric| {
            metric.provider.job.is_some() || (metric.count.is_none() && metric.interval.is_some())
        });
        assert!(endless, "{name} watches as long as the release lasts");
    }
    let names: Vec<&str> = templates.keys().map(String::as_str).collect();
    let run = shipped::run(&names, &[url, ("count", "4")], "abc").expect("one run of all");
    for metric in run.metrics.iter().filter(|metric| metric.provider.prometheus.is_some()) {
        let count = metric.count.as_ref().and_then(sluice::api::Count::number);
        assert_eq!(count, Some(4), "{}", metric.name);
    }
}

#[test]
fn they_hold_only_fields_that_exist_and_are_all_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = fs::read_to_string(root.join("analysis-templates/Kustomization")).expect("it");
    let listed: Value = serde_yaml::from_str(&listed).expect("YAML");
    let mut names = Vec::new();
    for path in shipped::files() {
        let text = fs::read_to_string(&path).expect("a readable file");
        let written: Value = serde_yaml::from_str(&text).expect("YAML");
        let template: ClusterAnalysisTemplate = serde_yaml::from_str(&text).expect("a template");
        let read = serde_json::to_value(template).expect("JSON");
        assert_eq!(unread(&written, &read, ""), Vec::<String>::new(), "{}", path.display());
        names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
    }
    assert_eq!(listed["resources"], json!(names));
}

#[test]
fn the_page_names_every_argument_with_its_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/analysis-templates.md")).expect("the page");
    for (name, spec) in shipped::templates() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("the table has no row for {name}"));
        for argument in &spec.args {
            let written = match argument.value.as_deref() {
                Some(value) if !value.is_empty() => format!("`{}` {value}", argument.name),
                _ => format!("`{}`", argument.name),
            };
            let of_several = |line: &str| line.starts_with("- `") && line.contains(&written);
            let common = page.lines().any(of_several);
            assert!(common || row.contains(&written), "{name}: {written} is not on the page");
        }
    }
}

#[test]
fn the_smoke_test_is_one_job_that_asks_the_address() {
    let missing = shipped::run(&["smoke-http"], &[], "abc").expect_err("where to?").to_string();
    assert!(missing.contains("found no value for \"url\""), "{missing}");
    let url = "http://web-canary/healthz";
    let job = shipped::smoke_job(&[("url", url)]);
    let pod = &job["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"][0], json!({"name": "URL", "value": url}));
    assert_eq!(container["image"], "curlimages/curl:8.11.1");
    assert_eq!(pod["metadata"]["labels"]["sidecar.istio.io/inject"], "false");
    assert_eq!(job["spec"]["backoffLimit"], 0, "a smoke test that fails has failed");
}

/// Paths in `written` that are not in `read`, or are otherwise there.
fn unread(written: &Value, read: &Value, path: &str) -> Vec<String> {
    match (written, read) {
        (Value::Object(fields), Value::Object(_)) => {
            let below = fields.iter();
            below
                .flat_map(|(name, value)| unread(value, &read[name], &format!("{path}.{name}")))
                .collect()
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let pairs = items.iter().zip(others).enumerate();
            pairs
                .flat_map(|(i, (item, other))| unread(item, other, &format!("{path}[{i}]")))
                .collect()
        }
        _ if written == read => Vec::new(),
        _ => vec![path.to_owned()],
    }
}

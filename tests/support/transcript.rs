//! Recorded conversations with an API server, `tests/conformance/*.yaml`: replayed against the real
//! one and against the simulated one, which must give the same answers.
//!
//! Before they are compared, answers are made independent of the run by [`normal`]; each of its
//! steps says what it hides and why.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http_body_util::BodyExt;
use kube::{Client, client::Body};
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// How long an answer or the events of a watch may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the cluster's own controllers may take.
const CONTROLLERS: Duration = Duration::from_secs(30);

/// A conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// What it shows.
    pub claim: String,
    /// Objects that several requests send; a body says `{use: NAME, with: MERGE PATCH}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, Value>,
    /// Requests with their answers.
    pub requests: Vec<Exchange>,
}

/// A request and its answer. In `{{2:/metadata/uid}}` stands what the second answer has there; and
/// `{{ns}}` is the namespace of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Method and address.
    pub request: String,
    /// Content type, if it is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Body; a string is sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Of a watch: how many events are waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<usize>,
    /// Asks again until this status comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u16>,
    /// Compares the status alone: others fill in and change the real object at any time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brief: bool,
    /// The answer's status, and its body or its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

/// Reads a file.
pub fn read(path: &Path) -> Transcript {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a file.
pub fn write(path: &Path, transcript: &Transcript) {
    let text = serde_yaml::to_string(transcript).expect("a transcript is YAML");
    fs::write(path, text).expect("the folder is ours");
}

/// Holds the conversation of a file with `client`'s server. Returns the answers, normalised.
pub async fn hold(client: &Client, name: &str, transcript: &Transcript) -> Vec<Value> {
    let namespace = format!("c-{name}");
    let body = json!({"metadata": {"name": namespace}}).to_string();
    let made = send(client, "POST /api/v1/namespaces", "application/json", body, None).await;
    assert_eq!(made["status"], 201, "{made}");
    let mut answers: Vec<Value> = Vec::new();
    for exchange in &transcript.requests {
        let address = filled(&exchange.request, &namespace, &answers);
        let body = exchange.body.as_ref().map(|body| match body {
            Value::String(text) => filled(text, &namespace, &answers),
            body => filled(&resolved(body, transcript).to_string(), &namespace, &answers),
        });
        let body = body.unwrap_or_default();
        let content = exchange.content.as_deref().unwrap_or("application/json");
        let deadline = Instant::now() + CONTROLLERS;
        let answer = loop {
            let answer = send(client, &address, content, body.clone(), exchange.events).await;
            let done = exchange.until.is_none_or(|until| answer["status"] == until);
            if done || Instant::now() > deadline {
                break answer;
            }
            sleep(Duration::from_millis(100)).await;
        };
        answers.push(answer);
    }
    for (exchange, answer) in transcript.requests.iter().zip(&mut answers) {
        if exchange.brief {
            *answer = json!({"status": answer["status"]});
        }
    }
    normal(answers, &namespace)
}

fn resolved(body: &Value, transcript: &Transcript) -> Value {
    let Some(name) = body["use"].as_str() else { return body.clone() };
    let mut object = transcript.objects[name].clone();
    if let Some(patch) = body.get("with") {
        sluice::sim::api::patch::merge(&mut object, patch);
    }
    object
}

fn filled(text: &str, namespace: &str, answers: &[Value]) -> String {
    let places = Regex::new(r"\{\{(\d+):([^}]*)\}\}").expect("a pattern");
    let text = text.replace("{{ns}}", namespace);
    let fill = |found: &Captures| {
        let number: usize = found[1].parse().expect("a number");
        match &answers[number - 1]["body"].pointer(&found[2]) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => panic!("answer {number} has no {}: {}", &found[2], answers[number - 1]),
        }
    };
    places.replace_all(&text, fill).into_owned()
}

async fn send(
    client: &Client,
    request: &str,
    content: &str,
    body: String,
    events: Option<usize>,
) -> Value {
    let (method, address) = request.split_once(' ').expect("a method and an address");
    let request = http::Request::builder()
        .method(method)
        .uri(address)
        .header("content-type", content)
        .header("user-agent", "conformance/1")
        .body(Body::from(body.into_bytes()))
        .expect("a request");
    let answer = client.send(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let warnings: Vec<String> = answer
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().expect("text").to_owned())
        .collect();
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    let complete = |bytes: &[u8]| {
        events.is_some_and(|events| bytes.split(|byte| *byte == b'\n').count() > events)
    };
    while !complete(&bytes) {
        match timeout(PATIENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap_or_default()),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut answer = json!({ "status": status });
    if events.is_some() && status == 200 {
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("an event"));
        answer["events"] = Value::Array(lines.collect());
    } else {
        answer["body"] = serde_json::from_str(&text).unwrap_or_else(|_| json!(text.trim()));
    }
    if !warnings.is_empty() {
        answer["warnings"] = json!(warnings);
    }
    answer
}

// === normalisation ===

/// Answers without what differs from run to run.
pub fn normal(mut answers: Vec<Value>, namespace: &str) -> Vec<Value> {
    let mut names = Names::default();
    for answer in &mut answers {
        tidy(answer);
        names.collect(answer);
    }
    names.versions.sort_unstable();
    names.versions.dedup();
    for answer in &mut answers {
        names.rename(answer, namespace);
    }
    answers
}

/// Drops fields that are not part of what is compared.
fn tidy(value: &mut Value) {
    if let Value::Array(items) = value {
        items.iter_mut().for_each(tidy);
    }
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    let Value::Object(fields) = value else { return };
    // The version of a list is that of the whole server, which others write too.
    if kind.ends_with("List")
        && let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("resourceVersion");
    }
    // Controllers of the real cluster write these kinds at any time.
    if ["ReplicaSet", "Deployment", "Service"].contains(&kind.as_str()) {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
    }
    // A bookmark has an empty object of its kind around its version, and the version is any.
    if fields.get("type").is_some_and(|kind| kind == "BOOKMARK") {
        let object = &fields["object"];
        let annotations = object["metadata"]["annotations"].clone();
        fields.insert("object".into(), json!({"kind": object["kind"], "annotations": annotations}));
        return;
    }
    fields.values_mut().for_each(tidy);
    // Who owns which field is simpler in the simulator: its lists are owned as a whole.
    fields.remove("managedFields");
    // The end of a made-up name is by chance.
    if let Some(name) = fields.get("generateName").and_then(Value::as_str) {
        let name = format!("{name}*");
        fields.insert("name".into(), json!(name));
    }
    for address in ["clusterIP", "clusterIPs"] {
        if fields.contains_key(address) {
            fields.insert(address.to_owned(), json!("an address"));
        }
    }
    if fields.get("continue").is_some_and(|token| token != "") {
        fields.insert("continue".into(), json!("a token"));
    }
    // With several causes the real server's order is by chance.
    if let Some(causes) = fields.get_mut("causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(ToString::to_string);
        // Some it names twice.
        causes.dedup();
    }
    let several = fields
        .get("details")
        .is_some_and(|details| details["causes"].as_array().is_some_and(|causes| causes.len() > 1));
    if several && kind == "Status" {
        fields.insert("message".into(), json!("several causes"));
    }
}

/// Values that differ from run to run, by what they are called instead.
#[derive(Default)]
struct Names {
    versions: Vec<u64>,
    uids: Vec<String>,
}

impl Names {
    fn collect(&mut self, value: &Value) {
        let uid = uid();
        match value {
            Value::Object(fields) => {
                if let Some(version) = fields.get("resourceVersion").and_then(Value::as_str) {
                    self.versions.extend(version.parse::<u64>());
                }
                fields.values().for_each(|field| self.collect(field));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::String(text) => {
                for found in uid.find_iter(text) {
                    if !self.uids.iter().any(|known| known == found.as_str()) {
                        self.uids.push(found.as_str().to_owned());
                    }
                }
            }
            _ => {}
        }
    }

    fn rename(&self, value: &mut Value, namespace: &str) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    if name == "resourceVersion"
                        && let Some(version) = field.as_str().and_then(|text| text.parse().ok())
                        && let Ok(rank) = self.versions.binary_search(&version)
                    {
                        *field = json!(format!("v{}", rank + 1));
                    } else {
                        self.rename(field, namespace);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item, namespace)),
            Value::String(text) => *text = self.renamed(text, namespace),
            _ => {}
        }
    }

    fn renamed(&self, text: &str, namespace: &str) -> String {
        let rename = |found: &Captures| {
            let rank = self.uids.iter().position(|known| *known == found[0]).unwrap_or(0);
            format!("uid{}", rank + 1)
        };
        let text = uid().replace_all(text, rename);
        let time = pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").replace_all(&text, "TIME");
        // A value is shown in the Go names of the internal type.
        let value = pattern(r"Invalid value: \{.*\}: field is immutable")
            .replace_all(&time, "Invalid value: {..}: field is immutable");
        let version = pattern(r"too old resource version: \d+ \(\d+\)")
            .replace_all(&value, "too old resource version: N (M)");
        let version = pattern(r"in record \(\d+\)").replace_all(&version, "in record (N)");
        // The words of Go's JSON decoder.
        let parse =
            pattern(r"(json parse error|error decoding patch|continue key is not valid): .*")
                .replace_all(&version, "$1: ..");
        // The whole object.
        let whole = pattern(r#"patch: Invalid value: ".*": strict"#)
            .replace_all(&parse, "patch: Invalid value: {..}: strict");
        let whole = pattern(r#"^Invalid value: "\{.*": strict"#)
            .replace_all(&whole, "Invalid value: {..}: strict");
        whole.replace(namespace, "{{ns}}")
    }
}

fn uid() -> Regex {
    pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
}

/// A pattern, compiled once.
fn pattern(text: &str) -> Regex {
    static PATTERNS: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || Regex::new(text).expect("a pattern");
    patterns.entry(text.to_owned()).or_insert_with(compile).clone()
}

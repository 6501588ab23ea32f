//! `spec.analysis.webhooks`: requests into Jobs, and questions into pauses.

use serde_json::{Map, Value, json};

use super::Release;
use crate::{
    api::Duration,
    cli::convert::{
        curl::{self, Request},
        node::Node,
    },
};

/// What webhooks become.
#[derive(Debug, Default)]
pub struct Hooks {
    /// Jobs before any traffic.
    pub before: Vec<Value>,
    /// Metrics beside the steps.
    pub beside: Vec<Value>,
    /// A person starts the release.
    pub confirm_start: bool,
    /// A person ends it.
    pub confirm_end: bool,
}

/// Reads the webhooks.
pub fn hooks(release: &Release, from: Node) -> Hooks {
    let mut hooks = Hooks::default();
    for mut node in from.items() {
        let kind = node.take("type").map(Node::keep);
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("rollout").to_owned();
        match kind.as_str() {
            "pre-rollout" => hooks.before.push(job(release, node)),
            "rollout" => hooks.beside.push(metric(release, node)),
            "confirm-rollout" => {
                hooks.confirm_start = true;
                asked(node, "first step");
            }
            "confirm-promotion" => {
                hooks.confirm_end = true;
                asked(node, "last step");
            }
            "confirm-traffic-increase" => node.lost("write a pause before each weight that a person is to confirm; nothing asks this address"),
            "rollback" => node.lost("`kubectl sluice abort` rolls back; nothing asks this address"),
            "post-rollout" => node.lost("nothing runs after a release; blueGreen has postPromotionAnalysis"),
            "event" => node.lost("Sluice writes Events, and sends none to an address from here"),
            _ => node.lost(format!("found the type `{kind}`, which the converter does not know")),
        }
    }
    hooks
}

/// A gate that asked an address whether to go on.
fn asked(node: Node, place: &str) {
    node.replaced(format!("is a pause without an end as {place}: `kubectl sluice promote` opens it, by a person or by whatever answered at this address"));
}

fn job(release: &Release, node: Node) -> Value {
    node.changed(
        "is a Job with curl that sends the same request, before any traffic; choose its image",
    );
    let (name, mut job) = request(release, node);
    job["metadata"] = json!({"annotations": {"flagger.app/webhook": name}});
    job
}

fn metric(release: &Release, node: Node) -> Value {
    node.changed(format!("is a metric beside the steps: a Job with curl that sends the same request every {}; choose its image", release.interval));
    let (name, job) = request(release, node);
    json!({
        "name": name, "interval": release.interval, "failureLimit": release.threshold - 1,
        "provider": {"job": job},
    })
}

fn request(release: &Release, mut node: Node) -> (String, Value) {
    let name = node.take("name").and_then(Node::text).unwrap_or_else(|| "webhook".into());
    let mut payload = Map::new();
    payload.insert("name".into(), json!(release.name));
    let namespace = release.namespace.as_deref().unwrap_or("default");
    payload.insert("namespace".into(), json!(namespace));
    payload.insert("phase".into(), json!("Progressing"));
    if let Some(metadata) = node.take("metadata") {
        payload.insert("metadata".into(), metadata.keep());
    }
    let timeout = node.take("timeout").and_then(Node::duration);
    let timeout = timeout.and_then(|text| text.as_str()?.parse::<Duration>().ok());
    let seconds = timeout.map_or(10, |timeout| timeout.0.as_secs().max(1));
    let request = Request {
        method: "POST".into(),
        url: node.take("url").and_then(Node::text).unwrap_or_default(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Some(Value::Object(payload).to_string()),
        seconds: i64::try_from(seconds).unwrap_or(10),
        insecure: node.take("disableTLS").and_then(Node::boolean).unwrap_or(false),
    };
    if let Some(mute) = node.take("muteAlert") {
        mute.lost("no alerts are sent");
    }
    if let Some(retries) = node.take("retries") {
        retries.lost("a request is sent once; backoffLimit of the Job repeats it");
    }
    (name, curl::job(&request))
}

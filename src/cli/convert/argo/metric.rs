//! Metrics of a template, with the providers that Sluice has: Prometheus and Jobs.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{HASH_LABEL, condition};
use crate::{
    analysis::arguments::substitute,
    cli::convert::{
        curl::{self, Request},
        node::{Fate, Node, Notes, carry, carry_all, put},
    },
};

/// Our metric; none if it has no equal, which is noted.
pub fn metric(mut from: Node, defaults: &BTreeMap<String, String>) -> Option<Value> {
    let (path, notes) = (from.path().to_owned(), from.notes().clone());
    let mut to = Map::new();
    carry_all(&mut from, &["name"], &mut to);
    for name in ["interval", "initialDelay"] {
        put(&mut to, name, from.take(name).and_then(|node| time(node, defaults)));
    }
    carry_all(&mut from, &["count"], &mut to);
    for name in
        ["failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"]
    {
        put(&mut to, name, from.take(name).and_then(|node| limit(node, defaults)));
    }
    let conditions = conditions(&mut from, &mut to);
    let Some(mut source) = from.take("provider") else {
        notes.add(Fate::Lost, &path, "left out: a metric needs a provider");
        return None;
    };
    if let Err(refused) = conditions {
        rest(&notes, &path, from, Some(source));
        notes.add(
            Fate::Lost,
            &path,
            format!("left out, since without its condition it would pass: {refused}"),
        );
        return None;
    }
    let provider = if let Some(node) = source.take("prometheus") {
        silence(&notes, &format!("{path}.provider.prometheus"), &to);
        json!({"prometheus": prometheus(node, defaults)})
    } else if let Some(mut node) = source.take("job") {
        let mut job = Map::new();
        carry_all(&mut node, &["metadata", "spec"], &mut job);
        json!({"job": job})
    } else if let Some(node) = source.take("web") {
        let judged =
            ["successCondition", "failureCondition"].iter().any(|name| to.contains_key(*name));
        if judged || !node.value()["jsonPath"].is_null() {
            rest(&notes, &path, from, None);
            node.lost("Sluice reads no JSON: a Job that asks and judges can take its place, or a Prometheus metric. The metric is left out");
            return None;
        }
        to.remove("onNoData");
        json!({"job": web(node)})
    } else {
        let (others, found) =
            (source.entries(), "Sluice asks Prometheus and runs Jobs; the metric is left out");
        for (_, node) in others {
            node.lost(found);
        }
        rest(&notes, &path, from, None);
        return None;
    };
    to.insert("provider".into(), provider);
    Some(Value::Object(to))
}

/// What is left of a metric that is left out: one entry says so for all of it.
fn rest(notes: &Notes, path: &str, from: Node, source: Option<Node>) {
    for node in [Some(from), source].into_iter().flatten() {
        node.keep();
    }
    notes.add(Fate::Lost, path, "the metric is left out");
}

/// An answer without data was an error there, and is waited for here.
fn silence(notes: &Notes, path: &str, metric: &Map<String, Value>) {
    if !metric.contains_key("onNoData") {
        notes.add(
            Fate::Changed,
            path,
            "an empty answer or NaN is no data: the metric waits (onNoData: wait), where Argo Rollouts counts an error or a failure",
        );
    }
}

/// Success and failure, and what an empty answer means.
///
/// # Errors
/// One of them has no equal.
fn conditions(from: &mut Node, to: &mut Map<String, Value>) -> Result<(), String> {
    let mut result = Ok(());
    for (name, when_empty) in
        [("successCondition", ["pass", "fail"]), ("failureCondition", ["fail", "pass"])]
    {
        let Some(node) = from.take(name) else { continue };
        let written = node.value().as_str().unwrap_or_default().to_owned();
        if written.is_empty() {
            node.keep();
            continue;
        }
        match condition::condition(&written) {
            Ok(found) => {
                if let Some(empty) = found.empty {
                    let policy = if empty { when_empty[0] } else { when_empty[1] };
                    node.changed(format!("what it says of an empty answer is onNoData: {policy}"));
                    to.insert("onNoData".into(), json!(policy));
                }
                if let Some(text) = found.text {
                    if text != written && found.empty.is_none() {
                        node.changed(format!("is the CEL expression `{text}`"));
                    }
                    to.insert(name.to_owned(), json!(text));
                }
                node.keep();
            }
            Err(error) => {
                node.lost(format!("`{written}` has no equal in CEL over numbers: {error}"));
                result = Err(format!("{name} has no equal"));
            }
        }
    }
    result
}

/// A text with the template's own defaults for arguments, where Sluice takes none.
fn filled(node: &Node, defaults: &BTreeMap<String, String>) -> Option<String> {
    let text = node.value().as_str().filter(|text| text.contains("{{"))?;
    let text = substitute(text, defaults).ok()?;
    node.changed(format!("is {text}, the default of its argument: Sluice takes no argument here"));
    Some(text)
}

fn time(node: Node, defaults: &BTreeMap<String, String>) -> Option<Value> {
    match filled(&node, defaults) {
        Some(text) => {
            node.keep();
            Some(Value::from(text))
        }
        None => node.duration(),
    }
}

fn limit(node: Node, defaults: &BTreeMap<String, String>) -> Option<Value> {
    let path = node.path().to_owned();
    let notes = node.notes().clone();
    let number = match filled(&node, defaults) {
        Some(text) => {
            node.keep();
            text.parse().ok()
        }
        None => node.integer(),
    }?;
    if number < 0 {
        notes.add(Fate::Changed, &path, format!("is 100000: {number} means any number"));
        return Some(json!(100_000));
    }
    Some(json!(number))
}

fn prometheus(mut from: Node, defaults: &BTreeMap<String, String>) -> Value {
    let mut to = Map::new();
    carry_all(&mut from, &["address"], &mut to);
    if let Some(query) = from.take("query") {
        let label = HASH_LABEL.replace('-', "_");
        let written = query.value().as_str().unwrap_or_default();
        if written.contains(&label) {
            let ours = written.replace(&label, "sluice_dev_revision");
            query.changed(format!("the pods' label {HASH_LABEL} is sluice.dev/revision, in queries sluice_dev_revision"));
            query.keep();
            to.insert("query".into(), json!(ours));
        } else {
            to.insert("query".into(), query.keep());
        }
    }
    put(&mut to, "timeout", from.take("timeout").and_then(Node::seconds));
    if let Some(insecure) = from.take("insecure").and_then(Node::boolean) {
        to.insert("tls".into(), json!({"insecureSkipVerify": insecure}));
    }
    if let Some(headers) = from.take("headers") {
        to.insert("headers".into(), headers.items().into_iter().map(header).collect());
    }
    if let Some(authentication) = from.take("authentication") {
        for (_, node) in authentication.entries() {
            node.lost("Sluice logs in with a bearer token or with user and password (authentication.bearer, authentication.basic)");
        }
    }
    put(&mut to, "range", from.take("rangeQuery").and_then(|node| range(node, defaults)));
    Value::Object(to)
}

fn header(mut from: Node) -> Value {
    let mut to = Map::new();
    carry(&mut from, "key", &mut to, "name");
    carry_all(&mut from, &["value"], &mut to);
    Value::Object(to)
}

static AGO: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^now\(\)\s*-\s*duration\(\s*["']([^"']+)["']\s*\)$"#).ok());

/// A range from some time ago to now.
fn range(mut from: Node, defaults: &BTreeMap<String, String>) -> Option<Value> {
    let back = from.value()["start"].as_str().and_then(|start| {
        let found = AGO.as_ref()?.captures(start.trim())?;
        found.get(1)?.as_str().parse::<crate::api::Duration>().ok()
    });
    let now = from.value()["end"].as_str().is_none_or(|end| end.trim() == "now()");
    let (Some(back), true) = (back, now) else {
        from.lost("allowed is a range from `now() - duration(\"5m\")` to `now()`; the query is asked for the present alone");
        return None;
    };
    for name in ["start", "end"] {
        from.take(name).map(Node::keep);
    }
    let step =
        from.take("step").and_then(|node| time(node, defaults)).unwrap_or_else(|| json!("1m"));
    Some(json!({"lookback": back.to_string(), "step": step}))
}

/// A request as a Job: it passes when the answer is one of success.
fn web(mut from: Node) -> Value {
    from.changed("is a Job with curl: it passes when the answer is 2xx; choose its image");
    let text = |node: Option<Node>| node.and_then(Node::text);
    let (url, method) = (text(from.take("url")), text(from.take("method")));
    let mut body = text(from.take("body"));
    let mut headers: Vec<(String, String)> = Vec::new();
    if let Some(node) = from.take("jsonBody") {
        body = Some(node.keep().to_string());
        headers.push(("content-type".into(), "application/json".into()));
    }
    for mut header in from.take("headers").map(Node::items).unwrap_or_default() {
        let pair = (text(header.take("key")), text(header.take("value")));
        headers.push((pair.0.unwrap_or_default(), pair.1.unwrap_or_default()));
    }
    let request = Request {
        method: method.unwrap_or_else(|| "GET".into()),
        url: url.unwrap_or_default(),
        headers,
        body,
        seconds: from.take("timeoutSeconds").and_then(Node::integer).unwrap_or(10),
        insecure: from.take("insecure").and_then(Node::boolean).unwrap_or(false),
    };
    if let Some(authentication) = from.take("authentication") {
        authentication.lost("give the Job a header with the token");
    }
    curl::job(&request)
}

//! Metrics and `MetricTemplates`: one AnalysisTemplate for each Canary.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use super::Release;
use crate::cli::convert::{
    metadata::metadata,
    node::{Fate, Node, Notes, carry_all, put},
};

/// A `MetricTemplate`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its query, in Flagger's words.
    pub query: String,
    /// The provider `prometheus` without the query; none where Sluice has no such provider.
    pub provider: Option<Map<String, Value>>,
}

/// Reads a `MetricTemplate`.
pub fn source(mut object: Node) -> Option<((String, String), Source)> {
    let metadata = metadata(&mut object);
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    if let Some(status) = object.take("status") {
        status.replaced("left out: a status is its controller's own");
    }
    let mut spec = object.take("spec")?;
    let query = spec.take("query").and_then(Node::text).unwrap_or_default();
    let provider = spec.take("provider").and_then(provider);
    Some(((text("namespace"), text("name")), Source { query, provider }))
}

fn provider(mut from: Node) -> Option<Map<String, Value>> {
    let kind = from.take("type")?;
    if kind.value() != "prometheus" {
        let found = kind.keep();
        from.lost(format!(
            "found the provider {found}: Sluice asks Prometheus and runs Jobs; metrics that use it are left out"
        ));
        return None;
    }
    kind.keep();
    let mut to = Map::new();
    carry_all(&mut from, &["address"], &mut to);
    if let Some(insecure) = from.take("insecureSkipVerify").and_then(Node::boolean) {
        to.insert("tls".into(), json!({"insecureSkipVerify": insecure}));
    }
    if let Some(headers) = from.take("headers") {
        let pairs = headers.entries().into_iter().flat_map(|(name, values)| {
            let values = values.items().into_iter().filter_map(Node::text).collect::<Vec<_>>();
            values.into_iter().map(move |value| json!({"name": name, "value": value}))
        });
        to.insert("headers".into(), pairs.collect());
    }
    if let Some(mut secret) = from.take("secretRef") {
        secret.changed("is authentication.basic with the keys username and password, of a Secret in the namespace of the Rollout");
        if let Some(name) = secret.take("name") {
            let name = name.keep();
            let key = |key: &str| json!({"name": name, "key": key});
            let basic = json!({"username": key("username"), "password": key("password")});
            to.insert("authentication".into(), json!({"basic": basic}));
        }
    }
    if let Some(region) = from.take("region") {
        region.lost("belongs to other providers than Prometheus");
    }
    Some(to)
}

/// A metric of ours; none if it has no equal, which is noted.
pub fn metric(
    release: &Release,
    mut from: Node,
    sources: &BTreeMap<(String, String), Source>,
) -> Option<Value> {
    let (path, notes) = (from.path().to_owned(), from.notes().clone());
    let name = from.take("name").and_then(Node::text).unwrap_or_default();
    let window = from.take("interval").and_then(Node::text).unwrap_or_else(|| "1m".into());
    let bounds = bounds(&name, &mut from);
    let variables = from.take("templateVariables").map(Node::entries).unwrap_or_default();
    let own = from.take("query").and_then(Node::text);
    let reference = from.take("templateRef");
    let (query, provider) = match (own, reference) {
        (Some(query), _) => (query, Map::new()),
        (None, Some(mut reference)) => {
            let text = |node: Option<Node>| node.and_then(Node::text);
            let wanted = text(reference.take("name")).unwrap_or_default();
            let namespace = text(reference.take("namespace"));
            let Some(found) = find(sources, release, namespace.as_deref(), &wanted) else {
                notes.add(Fate::Lost, &path, format!("MetricTemplate {wanted} is not among the files: name its file, too. The metric is left out"));
                return None;
            };
            let Some(provider) = found.provider.clone() else {
                notes.add(Fate::Lost, &path, format!("the provider of MetricTemplate {wanted} has no equal; the metric is left out"));
                return None;
            };
            (found.query.clone(), provider)
        }
        (None, None) => (builtin(&notes, &path, &name)?, Map::new()),
    };
    let mut prometheus = provider;
    prometheus.insert(
        "query".into(),
        json!(ours(release, &query, &window, &used(&query, variables), &path)),
    );
    let mut to = Map::new();
    to.insert("name".into(), json!(name));
    to.insert("interval".into(), json!(release.interval));
    to.insert("failureLimit".into(), json!(release.threshold - 1));
    put(&mut to, "threshold", bounds);
    to.insert("provider".into(), json!({"prometheus": prometheus}));
    let text = "a query without data waits (onNoData: wait), where Flagger counts a failed check; failed checks are counted for each metric by itself and do not hold the weight";
    notes.add(Fate::Changed, &path, text);
    Some(Value::Object(to))
}

/// The variables that a query has; the others are noted.
fn used(query: &str, variables: Vec<(String, Node)>) -> Value {
    let mut to = Map::new();
    for (name, node) in variables {
        if query.contains(&format!("variables.{name}")) {
            to.insert(name, node.keep());
        } else {
            node.lost("the query does not use it");
        }
    }
    Value::Object(to)
}

fn find<'s>(
    sources: &'s BTreeMap<(String, String), Source>,
    release: &Release,
    namespace: Option<&str>,
    name: &str,
) -> Option<&'s Source> {
    let own = release.namespace.as_deref().unwrap_or_default();
    let key = (namespace.unwrap_or(own).to_owned(), name.to_owned());
    sources.get(&key).or_else(|| sources.get(&(String::new(), name.to_owned())))
}

/// The bounds of a metric: a range, or the one value that is the oldest form.
fn bounds(name: &str, from: &mut Node) -> Option<Value> {
    let mut to = Map::new();
    if let Some(mut range) = from.take("thresholdRange") {
        for bound in ["min", "max"] {
            put(&mut to, bound, range.take(bound).and_then(Node::number).map(Value::from));
        }
    } else if let Some(threshold) = from.take("threshold") {
        let bound = if name == "request-success-rate" { "min" } else { "max" };
        threshold.changed(format!("is threshold.{bound}"));
        put(&mut to, bound, threshold.number().map(Value::from));
    }
    (!to.is_empty()).then_some(Value::Object(to))
}

/// The two metrics that Flagger has without a query, as it asks Istio for them.
fn builtin(notes: &Notes, path: &str, name: &str) -> Option<String> {
    let filter = r#"reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}""#;
    match name {
        // vector(0): a revision that answers nothing but errors has no series of good answers.
        "request-success-rate" => Some(format!(
            "(sum(rate(istio_requests_total{{{filter},response_code!~\"5.*\"}}[{{{{ interval }}}}])) or vector(0))\n/\nsum(rate(istio_requests_total{{{filter}}}[{{{{ interval }}}}])) * 100"
        )),
        "request-duration" => Some(format!(
            "histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{{{filter}}}[{{{{ interval }}}}])) by (le))"
        )),
        _ => {
            notes.add(Fate::Lost, path, format!("found {name} without query or templateRef, built in are request-success-rate and request-duration; the metric is left out"));
            None
        }
    }
}

static WORKLOAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\b(destination_workload|destination_app|destination_canonical_service)\s*=~?\s*"\{\{\s*target\s*\}\}""#).ok()
});

static WORD: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}").ok());

/// The query with arguments of ours, of the newest revision alone.
fn ours(release: &Release, query: &str, window: &str, variables: &Value, path: &str) -> String {
    let note = |text: String| release.notes.add(Fate::Changed, path, text);
    let (Some(workload), Some(word)) = (WORKLOAD.as_ref(), WORD.as_ref()) else {
        return query.to_owned();
    };
    let of_revision = workload
        .replace_all(query, r#"destination_canonical_revision="{{args.revision}}""#)
        .into_owned();
    if of_revision == query {
        note("the query asks for no workload that is the canary's alone: the canary is no Deployment of its own any more, so let it choose the pods by sluice_dev_revision or destination_canonical_revision=\"{{args.revision}}\"".into());
    } else {
        note("the canary is told apart by destination_canonical_revision, as it is no Deployment of its own any more".into());
    }
    let put_in = |found: &Captures| match &found[1] {
        "namespace" => "{{args.namespace}}".to_owned(),
        "interval" => window.to_owned(),
        "name" | "target" => release.name.clone(),
        "service" => release.canary(),
        "ingress" | "route" => {
            note(format!("{} in the query is empty: there is none", &found[0]));
            String::new()
        }
        other if other.starts_with("args.") => found[0].to_owned(),
        other => {
            let value = other.strip_prefix("variables.").and_then(|name| variables[name].as_str());
            if value.is_none() {
                note(format!("{} in the query is empty: nothing says its value", &found[0]));
            }
            value.unwrap_or_default().to_owned()
        }
    };
    word.replace_all(&of_revision, put_in).into_owned()
}

/// The template with all metrics; `looks` is how often it asks where no release goes on beside it.
pub fn template(release: &Release, mut list: Vec<Value>, looks: Option<i64>) -> Value {
    for metric in &mut list {
        if let Some(looks) = looks {
            metric["count"] = json!(looks);
        }
    }
    json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "AnalysisTemplate",
        "metadata": release.metadata(&release.name),
        "spec": {
            "args": [
                {"name": "namespace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "revision", "valueFrom": {"podTemplateHashValue": "Latest"}},
            ],
            "metrics": list,
        },
    })
}

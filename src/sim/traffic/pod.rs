//! What the mesh and its metrics know of a pod.
//!
//! In: a pod as the API server holds it. Out: whether it answers, what it runs, and its names in
//! Istio's labels. The names are those at its start: a proxy reads them once.

use serde_json::Value;

use super::settings::Version;
use super::{at, list, text};
use crate::api::REVISION_LABEL;

/// A pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Its address; its name as long as it has none.
    pub(super) address: String,
    pub(super) revision: String,
    pub(super) image: String,
    pub(super) workload: String,
    pub(super) app: String,
    pub(super) version: String,
    pub(super) canonical_service: String,
    pub(super) canonical_revision: String,
    pub(super) service_account: String,
    /// Its labels.
    pub(super) labels: Vec<(String, String)>,
    /// How its version behaves, if unlike others.
    pub(super) behaviour: Option<Version>,
    pub(super) state: State,
}

/// How a pod is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) exists: bool,
    /// Whether its containers run, so that it is scraped.
    pub(super) runs: bool,
    /// Whether requests to it are answered. A pod on its way out answers until it is gone.
    pub(super) answers: bool,
    /// Since when it is ready; kept over its end.
    pub(super) ready_since_ms: Option<i64>,
}

// === impl Pod ===

impl Pod {
    pub(super) fn new(object: &Value, versions: &[Version]) -> Self {
        let first = |names: &[&str], other: &str| {
            let values = names.iter().map(|name| text(object, &["metadata", "labels", name]));
            let mut found = values.filter(|value| !value.is_empty());
            found.next().unwrap_or(other).to_owned()
        };
        let workload = workload(object);
        let images: Vec<&str> = list(object, &["spec", "containers"])
            .iter()
            .map(|container| text(container, &["image"]))
            .collect();
        let is = |version: &&Version| images.iter().any(|image| version.is(image));
        let account = text(object, &["spec", "serviceAccountName"]);
        let address = text(object, &["status", "podIP"]);
        let name = text(object, &["metadata", "name"]);
        Self {
            namespace: text(object, &["metadata", "namespace"]).to_owned(),
            name: name.to_owned(),
            uid: text(object, &["metadata", "uid"]).to_owned(),
            address: if address.is_empty() { name } else { address }.to_owned(),
            revision: first(&[REVISION_LABEL], ""),
            image: images.first().copied().unwrap_or_default().to_owned(),
            app: first(&["app"], "unknown"),
            version: first(&["version"], "unknown"),
            canonical_service: first(
                &["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"],
                workload,
            ),
            canonical_revision: first(
                &["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"],
                "latest",
            ),
            labels: labels(object),
            workload: workload.to_owned(),
            service_account: if account.is_empty() { "default" } else { account }.to_owned(),
            behaviour: versions.iter().find(is).cloned(),
            state: State::default(),
        }
    }
}

fn labels(object: &Value) -> Vec<(String, String)> {
    let labels = at(object, &["metadata", "labels"]).as_object();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(text).collect()
}

/// The name of what made the pod: its controller, or for a pod of a Deployment that Deployment.
fn workload(object: &Value) -> &str {
    let owners = list(object, &["metadata", "ownerReferences"]);
    let controller =
        owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    let Some(controller) = controller else { return text(object, &["metadata", "name"]) };
    let name = text(controller, &["name"]);
    let hash = text(object, &["metadata", "labels", "pod-template-hash"]);
    let deployment = name.strip_suffix(hash).and_then(|start| start.strip_suffix('-'));
    deployment.filter(|_| !hash.is_empty()).unwrap_or(name)
}

/// How a pod is, given how it was.
pub(super) fn state(object: &Value, before: State, now_ms: i64) -> State {
    let conditions = list(object, &["status", "conditions"]);
    let is_ready = conditions.iter().any(|condition| {
        text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True"
    });
    let is_leaving = !text(object, &["metadata", "deletionTimestamp"]).is_empty();
    let since_ms = before.ready_since_ms.filter(|_| before.answers).unwrap_or(now_ms);
    State {
        exists: true,
        runs: text(object, &["status", "phase"]) == "Running",
        answers: is_ready || (is_leaving && before.answers),
        ready_since_ms: if is_ready { Some(since_ms) } else { before.ready_since_ms },
    }
}

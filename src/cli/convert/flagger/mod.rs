//! Flagger: a `Canary` with what Flagger makes of it.
//!
//! Flagger copies the Deployment and makes Services and routes. Sluice takes the Deployment itself
//! over and edits the user's own routes, so those are written out: the three Services and the
//! VirtualService by the names that Flagger gives them.

mod metrics;
mod objects;
mod steps;
mod webhooks;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use metrics::{Source, source};

use super::{
    metadata::metadata,
    node::{Fate, Node, Notes, put},
};

/// What is known of the other documents.
pub struct Around<'a> {
    /// `MetricTemplates` by namespace (empty where none is said) and name.
    pub sources: &'a BTreeMap<(String, String), Source>,
    /// The Deployments.
    pub deployments: &'a [Value],
    /// Kind and name of all objects that are there already.
    pub present: &'a [(String, String)],
}

/// What all parts of a conversion work with.
struct Release {
    /// Name of the Canary, of the Rollout and of its AnalysisTemplate.
    name: String,
    namespace: Option<String>,
    /// Name of the Service that users reach.
    apex: String,
    /// How often the analysis looks.
    interval: String,
    /// Failed checks that roll back.
    threshold: i64,
    notes: Notes,
}

impl Release {
    fn primary(&self) -> String {
        format!("{}-primary", self.apex)
    }

    fn canary(&self) -> String {
        format!("{}-canary", self.apex)
    }

    /// Metadata of an object of this release.
    fn metadata(&self, name: &str) -> Value {
        match &self.namespace {
            Some(namespace) => json!({"name": name, "namespace": namespace}),
            None => json!({"name": name}),
        }
    }
}

/// The way that traffic takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mesh {
    /// Istio's VirtualService.
    Istio,
    /// Services alone.
    None,
}

/// Our objects: Services, routes, the AnalysisTemplate, the Rollout.
pub fn canary(mut object: Node, around: &Around) -> Vec<Value> {
    let notes = object.notes().clone();
    let metadata = metadata(&mut object);
    if let Some(status) = object.take("status") {
        status.replaced("left out: a status is its controller's own");
    }
    let Some(mut spec) = object.take("spec") else { return Vec::new() };
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    let mesh = mesh(&mut spec);
    let target = target(&mut spec);
    let mut service = spec.take("service");
    let own = service.as_mut().and_then(|service| service.take("name")).and_then(Node::text);
    let mut analysis = spec.take("analysis").or_else(|| spec.take("canaryAnalysis"));
    let mut setting = |field: &str| analysis.as_mut().and_then(|analysis| analysis.take(field));
    let interval = setting("interval").and_then(Node::duration);
    let interval = interval.and_then(|value| value.as_str().map(String::from));
    let release = Release {
        apex: own.unwrap_or_else(|| target.clone()),
        namespace: metadata["namespace"].as_str().map(String::from),
        interval: interval.unwrap_or_else(|| "1m".into()),
        threshold: setting("threshold").and_then(Node::integer).unwrap_or(1).max(1),
        name,
        notes,
    };
    let deployment = around.deployments.iter().find(|deployment| {
        deployment["metadata"]["name"] == target
            && (release.namespace.is_none()
                || deployment["metadata"]["namespace"].is_null()
                || deployment["metadata"]["namespace"].as_str() == release.namespace.as_deref())
    });
    let labels = objects::labels(&release, &target, deployment);
    let mut out = Vec::new();
    if let Some(service) = service {
        out.extend(objects::objects(&release, service, &labels, mesh, around.present));
    }
    let skipped = spec.take("skipAnalysis").and_then(Node::boolean).unwrap_or(false);
    let (strategy, template) = match analysis {
        Some(analysis) => steps::strategy(&release, analysis, mesh, skipped, around.sources),
        None => (steps::plain(&release, mesh), None),
    };
    out.extend(template);
    let mut ours = own_fields(&mut spec, &release, &target, deployment);
    ours.insert("strategy".into(), strategy);
    out.push(json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
        "metadata": metadata, "spec": ours,
    }));
    out
}

fn mesh(spec: &mut Node) -> Mesh {
    let Some(provider) = spec.take("provider") else {
        spec.notes().add(
            Fate::Changed,
            "spec.provider",
            "is not said, and Istio is assumed: the default is a flag of the Flagger controller",
        );
        return Mesh::Istio;
    };
    match provider.value().as_str() {
        Some("istio") => {
            provider.keep();
            Mesh::Istio
        }
        Some("kubernetes") => {
            provider.replaced("is the strategy blueGreen, whose switch is a Service's selector");
            Mesh::None
        }
        _ => {
            provider.lost("Sluice moves traffic by Istio alone; without it this is blueGreen, whose switch is a Service's selector");
            Mesh::None
        }
    }
}

fn target(spec: &mut Node) -> String {
    let Some(mut reference) = spec.take("targetRef") else { return String::new() };
    if let Some(kind) = reference.take("kind") {
        if kind.value() == "Deployment" {
            kind.keep();
        } else {
            kind.lost("Sluice releases Deployments, ReplicaSets and PodTemplates");
        }
    }
    reference.take("apiVersion").map(Node::keep);
    reference.take("name").and_then(Node::text).unwrap_or_default()
}

/// The fields of the Rollout beside its strategy.
fn own_fields(
    spec: &mut Node,
    release: &Release,
    target: &str,
    deployment: Option<&Value>,
) -> Map<String, Value> {
    let mut to = Map::new();
    let replicas = deployment.and_then(|found| found["spec"]["replicas"].as_i64());
    if replicas.is_none() {
        release.notes.add(
            Fate::Changed,
            "spec.targetRef",
            format!("the number of pods is not known here: write spec.replicas into the Rollout as the Deployment {target} has it now"),
        );
    }
    put(&mut to, "replicas", replicas.map(Value::from));
    to.insert(
        "workloadRef".into(),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": target}),
    );
    let deadline = spec.take("progressDeadlineSeconds").and_then(Node::seconds);
    put(&mut to, "progressDeadline", deadline);
    if let Some(paused) = spec.take("suspend").and_then(Node::boolean)
        && paused
    {
        to.insert("paused".into(), json!(true));
    }
    if let Some(revert) = spec.take("revertOnDeletion") {
        revert
            .replaced("is always so: a Rollout that is deleted gives the Deployment its pods back");
    }
    if let Some(scaler) = spec.take("autoscalerRef") {
        scaler.replaced("is not named in a Rollout: the autoscaler aims at the Rollout itself, its scaleTargetRef is apiVersion sluice.dev/v1alpha1, kind Rollout; no second one for the stable pods is needed");
    }
    for name in ["ingressRef", "upstreamRef", "routeRef"] {
        if let Some(reference) = spec.take(name) {
            reference.lost("Sluice moves traffic by Istio alone");
        }
    }
    if let Some(server) = spec.take("metricsServer") {
        server.replaced("is the address of each metric in the AnalysisTemplate, or the controller's --prometheus-url");
    }
    to
}

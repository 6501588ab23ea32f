//! What is kept of each kind of object: only what is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::ReplicaSet,
        batch::v1::Job,
        core::v1::{Pod, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference},
};
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{cache::Cached, problem};
use crate::{
    api::{
        AnalysisRun, AnalysisTemplateSpec, COMMAND_ANNOTATION, Command, FINGERPRINT_ANNOTATION,
        GROUP, INSTANCE_LABEL, PodMetadata, PodTemplate, REVISION_LABEL,
        REVISION_NUMBER_ANNOTATION, ROLE_METADATA_ANNOTATION, ROLLOUT_LABEL, RUN_LABEL,
        RolloutSpec, RolloutStatus, SURPLUS_LABEL,
    },
    world,
};

/// A Rollout, or what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRollout {
    /// Its uid.
    pub uid: String,
    /// Generation of its spec.
    pub generation: i64,
    /// When it was created: the older of two that claim the same thing has it.
    pub created: Option<Timestamp>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Its strategy.
    pub program: Arc<world::Program>,
    /// The controller instance that it asks for.
    pub instance: String,
    /// The waiting command, or what is wrong with it.
    pub command: Option<Result<Command, String>>,
    /// Spec and status, or why the object cannot be read.
    pub parsed: Result<(Arc<RolloutSpec>, Arc<RolloutStatus>), String>,
    /// Metadata and the plain fields of the spec, for `fieldRef`.
    pub object: Arc<Value>,
    /// Fingerprint of its template.
    pub fingerprint: String,
}

impl Cached for SeenRollout {}

/// Reads a Rollout; a malformed one yields its error, so that it disturbs no other. `before` is what
/// was read of it last.
pub fn rollout(object: &DynamicObject, before: Option<&SeenRollout>) -> SeenRollout {
    let meta = &object.metadata;
    let annotations = meta.annotations.as_ref();
    let command = annotations.and_then(|a| a.get(COMMAND_ANNOTATION));
    let command = command.map(|text| serde_json::from_str(text).map_err(|e| e.to_string()));
    let labels = meta.labels.clone().unwrap_or_default();
    let mut shown = json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
            "labels": labels,
            "annotations": annotations,
        },
    });
    if let Some(annotations) =
        shown.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        annotations.remove(COMMAND_ANNOTATION);
    }
    if let Some(spec) = object.data.get("spec").and_then(Value::as_object) {
        let plain = spec.iter().filter(|(key, _)| *key != "template" && *key != "strategy");
        shown["spec"] = Value::Object(plain.map(|(k, v)| (k.clone(), v.clone())).collect());
    }
    let seen = SeenRollout {
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        created: meta.creation_timestamp.as_ref().map(|time| time.0),
        deleting: meta.deletion_timestamp.is_some(),
        finalizers: meta.finalizers.clone().unwrap_or_default(),
        program: Arc::default(),
        instance: labels.get(INSTANCE_LABEL).cloned().unwrap_or_default(),
        command,
        parsed: Err(String::new()),
        object: Arc::new(shown),
        fingerprint: String::new(),
    };
    let status = || match object.data.get("status") {
        None => Ok(RolloutStatus::default()),
        Some(status) => Ok(Option::deserialize(status)?.unwrap_or_default()),
    };
    if let Some(before) = before
        && before.generation == seen.generation
        && before.uid == seen.uid
        && let Ok((spec, _)) = &before.parsed
    {
        // The spec is as it was. Most changes are our own, of the status.
        let status: Result<RolloutStatus, serde_json::Error> = status();
        return SeenRollout {
            fingerprint: before.fingerprint.clone(),
            program: before.program.clone(),
            parsed: status
                .map(|status| (spec.clone(), Arc::new(status)))
                .map_err(|error| error.to_string()),
            ..seen
        };
    }
    let spec = RolloutSpec::deserialize(object.data.get("spec").unwrap_or(&Value::Null));
    match spec.and_then(|spec| Ok((spec, status()?))) {
        Ok((spec, status)) => SeenRollout {
            fingerprint: spec
                .template
                .as_ref()
                .map(world::fingerprint::fingerprint)
                .unwrap_or_default(),
            program: Arc::new(world::Program::new(&spec)),
            parsed: Ok((Arc::new(spec), Arc::new(status))),
            ..seen
        },
        Err(error) => SeenRollout { parsed: Err(error.to_string()), ..seen },
    }
}

impl Cached for world::ReplicaSet {
    fn group(&self) -> Option<&str> {
        // Rollout names are cut from the ReplicaSet's: an orphan has no owner to ask.
        self.name.strip_suffix(&self.revision)?.strip_suffix('-')
    }
}

/// Reads a ReplicaSet; its pods are added when a world is put together.
pub fn replica_set(object: ReplicaSet) -> world::ReplicaSet {
    let meta = object.metadata;
    let annotations = meta.annotations.unwrap_or_default();
    let spec = object.spec;
    let template = spec.template.unwrap_or_default();
    let role = role(template.metadata.as_ref());
    let mut pod_labels = template.metadata.and_then(|meta| meta.labels).unwrap_or_default();
    // What a role adds does not belong to the revision.
    for key in role.iter().flat_map(|role| role.labels.keys()) {
        pod_labels.remove(key);
    }
    let containers = template.spec.map(|spec| spec.containers).unwrap_or_default();
    let conditions = object.status.and_then(|status| status.conditions).unwrap_or_default();
    let failure = conditions
        .into_iter()
        .find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure")
                && condition.status.as_deref() == Some("True")
        })
        .and_then(|condition| condition.message)
        .map(|message| problem::of_creation(&message));
    world::ReplicaSet {
        owner: controller(meta.owner_references.as_ref()).map(|owner| owner.uid.clone()),
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        revision: meta.labels.and_then(|mut l| l.remove(REVISION_LABEL)).unwrap_or_default(),
        fingerprint: annotations.get(FINGERPRINT_ANNOTATION).cloned().unwrap_or_default(),
        number: annotations
            .get(REVISION_NUMBER_ANNOTATION)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
        pod_labels,
        role,
        images: containers.into_iter().filter_map(|container| container.image).collect(),
        replicas: u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0),
        created: meta.creation_timestamp.map(|time| time.0).unwrap_or_default(),
        deleting: meta.deletion_timestamp.is_some(),
        failure,
        pods: Vec::new(),
    }
}

/// What a role has put on an object, as its annotation says.
fn role(meta: Option<&ObjectMeta>) -> Option<PodMetadata> {
    let text = meta?.annotations.as_ref()?.get(ROLE_METADATA_ANNOTATION)?;
    serde_json::from_str(text).ok()
}

fn controller(owners: Option<&Vec<OwnerReference>>) -> Option<&OwnerReference> {
    owners.into_iter().flatten().find(|owner| owner.controller == Some(true))
}

/// A pod and the ReplicaSet that owns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPod {
    /// Name of the owner.
    pub owner: String,
    /// The pod.
    pub pod: world::Pod,
}

impl Cached for SeenPod {
    fn group(&self) -> Option<&str> {
        Some(&self.owner)
    }
}

/// Reads a pod.
pub fn pod(object: Pod) -> SeenPod {
    let meta = object.metadata;
    let status = object.status.unwrap_or_default();
    let ready =
        status.conditions.iter().flatten().find(|c| c.type_ == "Ready" && c.status == "True");
    let ready_since = ready
        .map(|ready| ready.last_transition_time.as_ref().map(|time| time.0).unwrap_or_default());
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let problem = problem::of_pod(&status);
    let owner = controller(meta.owner_references.as_ref());
    let owner = owner.map(|owner| owner.name.clone()).unwrap_or_default();
    let pod = world::Pod {
        role: role(Some(&meta)),
        surplus: meta.labels.as_ref().is_some_and(|labels| labels.contains_key(SURPLUS_LABEL)),
        created: meta.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        ready_since: ready_since.filter(|_| !ended),
        deleting: meta.deletion_timestamp.is_some(),
        problem: problem.filter(|_| ready.is_none()),
    };
    SeenPod { owner, pod }
}

/// A pod of a Job.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenJobPod {
    /// Name of the Job.
    pub job: String,
    /// The pod, without its spec.
    pub pod: Arc<Pod>,
}

impl Cached for SeenJobPod {
    fn group(&self) -> Option<&str> {
        Some(&self.job)
    }
}

/// Reads a pod of a Job.
pub fn job_pod(mut object: Pod) -> SeenJobPod {
    object.metadata.managed_fields = None;
    object.spec = None;
    let owner = controller(object.metadata.owner_references.as_ref());
    let job = owner.map(|owner| owner.name.clone()).unwrap_or_default();
    SeenJobPod { job, pod: Arc::new(object) }
}

/// A workload whose template Rollouts may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenWorkload(pub world::Workload);

impl Cached for SeenWorkload {}

/// Reads a Deployment, ReplicaSet or PodTemplate.
pub fn workload(kind: world::WorkloadKind, object: &DynamicObject) -> SeenWorkload {
    let meta = &object.metadata;
    let pod_template = kind == world::WorkloadKind::PodTemplate;
    let path = if pod_template { "/template" } else { "/spec/template" };
    let template = object.data.pointer(path).cloned().unwrap_or_default();
    let template: PodTemplate = serde_json::from_value(template).unwrap_or_default();
    let count = |path: &str| {
        let number = object.data.pointer(path).and_then(Value::as_u64);
        number.and_then(|number| u32::try_from(number).ok())
    };
    // Without labels to match, as of a PodTemplate, all labels of the pods are taken.
    let labels = object.data.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let labels = labels
        .filter(|labels| !labels.is_empty())
        .or_else(|| template.metadata.get("labels").and_then(Value::as_object));
    let labels = labels.into_iter().flatten();
    let selector =
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let owner = controller(meta.owner_references.as_ref());
    SeenWorkload(world::Workload {
        since: Timestamp::UNIX_EPOCH, // Known when a world is put together.
        owner: owner.map(|owner| format!("{} {}", owner.kind, owner.name)),
        kind,
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        replicas: if pod_template { 0 } else { count("/spec/replicas").unwrap_or(1) },
        present: count("/status/replicas").unwrap_or(0),
        available: count("/status/availableReplicas").unwrap_or(0),
        fingerprint: world::fingerprint::fingerprint(&template),
        template: Arc::new(template),
        selector,
    })
}

/// A `HorizontalPodAutoscaler`: the Rollout that it scales, if it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAutoscaler(Option<String>);

impl Cached for SeenAutoscaler {
    fn group(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// Reads a `HorizontalPodAutoscaler`.
pub fn autoscaler(object: &DynamicObject) -> SeenAutoscaler {
    let field = |name: &str| object.data["spec"]["scaleTargetRef"][name].as_str();
    let ours = field("kind") == Some("Rollout")
        && field("apiVersion").and_then(|version| version.split('/').next()) == Some(GROUP);
    SeenAutoscaler(field("name").filter(|_| ours).map(str::to_owned))
}

/// A Service's selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenService(pub BTreeMap<String, String>);

impl Cached for SeenService {}

/// Reads a Service.
pub fn service(object: Service) -> SeenService {
    SeenService(object.spec.and_then(|spec| spec.selector).unwrap_or_default())
}

/// The ready pods of one EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSlice {
    /// Name of the Service.
    pub service: String,
    /// Names of its ready pods.
    pub ready_pods: BTreeSet<String>,
}

impl Cached for SeenSlice {
    fn group(&self) -> Option<&str> {
        Some(&self.service)
    }
}

/// Reads an EndpointSlice.
pub fn slice(object: EndpointSlice) -> SeenSlice {
    let labels = object.metadata.labels.unwrap_or_default();
    let ready = object.endpoints.unwrap_or_default().into_iter().filter(|endpoint| {
        // An absent condition is to be read as ready (EndpointConditions).
        endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    });
    let pods = ready.filter_map(|endpoint| endpoint.target_ref?.name);
    SeenSlice {
        service: labels.get("kubernetes.io/service-name").cloned().unwrap_or_default(),
        ready_pods: pods.collect(),
    }
}

/// A VirtualService or DestinationRule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRoute {
    /// The object, without `managedFields` and `status`.
    pub object: Arc<Value>,
    /// The field manager that last wrote its spec.
    pub last_writer: String,
}

impl Cached for SeenRoute {
    fn continues(&self, before: &Self) -> bool {
        self.object.get("spec") == before.object.get("spec")
    }
}

/// Reads a VirtualService or DestinationRule.
pub fn route(mut object: DynamicObject) -> SeenRoute {
    let managers = object.metadata.managed_fields.take().unwrap_or_default();
    let last_writer = last_writer(&managers);
    let (api_version, kind) =
        object.types.map(|types| (types.api_version, types.kind)).unwrap_or_default();
    let ObjectMeta { name, namespace, annotations, labels, .. } = object.metadata;
    let whole = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name, "namespace": namespace, "annotations": annotations, "labels": labels,
        },
        "spec": object.data.get("spec"),
    });
    SeenRoute { object: Arc::new(whole), last_writer }
}

fn last_writer(managers: &[ManagedFieldsEntry]) -> String {
    let spec = managers.iter().filter(|entry| entry.subresource.is_none());
    // The list is kept in order of time; on equal times the later entry is the newer one.
    let last = spec.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    last.and_then(|entry| entry.manager.clone()).unwrap_or_default()
}

/// An AnalysisTemplate or ClusterAnalysisTemplate, or why it cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenTemplate(pub Option<Arc<AnalysisTemplateSpec>>);

impl Cached for SeenTemplate {}

/// Reads an AnalysisTemplate or ClusterAnalysisTemplate. One that cannot be read counts as missing.
pub fn template(object: &DynamicObject) -> SeenTemplate {
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    SeenTemplate(serde_json::from_value(spec).ok().map(Arc::new))
}

/// An AnalysisRun, or why it cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRun {
    /// Name of its Rollout; empty for a run made by hand.
    pub rollout: String,
    /// The run, or why it cannot be read.
    pub run: Result<Arc<AnalysisRun>, String>,
}

impl Cached for SeenRun {
    fn group(&self) -> Option<&str> {
        (!self.rollout.is_empty()).then_some(&self.rollout)
    }
}

/// Reads an AnalysisRun.
pub fn run(mut object: DynamicObject) -> SeenRun {
    object.metadata.managed_fields = None;
    let labels = object.metadata.labels.as_ref();
    let rollout = labels.and_then(|labels| labels.get(ROLLOUT_LABEL)).cloned().unwrap_or_default();
    let run = serde_json::to_value(&object).and_then(serde_json::from_value::<AnalysisRun>);
    SeenRun { rollout, run: run.map(Arc::new).map_err(|error| error.to_string()) }
}

/// A Job of an AnalysisRun.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenJob {
    /// Name of its run.
    pub run: String,
    /// The Job.
    pub job: Arc<Job>,
}

impl Cached for SeenJob {
    fn group(&self) -> Option<&str> {
        (!self.run.is_empty()).then_some(&self.run)
    }
}

/// Reads a Job.
pub fn job(mut object: Job) -> SeenJob {
    object.metadata.managed_fields = None;
    let labels = object.metadata.labels.as_ref();
    let run = labels.and_then(|labels| labels.get(RUN_LABEL)).cloned().unwrap_or_default();
    // The pod template is the largest part of a Job, and nothing reads it.
    if let Some(spec) = &mut object.spec {
        spec.template = k8s_openapi::api::core::v1::PodTemplateSpec::default();
    }
    SeenJob { run, job: Arc::new(object) }
}

/// Whether a run has a metric that is measured for as long as the release lasts.
pub fn is_endless(run: &AnalysisRun) -> bool {
    run.spec.metrics.iter().any(|metric| metric.interval.is_some() && metric.count.is_none())
}

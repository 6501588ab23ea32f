//! The documents of files, and what the API server says of them.

use jiff::Timestamp;
use serde_json::Value;

use super::{Choice, Source, fields};
use crate::sim::api::{
    Resource, Store,
    refusal::Refusal,
    resource,
    store::{Time, writer},
};

/// The kinds that make a difference.
const USED: [&Resource; 14] = [
    &resource::ROLLOUT,
    &resource::DEPLOYMENT,
    &resource::SERVICE_ACCOUNT,
    &resource::RESOURCE_QUOTA,
    &resource::LIMIT_RANGE,
    &resource::PRIORITY_CLASS,
    &resource::ANALYSIS_TEMPLATE,
    &resource::CLUSTER_ANALYSIS_TEMPLATE,
    &resource::VIRTUAL_SERVICE,
    &resource::DESTINATION_RULE,
    &resource::SERVICE,
    &resource::SECRET,
    &resource::CONFIG_MAP,
    &resource::NAMESPACE,
];

/// Kinds that lie beside them in many people's folders and make none.
const SKIPPED: [&str; 28] = [
    "AuthorizationPolicy",
    "Certificate",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "EnvoyFilter",
    "ExternalSecret",
    "Gateway",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Kustomization",
    "NetworkPolicy",
    "PeerAuthentication",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "PodMonitor",
    "PrometheusRule",
    "RequestAuthentication",
    "Role",
    "RoleBinding",
    "ServiceEntry",
    "ServiceMonitor",
    "Sidecar",
    "StatefulSet",
    "StorageClass",
    "Telemetry",
    "VerticalPodAutoscaler",
];

/// A document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: String,
    /// Which of its documents it is, from 1.
    pub number: usize,
    /// Its kind.
    pub resource: &'static Resource,
    /// The object, with a namespace where it needs one.
    pub object: Value,
}

/// What to do with kinds that make no difference and are not known to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// An error: a spelling mistake would change the release.
    Refuse,
    /// They are left out.
    Skip,
}

/// The documents of some files.
#[derive(Debug, Default)]
pub struct Documents {
    /// Those that make a difference.
    pub all: Vec<Document>,
    /// Kind and name of the others.
    pub skipped: Vec<String>,
    /// What cannot be read, each in a sentence.
    pub errors: Vec<String>,
}

impl Document {
    /// `FILE, document N`.
    pub fn place(&self) -> String {
        format!("{}, document {}", self.file, self.number)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Fields that do not exist: `PATH: SENTENCE`.
    pub fn unknown_fields(&self) -> Vec<String> {
        fields::unknown(self.resource, &self.object)
    }
}

impl Documents {
    /// Reads files.
    pub fn read(sources: &[Source], choice: &Choice, unknown: Unknown) -> Self {
        let mut found = Self::default();
        for source in sources {
            match read(source, choice, unknown, &mut found.skipped) {
                Ok(documents) => found.all.extend(documents),
                Err(errors) => found.errors.extend(errors),
            }
        }
        found
    }

    /// Fields that do not exist, each in a sentence.
    pub(super) fn unknown_fields(&self) -> Vec<String> {
        let of = |document: &Document| {
            let fields = document.unknown_fields().into_iter();
            let (place, kind) = (document.place(), document.resource.kind);
            fields.map(move |field| format!("{place}: {kind}: {field}")).collect::<Vec<_>>()
        };
        self.all.iter().flat_map(of).collect()
    }

    /// The objects.
    pub fn objects(&self) -> Vec<Value> {
        self.all.iter().map(|document| document.object.clone()).collect()
    }
}

/// The documents of one text; items of a List count as documents of their own.
fn read(
    source: &Source,
    choice: &Choice,
    unknown: Unknown,
    skipped: &mut Vec<String>,
) -> Result<Vec<Document>, Vec<String>> {
    let name = &source.name;
    let parsed: Vec<Value> = serde_yaml::from_multiple(&source.text)
        .map_err(|error| vec![format!("{name}: {error}")])?;
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in parsed.into_iter().enumerate() {
        let place = Place { file: name, number: index + 1 };
        let items = match value["kind"].as_str() {
            Some("List") => value["items"].as_array().cloned().unwrap_or_default(),
            _ => vec![value],
        };
        for object in items.into_iter().filter(|object| !object.is_null()) {
            match document(&place, object, choice, unknown) {
                Ok(Some(document)) => documents.push(document),
                Ok(None) => {}
                Err(Told::Skipped(name)) => skipped.push(name),
                Err(Told::Error(error)) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

enum Told {
    Skipped(String),
    Error(String),
}

/// Where a document is.
struct Place<'a> {
    file: &'a str,
    number: usize,
}

fn document(
    place: &Place,
    mut object: Value,
    choice: &Choice,
    unknown: Unknown,
) -> Result<Option<Document>, Told> {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let used = resource::of_kind(&version, &kind).filter(|found| USED.contains(found));
    let Some(resource) = used else {
        let is_other_rollout = kind == resource::ROLLOUT.kind;
        let ours = version.starts_with(resource::ROLLOUT.group);
        let other = unknown == Unknown::Skip && !ours && !kind.is_empty();
        if (other || SKIPPED.contains(&kind.as_str())) && !is_other_rollout {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(Told::Skipped(format!("{kind} {name}")));
        }
        let allowed = USED.map(|used| format!("{} {}", used.api_version(), used.kind)).join(", ");
        return Err(Told::Error(format!(
            "{}, document {}: found apiVersion `{version}` and kind `{kind}`, allowed are {allowed}; left out are {}",
            place.file,
            place.number,
            SKIPPED.join(", ")
        )));
    };
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        let Place { file, number } = place;
        let error = format!(
            "{file}, document {number}: {kind}: metadata.name: found none, allowed is a name"
        );
        return Err(Told::Error(error));
    }
    if resource.namespaced && object["metadata"]["namespace"].is_null() {
        let namespace = choice.namespace.as_deref().unwrap_or("default");
        object["metadata"]["namespace"] = Value::from(namespace);
    }
    let file = place.file.to_owned();
    Ok(Some(Document { file, number: place.number, resource, object }))
}

/// What the API server refuses, by the index of the document.
pub fn refused(documents: &[Document]) -> Vec<(usize, Refusal)> {
    let mut store = Store::new(Time::new(Timestamp::UNIX_EPOCH));
    let mut refusals = Vec::new();
    for (index, Document { resource, object, .. }) in documents.iter().enumerate() {
        if *resource == &resource::NAMESPACE {
            store.ensure_namespace(object["metadata"]["name"].as_str().unwrap_or_default());
            continue;
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let namespace = if resource.namespaced { namespace } else { "" };
        if resource.namespaced {
            store.ensure_namespace(namespace);
        }
        let created = store.create(&writer("kubectl"), resource, namespace, object.clone());
        refusals.extend(created.err().map(|refusal| (index, refusal)));
    }
    refusals
}

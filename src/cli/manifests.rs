//! Manifests of a release: read, and checked so that nothing has to be guessed.
//!
//! In: texts with YAML or JSON documents. Out: [`Manifests`], ready for a simulated cluster, or all
//! that is wrong, each in a sentence with file, document and field. Pure but for [`sources`].

mod fields;
mod kustomize;
mod queries;
mod references;

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::Rollout,
    sim::api::{
        Resource, Store, resource,
        store::{Time, writer},
    },
};

pub use queries::Measured;
pub(in crate::cli) use queries::requests;

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

/// A text and what it is called.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path of the file, or `-`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Which Rollout is meant, and where objects are that do not say it.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Its name; none for the only one.
    pub rollout: Option<String>,
    /// Namespace of objects that name none; `default` without it.
    pub namespace: Option<String>,
}

/// The objects of one Rollout.
#[derive(Debug)]
pub struct Manifests {
    /// All of them, each with its namespace.
    pub objects: Vec<Value>,
    /// The Rollout.
    pub rollout: Rollout,
    /// Its namespace.
    pub namespace: String,
    /// The image of its pods' first container.
    pub image: String,
    /// Its queries.
    pub measured: Vec<Measured>,
    /// What was left out.
    pub notes: Vec<String>,
}

/// A document of a file.
struct Document {
    /// `FILE, document N`.
    place: String,
    resource: &'static Resource,
    object: Value,
}

/// Reads files, the manifests of folders (as their `kustomization.yaml` has them, if there is one),
/// and standard input for `-`.
///
/// # Errors
/// What cannot be read, in a sentence.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, String> {
    let mut found = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let failed = |error: io::Error| format!("{name}: {error}");
        if name == "-" {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(failed)?;
            found.push(Source { name, text });
        } else if path.is_dir() {
            if let Some(kustomization) = kustomize::file_of(path) {
                found.extend(kustomize::build(&kustomization)?);
                continue;
            }
            let files = files(path).map_err(failed)?;
            if files.is_empty() {
                return Err(format!("{name}: found no *.yaml, *.yml or *.json in this folder"));
            }
            for file in files {
                found.push(read_file(&file)?);
            }
        } else {
            found.push(read_file(path)?);
        }
    }
    Ok(found)
}

fn read_file(path: &Path) -> Result<Source, String> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    Ok(Source { name, text })
}

/// The manifests in a folder, by name.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if path.is_file() && matches!(kind, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The objects of texts alone, each with its namespace; whether they fit together is not checked.
///
/// # Errors
/// All that cannot be read, each in a sentence.
pub fn objects(sources: &[Source], choice: &Choice) -> Result<Vec<Value>, Vec<String>> {
    let (mut objects, mut errors) = (Vec::new(), Vec::new());
    for source in sources {
        match read(source, choice, &mut Vec::new()) {
            Ok(found) => objects.extend(found.into_iter().map(|document| document.object)),
            Err(found) => errors.extend(found),
        }
    }
    stop(&mut errors)?;
    Ok(objects)
}

impl Manifests {
    /// Reads and checks.
    ///
    /// # Errors
    /// All that is wrong, each in a sentence.
    pub fn read(sources: &[Source], choice: &Choice) -> Result<Self, Vec<String>> {
        let (mut errors, mut notes) = (Vec::new(), Vec::new());
        let mut documents = Vec::new();
        let mut skipped = Vec::new();
        for source in sources {
            match read(source, choice, &mut skipped) {
                Ok(found) => documents.extend(found),
                Err(found) => errors.extend(found),
            }
        }
        if !skipped.is_empty() {
            notes.push(format!(
                "left out, for they make no difference here: {}",
                skipped.join(", ")
            ));
        }
        for document in &documents {
            errors.extend(fields::unknown(&document.place, document.resource, &document.object));
        }
        stop(&mut errors)?;
        let rollout = chosen(&mut documents, choice, &mut notes).map_err(|error| vec![error])?;
        errors.extend(refused(&documents));
        stop(&mut errors)?;
        let namespace = rollout["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let objects: Vec<Value> = documents.into_iter().map(|document| document.object).collect();
        let typed: Rollout =
            serde_json::from_value(rollout.clone()).map_err(|error| vec![error.to_string()])?;
        errors.extend(references::missing(&typed, &namespace, &objects));
        stop(&mut errors)?;
        let measured = queries::check(&rollout, &typed, &namespace, &objects)?;
        let image = image(&typed, &namespace, &objects);
        Ok(Self { objects, rollout: typed, namespace, image, measured, notes })
    }
}

/// The image of the first container, of the template or of the workload that has it.
fn image(rollout: &Rollout, namespace: &str, objects: &[Value]) -> String {
    if let Some(image) = rollout.spec.images().into_iter().next() {
        return image;
    }
    let Some(reference) = &rollout.spec.workload_ref else { return String::new() };
    let is = |object: &&Value| {
        object["kind"] == *reference.kind
            && object["metadata"]["name"] == *reference.name
            && object["metadata"]["namespace"] == *namespace
    };
    let image = objects
        .iter()
        .find(is)
        .and_then(|object| object.pointer("/spec/template/spec/containers/0/image"));
    image.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn stop(errors: &mut Vec<String>) -> Result<(), Vec<String>> {
    if errors.is_empty() { Ok(()) } else { Err(std::mem::take(errors)) }
}

/// The documents of one text; items of a List count as documents of their own.
fn read(
    source: &Source,
    choice: &Choice,
    skipped: &mut Vec<String>,
) -> Result<Vec<Document>, Vec<String>> {
    let name = &source.name;
    let parsed: Vec<Value> = serde_yaml::from_multiple(&source.text)
        .map_err(|error| vec![format!("{name}: {error}")])?;
    let (mut documents, mut errors) = (Vec::new(), Vec::new());
    for (index, value) in parsed.into_iter().enumerate() {
        let place = format!("{name}, document {}", index + 1);
        let items = match value["kind"].as_str() {
            Some("List") => value["items"].as_array().cloned().unwrap_or_default(),
            _ => vec![value],
        };
        for object in items.into_iter().filter(|object| !object.is_null()) {
            match document(&place, object, choice) {
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

fn document(place: &str, mut object: Value, choice: &Choice) -> Result<Option<Document>, Told> {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let used = resource::of_kind(&version, &kind).filter(|found| USED.contains(found));
    let Some(resource) = used else {
        let is_other_rollout = kind == resource::ROLLOUT.kind;
        if SKIPPED.contains(&kind.as_str()) && !is_other_rollout {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            return Err(Told::Skipped(format!("{kind} {name}")));
        }
        let allowed = USED.map(|used| format!("{} {}", used.api_version(), used.kind)).join(", ");
        return Err(Told::Error(format!(
            "{place}: found apiVersion `{version}` and kind `{kind}`, allowed are {allowed}; left out are {}",
            SKIPPED.join(", ")
        )));
    };
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        let error = format!("{place}: {kind}: metadata.name: found none, allowed is a name");
        return Err(Told::Error(error));
    }
    if resource.namespaced && object["metadata"]["namespace"].is_null() {
        let namespace = choice.namespace.as_deref().unwrap_or("default");
        object["metadata"]["namespace"] = Value::from(namespace);
    }
    Ok(Some(Document { place: place.to_owned(), resource, object }))
}

/// The Rollout that is meant; the others are left out.
fn chosen(
    documents: &mut Vec<Document>,
    choice: &Choice,
    notes: &mut Vec<String>,
) -> Result<Value, String> {
    let is_rollout = |document: &Document| document.resource == &resource::ROLLOUT;
    let name = |document: &Document| {
        document.object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
    };
    let names: Vec<String> = documents.iter().filter(|d| is_rollout(d)).map(name).collect();
    let wanted = match (&choice.rollout, names.as_slice()) {
        (_, []) => {
            return Err("found no Rollout, allowed is one; name its file, too".to_owned());
        }
        (None, [one]) => one.clone(),
        (None, several) => {
            let several = several.join(", ");
            return Err(format!(
                "found the Rollouts {several}, allowed is one: say --rollout NAME"
            ));
        }
        (Some(wanted), names) if names.contains(wanted) => wanted.clone(),
        (Some(wanted), names) => {
            return Err(format!("--rollout: found `{wanted}`, allowed are {}", names.join(", ")));
        }
    };
    for other in names.iter().filter(|name| **name != wanted) {
        notes.push(format!("Rollout {other} is left out: --rollout {wanted}"));
    }
    documents.retain(|document| !is_rollout(document) || name(document) == wanted);
    let rollout = documents.iter().find(|document| is_rollout(document));
    rollout.map(|document| document.object.clone()).ok_or_else(|| "found no Rollout".to_owned())
}

/// What the API server refuses.
fn refused(documents: &[Document]) -> Vec<String> {
    let mut store = Store::new(Time::new(Timestamp::UNIX_EPOCH));
    let mut errors = Vec::new();
    for Document { place, resource, object } in documents {
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
        errors.extend(created.err().map(|refusal| format!("{place}: {}", refusal.message)));
    }
    errors
}

/// What the schemas refuse of objects, and fields in them that do not exist; kinds that make no
/// difference are not looked at.
pub fn faults(place: &str, objects: &[Value]) -> Vec<String> {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects
        .iter()
        .filter(|object| {
            let text = |field: &str| object[field].as_str().unwrap_or_default();
            resource::of_kind(text("apiVersion"), text("kind"))
                .is_some_and(|found| USED.contains(&found))
        })
        .collect::<Vec<_>>()});
    let source = Source { name: place.to_owned(), text: list.to_string() };
    let documents = match read(&source, &Choice::default(), &mut Vec::new()) {
        Ok(documents) => documents,
        Err(errors) => return errors,
    };
    let mut found: Vec<String> = documents
        .iter()
        .flat_map(|document| fields::unknown(place, document.resource, &document.object))
        .collect();
    found.extend(refused(&documents));
    found
}

/// Kind and name of all objects of a kind in a namespace.
fn names_of<'a>(objects: &'a [Value], kind: &str, namespace: Option<&str>) -> Vec<&'a str> {
    let is = |object: &&Value| {
        object["kind"] == *kind
            && namespace.is_none_or(|namespace| object["metadata"]["namespace"] == *namespace)
    };
    objects.iter().filter(is).filter_map(|object| object["metadata"]["name"].as_str()).collect()
}

/// `there are a, b`, or `there is none`.
fn there(names: &[&str]) -> String {
    if names.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there is {}", names.join(", "))
    }
}

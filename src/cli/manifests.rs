//! Manifests of a release: read, and checked so that nothing has to be guessed.
//!
//! In: texts with YAML or JSON documents. Out: [`Manifests`], ready for a simulated cluster, or all
//! that is wrong, each in a sentence with file, document and field. Pure but for [`sources`].

mod analyses;
mod comparisons;
mod documents;
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

use serde_json::Value;

use crate::{api::Rollout, sim::api::resource};

pub(in crate::cli) use analyses::requests;
pub use analyses::{Analysis, Argument, Templates, Unresolved, of_rollout};
pub use comparisons::{Comparison, comparisons};
pub use documents::{Document, Documents, Unknown, refused};
pub use queries::{Measured, texts};
pub use references::{Missing, missing};

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
    let mut found = Documents::read(sources, choice, Unknown::Refuse);
    stop(&mut found.errors)?;
    Ok(found.objects())
}

impl Manifests {
    /// Reads and checks.
    ///
    /// # Errors
    /// All that is wrong, each in a sentence.
    pub fn read(sources: &[Source], choice: &Choice) -> Result<Self, Vec<String>> {
        let mut notes = Vec::new();
        let mut found = Documents::read(sources, choice, Unknown::Refuse);
        let mut errors = std::mem::take(&mut found.errors);
        if !found.skipped.is_empty() {
            notes.push(format!(
                "left out, for they make no difference here: {}",
                found.skipped.join(", ")
            ));
        }
        errors.extend(found.unknown_fields());
        stop(&mut errors)?;
        let mut documents = found.all;
        let rollout = chosen(&mut documents, choice, &mut notes).map_err(|error| vec![error])?;
        errors.extend(refused(&documents).into_iter().map(|(index, refusal)| {
            let place = documents.get(index).map(Document::place).unwrap_or_default();
            format!("{place}: {}", refusal.message)
        }));
        stop(&mut errors)?;
        let namespace = rollout["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let objects: Vec<Value> = documents.into_iter().map(|document| document.object).collect();
        let typed: Rollout =
            serde_json::from_value(rollout.clone()).map_err(|error| vec![error.to_string()])?;
        let missing = missing(&typed, &namespace, &objects);
        errors.extend(missing.iter().map(ToString::to_string));
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

/// What the schemas refuse of objects, and fields in them that do not exist; kinds that make no
/// difference are not looked at.
pub fn faults(place: &str, objects: &[Value]) -> Vec<String> {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let source = Source { name: place.to_owned(), text: list.to_string() };
    let documents = Documents::read(&[source], &Choice::default(), Unknown::Skip);
    let mut found = documents.errors.clone();
    found.extend(documents.unknown_fields());
    let told = |(index, refusal): (usize, crate::sim::api::Refusal)| {
        let name = documents.all.get(index).map_or("", Document::name);
        format!("{place}: {name}: {}", refusal.message)
    };
    found.extend(refused(&documents.all).into_iter().map(told));
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

//! `convert`: manifests of Argo Rollouts, Flagger, or a plain Deployment into ours.
//!
//! In: documents. Out: documents, and a list of every field that means something else now or has no
//! equal. Pure but for reading and writing files.

mod argo;
mod curl;
mod deployment;
mod document;
mod flagger;
mod metadata;
mod node;
mod others;
mod output;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    exit::{Exit, Failure},
    manifests::{self, Source},
    session::Session,
};
use argo::Empty;
use document::{Document, What};
use node::{Fate, Node, Note, Notes};
use others::Taken;

/// Flags of `convert`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Manifests of Argo Rollouts, Flagger or Deployments: files, folders, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    pub output: Output,
    /// Writes a file for each object into this folder, in place of standard output
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
}

/// The formats of `convert`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML, with the list as comments
    Yaml,
    /// One List in JSON; the list goes to standard error alone
    Json,
}

/// What one document became.
#[derive(Clone, Debug)]
pub struct Converted {
    /// `Rollout checkout`.
    pub subject: String,
    /// `FILE, document N`.
    pub place: String,
    /// Our objects; none where nothing has an equal.
    pub objects: Vec<Value>,
    /// What changed, and what has no equal.
    pub notes: Vec<Note>,
}

/// Converts, and says what changed.
///
/// # Errors
/// A file cannot be read or written, or the result would be refused.
pub fn run(flags: &Flags, out: &mut dyn std::io::Write) -> Result<Exit, Failure> {
    let sources = manifests::sources(&flags.files).map_err(Failure::plain)?;
    let all = convert(&sources).map_err(|errors| Failure::plain(errors.join("\nerror: ")))?;
    match &flags.output_dir {
        Some(folder) => output::write(&all, folder, flags.output, out)?,
        None => out.write_all(output::text(&all, flags.output)?.as_bytes())?,
    }
    out.flush()?;
    for line in output::list(&all) {
        Session::note(&line)?;
    }
    let faults = faults(&all);
    if faults.is_empty() {
        return Ok(Exit::Done);
    }
    let text = format!(
        "the result would be refused; correct the input or the output: {}",
        faults.join("\nerror: ")
    );
    Err(Failure::plain(text))
}

/// Converts all documents.
///
/// # Errors
/// What cannot be read, each in a sentence.
pub fn convert(sources: &[Source]) -> Result<Vec<Converted>, Vec<String>> {
    let documents = document::read(sources)?;
    if documents.is_empty() {
        return Err(vec![
            "found no object, allowed are those of Argo Rollouts or Flagger, or Deployments".into(),
        ]);
    }
    let objects: Vec<Value> = documents.iter().map(|document| document.object.clone()).collect();
    let foreign = documents.iter().any(|document| {
        matches!(document.what, What::ArgoRollout | What::ArgoTemplate | What::Canary)
    });
    let taken = taken(&documents, foreign);
    let mut empty = Empty::new();
    let mut templates = argo_templates(&documents, &mut empty);
    let (sources, mut metric_notes) = metric_templates(&documents);
    let mut all = Vec::new();
    let mut edited = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let notes = Notes::default();
        let node = || Node::root(document.body(), &notes);
        let objects = match document.what {
            What::ArgoTemplate => {
                let (object, found) = templates.remove(&index).unwrap_or_default();
                notes.extend(found);
                object.into_iter().collect()
            }
            What::ArgoRollout => vec![argo::rollout(node(), &empty)],
            What::Canary => {
                let around = around(&documents, &sources);
                let around = flagger::Around {
                    sources: &sources,
                    deployments: &around.0,
                    present: &around.1,
                };
                flagger::canary(node(), &around)
            }
            What::MetricTemplate => {
                let found = metric_notes.remove(&index).unwrap_or_default();
                notes.extend(found);
                Vec::new()
            }
            What::Deployment if !foreign => {
                let adopted = deployment::deployment(&document.object, &objects, &notes);
                edited.extend(adopted.edited);
                std::iter::once(document.object.clone()).chain(adopted.new).collect()
            }
            What::Nothing(why) => {
                notes.add(Fate::Lost, "", why);
                Vec::new()
            }
            What::Deployment | What::Other => {
                vec![others::other(document.object.clone(), &taken, &notes)]
            }
        };
        all.push(Converted {
            subject: document.subject(),
            place: document.place.clone(),
            objects,
            notes: notes.take(),
        });
    }
    put_in(&mut all, edited);
    Ok(all)
}

/// Puts edited objects in the place of those of that kind and name.
fn put_in(all: &mut [Converted], edited: Vec<Value>) {
    for object in edited {
        let same = |other: &Value| {
            ["/kind", "/metadata/name", "/metadata/namespace"]
                .iter()
                .all(|at| other.pointer(at) == object.pointer(at))
        };
        for converted in all.iter_mut() {
            if let Some(place) = converted.objects.iter_mut().find(|other| same(other)) {
                *place = object.clone();
                converted.notes.push(Note {
                    fate: Fate::Changed,
                    path: "spec.http".into(),
                    text: "has the canary Service as a second destination, of weight 0".into(),
                    whole: false,
                });
            }
        }
    }
}

type Found<T> = BTreeMap<usize, T>;

/// Argo's templates first, because Rollouts must know which are empty. Those that use others come
/// last.
fn argo_templates(documents: &[Document], empty: &mut Empty) -> Found<(Option<Value>, Vec<Note>)> {
    let mut found = Found::new();
    let mut order: Vec<usize> =
        (0..documents.len()).filter(|index| documents[*index].what == What::ArgoTemplate).collect();
    order.sort_by_key(|index| !documents[*index].object["spec"]["templates"].is_null());
    for index in order {
        let notes = Notes::default();
        let document = &documents[index];
        let node = Node::root(document.body(), &notes);
        let object = argo::template::template(node, document.kind(), empty);
        found.insert(index, (object, notes.take()));
    }
    found
}

type Sources = BTreeMap<(String, String), flagger::Source>;

fn metric_templates(documents: &[Document]) -> (Sources, Found<Vec<Note>>) {
    let (mut sources, mut found) = (Sources::new(), Found::new());
    for (index, document) in documents.iter().enumerate() {
        if document.what != What::MetricTemplate {
            continue;
        }
        let notes = Notes::default();
        if let Some((key, source)) = flagger::source(Node::root(document.body(), &notes)) {
            sources.insert(key, source);
        }
        notes.add(
            Fate::Changed,
            "",
            "is a metric in the AnalysisTemplate of each Canary that names it",
        );
        found.insert(index, notes.take());
    }
    (sources, found)
}

fn around(documents: &[Document], _: &Sources) -> (Vec<Value>, Vec<(String, String)>) {
    let objects = documents.iter().map(|document| &document.object);
    let deployments = objects.clone().filter(|object| object["kind"] == "Deployment").cloned();
    let present = objects.filter_map(|object| {
        Some((object["kind"].as_str()?.to_owned(), object["metadata"]["name"].as_str()?.to_owned()))
    });
    (deployments.collect(), present.collect())
}

/// Which Deployments are taken over, and by which Rollout.
fn taken(documents: &[Document], foreign: bool) -> Vec<Taken> {
    let of = |document: &Document| {
        let object = &document.object;
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let deployment = match document.what {
            What::ArgoRollout => object["spec"]["workloadRef"]["name"].as_str()?,
            What::Canary => object["spec"]["targetRef"]["name"].as_str()?,
            What::Deployment if !foreign => &name,
            _ => return None,
        };
        Some((deployment.to_owned(), name))
    };
    documents.iter().filter_map(of).collect()
}

/// What the API server would refuse of the result.
pub fn faults(all: &[Converted]) -> Vec<String> {
    let objects: Vec<Value> =
        all.iter().flat_map(|converted| &converted.objects).cloned().collect();
    manifests::faults("the result", &objects)
}

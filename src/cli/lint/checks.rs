//! The checks of documents: syntax, fields, schema, references, and what the controller says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Finding, Level, Lint, Rule, locate};
use crate::{
    api::{ConditionType, Rollout},
    cli::{
        manifests::{Choice, Document, Documents, Source, Unknown, missing, refused},
        trial::{Change, Trial, World},
    },
    sim::api::resource,
};

/// What is known so far.
pub(super) struct Checks<'a> {
    sources: &'a [Source],
    pub(super) documents: Documents,
    /// The objects of the documents, in the same order.
    pub(super) objects: Vec<Value>,
    pub(super) namespace: String,
    findings: Vec<Finding>,
    /// Whether something that a release needs is in none of the files.
    incomplete: bool,
}

/// What was found about a document.
pub(super) struct About<'f> {
    pub(super) level: Level,
    pub(super) rule: Rule,
    pub(super) field: &'f str,
    pub(super) message: String,
}

impl<'a> Checks<'a> {
    pub(super) fn new(sources: &'a [Source], choice: &Choice) -> Self {
        let documents = Documents::read(sources, choice, Unknown::Skip);
        let objects = documents.objects();
        let namespace = choice.namespace.clone().unwrap_or_else(|| "default".to_owned());
        Self { sources, documents, objects, namespace, findings: Vec::new(), incomplete: false }
    }

    /// Everything that can be said without a cluster of any kind.
    pub(super) fn documents(&mut self) {
        for error in std::mem::take(&mut self.documents.errors) {
            self.unread(&error);
        }
        let mut wrong = BTreeSet::new();
        for index in 0..self.documents.all.len() {
            let fields = self.documents.all[index].unknown_fields();
            for text in fields {
                wrong.insert(index);
                let (field, message) = text.split_once(": ").unwrap_or(("", &text));
                let (field, message) = (field.to_owned(), message.to_owned());
                self.add(
                    index,
                    About { level: Level::Error, rule: Rule::UnknownField, field: &field, message },
                );
            }
        }
        for (index, refusal) in refused(&self.documents.all) {
            let causes = refusal.details["causes"].as_array().cloned().unwrap_or_default();
            let told = causes.iter().filter(|cause| cause["field"] != "<nil>");
            let told: Vec<(String, String)> = told
                .map(|cause| {
                    let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
                    (text("field"), text("message"))
                })
                .collect();
            let told = if told.is_empty() { vec![(String::new(), refusal.message)] } else { told };
            for (field, message) in told {
                self.add(
                    index,
                    About { level: Level::Error, rule: Rule::Schema, field: &field, message },
                );
            }
        }
        self.references();
    }

    /// A text that is not a list of objects.
    fn unread(&mut self, error: &str) {
        let is = |source: &&Source| {
            error.starts_with(&format!("{}: ", source.name))
                || error.starts_with(&format!("{}, ", source.name))
        };
        let Some(source) = self.sources.iter().find(is) else { return };
        let rest =
            error.strip_prefix(&source.name).unwrap_or(error).trim_start_matches([':', ',', ' ']);
        let number =
            rest.strip_prefix("document ").and_then(|rest| rest.split(':').next()?.parse().ok());
        let message = match number {
            Some(number) => rest.trim_start_matches(&format!("document {number}: ")).to_owned(),
            None => rest.to_owned(),
        };
        let line = match number {
            Some(number) => locate::line(&source.text, number, ""),
            None => locate::said(&message),
        };
        // The rest of it draws the place.
        let message = message.lines().next().unwrap_or_default().to_owned();
        let (file, object, field) = (source.name.clone(), String::new(), String::new());
        self.findings.push(Finding {
            level: Level::Error,
            rule: Rule::Syntax,
            file,
            line,
            object,
            field,
            message,
        });
    }

    /// Adds something about the document of that index.
    pub(super) fn add(&mut self, index: usize, about: About<'_>) {
        let Some(document) = self.documents.all.get(index) else { return };
        let source = self.sources.iter().find(|source| source.name == document.file);
        let line =
            source.and_then(|source| locate::line(&source.text, document.number, about.field));
        self.findings.push(Finding {
            level: about.level,
            rule: about.rule,
            file: document.file.clone(),
            line,
            object: format!("{} {}", document.resource.kind, document.name()),
            field: about.field.to_owned(),
            message: about.message,
        });
    }

    /// Adds a sentence `KIND NAME: FIELD: MESSAGE`.
    pub(super) fn say(&mut self, level: Level, rule: Rule, sentence: &str) {
        let (owner, rest) = sentence.split_once(": ").unwrap_or(("", sentence));
        let Some(index) = self.find(owner) else {
            let index =
                self.documents.all.iter().position(|one| one.resource == &resource::ROLLOUT);
            let message = sentence.to_owned();
            self.add(index.unwrap_or(0), About { level, rule, field: "", message });
            return;
        };
        let (field, message) = match rest.split_once(": ") {
            Some((field, message)) if !field.contains(' ') => (field, message),
            _ => ("", rest),
        };
        self.add(index, About { level, rule, field, message: message.to_owned() });
    }

    /// The document of `KIND NAME`.
    pub(super) fn find(&self, owner: &str) -> Option<usize> {
        let (kind, name) = owner.split_once(' ')?;
        let is = |document: &Document| document.resource.kind == kind && document.name() == name;
        self.documents.all.iter().position(is)
    }

    /// Whether an error was found already.
    pub(super) fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Level::Error)
    }

    /// Something is not there that a release needs.
    pub(super) fn lacks(&mut self) {
        self.incomplete = true;
    }

    /// The Rollouts that can be read, with their namespaces.
    pub(super) fn rollouts(&self) -> Vec<(Value, Rollout, String)> {
        let all = self.objects.iter().filter(|object| object["kind"] == "Rollout");
        let read = all.filter_map(|object| {
            let rollout = serde_json::from_value(object.clone()).ok()?;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
            Some((object.clone(), rollout, namespace.to_owned()))
        });
        read.collect()
    }

    /// An object of a kind that the files have none of may be elsewhere.
    fn references(&mut self) {
        for (_, rollout, namespace) in self.rollouts() {
            for missing in missing(&rollout, &namespace, &self.objects) {
                self.lacks();
                let crate::cli::manifests::Missing { owner, field, kind, name, .. } = &missing;
                if missing.there.is_empty() {
                    let sentence = format!(
                        "{owner}: {field}: {kind} {name} is in none of these files, so that it is not checked"
                    );
                    self.say(Level::Warning, Rule::Reference, &sentence);
                } else {
                    self.say(Level::Error, Rule::Reference, &missing.to_string());
                }
            }
        }
    }

    /// What the controller says, on a simulated cluster; only of manifests that are whole.
    pub(super) async fn release(&mut self) {
        if self.failed() || self.incomplete {
            return;
        }
        for (_, rollout, namespace) in self.rollouts() {
            let name = rollout.metadata.name.clone().unwrap_or_default();
            let others = |object: &&Value| {
                object["kind"] != "Rollout"
                    || (object["metadata"]["name"] == *name
                        && object["metadata"]["namespace"] == *namespace)
            };
            let world = World {
                objects: self.objects.iter().filter(others).cloned().collect(),
                namespace,
                rollout: name.clone(),
                ..World::default()
            };
            for sentence in Box::pin(invalid(&world)).await {
                let sentence = format!("Rollout {name}: {sentence}");
                self.say(Level::Error, Rule::Release, &sentence);
            }
        }
    }

    pub(super) fn done(mut self) -> Lint {
        self.findings.sort_by(|one, two| {
            (&one.file, one.line, one.level).cmp(&(&two.file, two.line, two.level))
        });
        self.findings.dedup();
        let files: BTreeSet<&String> = self.documents.all.iter().map(|one| &one.file).collect();
        Lint { objects: self.documents.all.len(), files: files.len(), findings: self.findings }
    }
}

/// Why the controller would not release it: at the first deployment, and at the next one.
async fn invalid(world: &World) -> Vec<String> {
    let mut trial = Trial::new(world);
    let deployed = trial.deploy(&world.objects).await;
    if deployed.is_ok() && trial.begin(&Change::Image("lint:new".to_owned()), &[]).await.is_err() {
        return Vec::new();
    }
    let Some(status) = trial.rollout().and_then(|rollout| rollout.status) else {
        return Vec::new();
    };
    let kind = ConditionType::InvalidSpec.as_str();
    let mut all = status.conditions.into_iter();
    let found = all.find(|condition| condition.type_ == kind && condition.status == "True");
    found.map(|condition| condition.message).into_iter().collect()
}

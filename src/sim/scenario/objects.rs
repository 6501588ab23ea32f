//! The objects that a scenario begins with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Error, Scenario};
use crate::sim::api::{Resource, resource};

/// Files of objects by name.
#[derive(Clone, Debug, Default)]
pub struct Bases(BTreeMap<String, Vec<Value>>);

impl Bases {
    /// Adds a file with YAML documents.
    ///
    /// # Errors
    /// The text is no YAML, or a document no object.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let documents: Vec<Value> = serde_yaml::from_multiple(text)
            .map_err(|error| Error::Form(format!("{name}: {error}")))?;
        for (index, document) in documents.iter().enumerate() {
            kind(document, &format!("{name}, document {}", index + 1))?;
        }
        self.0.insert(name.to_owned(), documents);
        Ok(())
    }
}

impl Scenario {
    /// The objects at the beginning, the Rollouts last: with all that they name already there, a
    /// story begins with the release and not with complaints.
    ///
    /// # Errors
    /// A base does not exist, or something is no object.
    pub fn objects(&self, bases: &Bases) -> Result<Vec<Value>, Error> {
        let mut objects: Vec<Value> = Vec::new();
        for name in &self.given {
            let base = bases.0.get(name).ok_or_else(|| Error::Base {
                name: name.clone(),
                allowed: bases.0.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            objects.extend(base.iter().cloned());
        }
        for (index, object) in self.objects.iter().enumerate() {
            kind(object, &format!("objects[{index}]"))?;
            let same = |other: &&mut Value| {
                other["kind"] == object["kind"]
                    && other["metadata"]["name"] == object["metadata"]["name"]
            };
            match objects.iter_mut().find(same) {
                Some(present) => json_patch::merge(present, object),
                None => objects.push(object.clone()),
            }
        }
        let is_rollout = |object: &Value| object["kind"] == "Rollout";
        if !self.rollout.is_null() {
            let Some(rollout) = objects.iter_mut().find(|object| is_rollout(object)) else {
                return Err(Error::Object {
                    place: "rollout".to_owned(),
                    why: "there is no Rollout among the objects to merge this over".to_owned(),
                });
            };
            json_patch::merge(rollout, &self.rollout);
        }
        objects.sort_by_key(is_rollout);
        Ok(objects)
    }
}

/// The resource of an object.
pub(super) fn kind(object: &Value, place: &str) -> Result<&'static Resource, Error> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let found = resource::of_kind(text("apiVersion"), text("kind"));
    let error = |why: String| Error::Object { place: place.to_owned(), why };
    let found = found.ok_or_else(|| {
        error(format!(
            "found apiVersion `{}` and kind `{}`, allowed are {}",
            text("apiVersion"),
            text("kind"),
            resource::ALL
                .map(|resource| format!("{} {}", resource.api_version(), resource.kind))
                .join(", ")
        ))
    })?;
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        return Err(error("metadata.name: found none, allowed is a name".to_owned()));
    }
    Ok(found)
}

//! The pod template of a revision as its user wrote it: that of its ReplicaSet without what Sluice
//! added. Pure.
//!
//! What was added cannot always be told from what the user wrote (a label that a role overwrote, a
//! term of the user's that looks like ours). So each reading is tried, and the fingerprint that the
//! ReplicaSet carries says which one is right.

use serde_json::{Map, Value};

use crate::{
    api::{
        CANONICAL_REVISION_LABEL, FINGERPRINT_ANNOTATION, PodMetadata, PodTemplate, REVISION_LABEL,
        ROLE_METADATA_ANNOTATION,
    },
    world::fingerprint::fingerprint,
};

/// Topology of the terms that keep two revisions on different nodes.
const HOST: &str = "kubernetes.io/hostname";

/// How the marks of Sluice are told from the user's own.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Istio's canonical revision was added.
    canonical: bool,
    /// What a role wrote stood in the template before, with the value that the present one has.
    overwritten: bool,
    /// Terms that keep revisions apart were added.
    apart: bool,
}

/// The template that the ReplicaSet's revision was made of; none if no reading of it has the
/// fingerprint that it should have. `present` is the template of today.
pub fn written(set: &Value, present: &PodTemplate) -> Option<PodTemplate> {
    let wanted = set["metadata"]["annotations"].get(FINGERPRINT_ANNOTATION)?.as_str()?;
    let template: PodTemplate = serde_json::from_value(set["spec"]["template"].clone()).ok()?;
    let both = [true, false];
    let readings = both.into_iter().flat_map(|canonical| {
        both.into_iter().flat_map(move |apart| {
            [false, true].map(|overwritten| Reading { canonical, overwritten, apart })
        })
    });
    let mut found = readings.map(|reading| without(&template, reading, present));
    found.find(|template| fingerprint(template) == wanted)
}

/// The template without what the reading takes for added.
fn without(template: &PodTemplate, reading: Reading, present: &PodTemplate) -> PodTemplate {
    let mut template = template.clone();
    let metadata = &mut template.metadata;
    // The API server writes `creationTimestamp: null` into templates.
    metadata.retain(|_, value| !value.is_null());
    let note = metadata.get("annotations").and_then(|all| all.get(ROLE_METADATA_ANNOTATION));
    let role = note.and_then(Value::as_str).and_then(|note| serde_json::from_str(note).ok());
    let role: PodMetadata = role.unwrap_or_default();
    for (field, pairs) in [("labels", &role.labels), ("annotations", &role.annotations)] {
        for key in pairs.keys() {
            let own = present.metadata.get(field).and_then(|all| all.get(key));
            let own = own.filter(|_| reading.overwritten).cloned();
            put(metadata, field, key, own);
        }
    }
    put(metadata, "annotations", ROLE_METADATA_ANNOTATION, None);
    let revision = metadata.get("labels").and_then(|labels| labels.get(REVISION_LABEL)).cloned();
    let canonical = metadata.get("labels").and_then(|labels| labels.get(CANONICAL_REVISION_LABEL));
    if reading.canonical && canonical.is_some() && canonical == revision.as_ref() {
        put(metadata, "labels", CANONICAL_REVISION_LABEL, None);
    }
    put(metadata, "labels", REVISION_LABEL, None);
    if reading.apart {
        bring_together(&mut template.spec);
    }
    template
}

/// Sets or removes `metadata.FIELD[KEY]`; a map that this leaves empty goes too.
fn put(metadata: &mut Map<String, Value>, field: &str, key: &str, value: Option<Value>) {
    let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) else { return };
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value)),
        None => drop(map.remove(key)),
    }
    if map.is_empty() {
        metadata.remove(field);
    }
}

/// Removes the terms that keep the pods off the nodes of another revision.
fn bring_together(pods: &mut Map<String, Value>) {
    let affinity = pods.get_mut("affinity").and_then(Value::as_object_mut);
    let Some(affinity) = affinity else { return };
    let Some(anti) = affinity.get_mut("podAntiAffinity").and_then(Value::as_object_mut) else {
        return;
    };
    anti.retain(|_, terms| {
        let Some(terms) = terms.as_array_mut() else { return true };
        let before = terms.len();
        terms.retain(|term| !is_ours(term) && !is_ours(&term["podAffinityTerm"]));
        !terms.is_empty() || before == 0
    });
    if anti.is_empty() {
        affinity.remove("podAntiAffinity");
    }
    if affinity.is_empty() {
        pods.remove("affinity");
    }
}

/// Whether the term names another revision, as `antiAffinity` writes it.
fn is_ours(term: &Value) -> bool {
    let labels = term["labelSelector"]["matchLabels"].as_object();
    let one = labels.is_some_and(|labels| labels.len() == 1 && labels.contains_key(REVISION_LABEL));
    one && term["topologyKey"] == HOST
}

#[cfg(test)]
mod tests;

//! What a role puts on pods, and what keeps two revisions on different nodes: pure, JSON to JSON.

use serde_json::{Map, Value, json};

use crate::{
    api::{AntiAffinity, PodMetadata, REVISION_LABEL, ROLE_METADATA_ANNOTATION},
    world::World,
};

/// Puts a role's labels and annotations, and the note of them, on `metadata`.
pub(super) fn put(metadata: &mut Value, role: &PodMetadata) {
    let note = serde_json::to_string(role).unwrap_or_default();
    for (field, pairs) in [("labels", &role.labels), ("annotations", &role.annotations)] {
        for (key, value) in pairs {
            metadata[field][key] = json!(value);
        }
    }
    metadata["annotations"][ROLE_METADATA_ANNOTATION] = json!(note);
}

/// The merge patch for `metadata` that takes off what the old role put there and puts on what the new
/// one does. `own` is what the template itself says: its values come back.
pub(super) fn change(from: Option<&PodMetadata>, to: &PodMetadata, own: &Value) -> Value {
    let nothing = PodMetadata::default();
    let from = from.unwrap_or(&nothing);
    let mut patch = json!({"labels": {}, "annotations": {}});
    let fields =
        [("labels", &from.labels, &to.labels), ("annotations", &from.annotations, &to.annotations)];
    for (field, before, after) in fields {
        for key in before.keys().filter(|key| !after.contains_key(*key)) {
            patch[field][key] = own[field].get(key).cloned().unwrap_or(Value::Null);
        }
        for (key, value) in after {
            patch[field][key] = json!(value);
        }
    }
    let note = (*to != nothing).then(|| serde_json::to_string(to).unwrap_or_default());
    patch["annotations"][ROLE_METADATA_ANNOTATION] = json!(note);
    patch
}

/// The same for pods of the present template.
pub(super) fn of_template(world: &World, from: Option<&PodMetadata>, to: &PodMetadata) -> Value {
    change(from, to, &Value::Object(world.template.metadata.clone()))
}

/// Adds to a pod spec that its pods keep off the nodes of the pods of revision `other`. Terms of the
/// user's own stay.
pub(super) fn keep_apart(pods: &mut Value, how: &AntiAffinity, other: &str) {
    let term = json!({
        "labelSelector": {"matchLabels": {REVISION_LABEL: other}},
        "topologyKey": "kubernetes.io/hostname",
    });
    let (field, term) = match &how.preferred_during_scheduling_ignored_during_execution {
        Some(preferred) => (
            "preferredDuringSchedulingIgnoredDuringExecution",
            json!({"weight": preferred.weight, "podAffinityTerm": term}),
        ),
        None => ("requiredDuringSchedulingIgnoredDuringExecution", term),
    };
    let mut at = pods;
    for key in ["affinity", "podAntiAffinity"] {
        if !at[key].is_object() {
            at[key] = Value::Object(Map::new());
        }
        at = &mut at[key];
    }
    match at[field].as_array_mut() {
        Some(terms) => terms.push(term),
        None => at[field] = json!([term]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(labels: &Value) -> PodMetadata {
        serde_json::from_value(json!({"labels": labels})).unwrap()
    }

    #[test]
    fn a_change_of_role_touches_no_other_label() {
        let (canary, stable) =
            (role(&json!({"role": "canary", "x": "1"})), role(&json!({"role": "stable"})));
        let own = json!({"labels": {"app": "web", "x": "own"}});
        let patch = change(Some(&canary), &stable, &own);
        assert_eq!(patch["labels"], json!({"role": "stable", "x": "own"}));
        let patch = change(Some(&stable), &PodMetadata::default(), &own);
        assert_eq!(patch["labels"], json!({"role": null}));
        assert_eq!(patch["annotations"], json!({ROLE_METADATA_ANNOTATION: null}));
    }

    #[test]
    fn terms_of_the_user_stay_beside_ours() {
        let mut pods = json!({"affinity": {"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}],
        }}});
        keep_apart(&mut pods, &AntiAffinity::default(), "abc");
        let terms =
            &pods["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(terms[0]["topologyKey"], "zone");
        assert_eq!(terms[1]["labelSelector"]["matchLabels"][REVISION_LABEL], "abc");
    }
}

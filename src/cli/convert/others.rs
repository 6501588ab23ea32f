//! Objects that go on as they are, but for what named the old controller.

use serde_json::Value;

use super::{
    argo::HASH_LABEL,
    deployment::{aims_at, re_aimed},
    node::{Fate, Notes, below},
};

/// A workload that a Rollout takes over, and the name of that Rollout.
pub type Taken = (String, String);

/// The object, without the marks of Argo Rollouts, and aimed at our Rollouts.
pub fn other(mut object: Value, taken: &[Taken], notes: &Notes) -> Value {
    match object["kind"].as_str() {
        Some("Service") => unmarked(object.pointer_mut("/spec/selector"), "spec.selector", notes),
        Some("DestinationRule") => {
            let subsets = object.pointer_mut("/spec/subsets").and_then(Value::as_array_mut);
            for (index, subset) in subsets.into_iter().flatten().enumerate() {
                let path = format!("spec.subsets[{index}].labels");
                unmarked(subset.get_mut("labels"), &path, notes);
            }
        }
        Some("HorizontalPodAutoscaler" | "ScaledObject") => object = scaler(object, taken, notes),
        Some("VerticalPodAutoscaler") => vertical(&mut object, taken, notes),
        _ => {}
    }
    annotations(&mut object, notes);
    object
}

fn annotations(object: &mut Value, notes: &Notes) {
    let found = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(found) = found else { return };
    found.retain(|name, _| {
        let theirs = name.starts_with("argo-rollouts.argoproj.io/managed-by");
        if theirs {
            notes.add(
                Fate::Changed,
                &format!("metadata.annotations[{name}]"),
                "left out: it is the memory of another controller",
            );
        }
        !theirs
    });
    if found.is_empty()
        && let Some(metadata) = object["metadata"].as_object_mut()
    {
        metadata.remove("annotations");
    }
}

fn unmarked(labels: Option<&mut Value>, path: &str, notes: &Notes) {
    let removed = labels.and_then(Value::as_object_mut).and_then(|map| map.remove(HASH_LABEL));
    if removed.is_some() {
        notes.add(
            Fate::Changed,
            &below(path, HASH_LABEL),
            "left out: Argo Rollouts wrote it; Sluice writes sluice.dev/revision there",
        );
    }
}

fn scaler(mut object: Value, taken: &[Taken], notes: &Notes) -> Value {
    let path = "spec.scaleTargetRef";
    let target = &object["spec"]["scaleTargetRef"];
    let version = target["apiVersion"].as_str().unwrap_or_default();
    if target["kind"] == "Rollout" && version.starts_with("argoproj.io/") {
        object["spec"]["scaleTargetRef"]["apiVersion"] = "sluice.dev/v1alpha1".into();
        notes.add(Fate::Changed, path, "aims at the Rollout of sluice.dev");
        return object;
    }
    let by = taken.iter().find(|(deployment, _)| aims_at(&object, deployment));
    if let Some((_, rollout)) = by {
        let rollout = rollout.clone();
        notes.add(
            Fate::Changed,
            path,
            "aims at the Rollout in place of the Deployment, which keeps no pods",
        );
        return re_aimed(object, &rollout);
    }
    object
}

fn vertical(object: &mut Value, taken: &[Taken], notes: &Notes) {
    let target = &mut object["spec"]["targetRef"];
    let argo = target["kind"] == "Rollout"
        && target["apiVersion"].as_str().is_some_and(|version| version.starts_with("argoproj.io/"));
    let by = taken
        .iter()
        .find(|(name, _)| target["kind"] == "Deployment" && target["name"] == name.as_str());
    let rollout = match (argo, by) {
        (true, _) => target["name"].clone(),
        (false, Some((_, rollout))) => Value::from(rollout.as_str()),
        _ => return,
    };
    target["apiVersion"] = "sluice.dev/v1alpha1".into();
    target["kind"] = "Rollout".into();
    target["name"] = rollout;
    notes.add(Fate::Changed, "spec.targetRef", "aims at the Rollout of sluice.dev");
}

//! A plain Deployment, with the Service and VirtualService that lead to it.

use serde_json::Value;

use super::node::{Fate, Notes};
use crate::cli::adopt::draft::{
    self, Shape, default_steps, second_service, selects, splits, with_second_destination,
};

/// What a Deployment becomes: new objects, and those in whose place edited ones stand.
pub struct Adopted {
    /// The Rollout, and a canary Service.
    pub new: Vec<Value>,
    /// Edited objects.
    pub edited: Vec<Value>,
}

/// The Rollout of a Deployment. `all` are the objects of the files.
pub fn deployment(object: &Value, all: &[Value], notes: &Notes) -> Adopted {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let here = |other: &&Value| {
        let theirs = other["metadata"]["namespace"].as_str().unwrap_or(namespace);
        theirs == namespace
    };
    let of_kind =
        |kind: &'static str| all.iter().filter(move |other| other["kind"] == kind).filter(here);
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let autoscaler = of_kind("HorizontalPodAutoscaler").find(|scaler| aims_at(scaler, name));
    let replicas = object["spec"]["replicas"]
        .as_i64()
        .or_else(|| autoscaler?["spec"]["minReplicas"].as_i64())
        .unwrap_or(1);
    let mut adopted = Adopted { new: Vec::new(), edited: Vec::new() };
    let mut shape = Shape::Rolling;
    for service in of_kind("Service").filter(|service| selects(service, labels)) {
        let stable = service["metadata"]["name"].as_str().unwrap_or_default();
        let canary = format!("{stable}-canary");
        let mut routes = all.iter().filter(|other| other["kind"] == "VirtualService");
        let edited = routes
            .clone()
            .find_map(|route| with_second_destination(route, namespace, stable, &canary));
        let route = edited
            .clone()
            .or_else(|| routes.find(|route| splits(route, namespace, stable, &canary)).cloned());
        let Some(route) = route else { continue };
        let route_name = route["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !of_kind("Service").any(|other| other["metadata"]["name"] == canary.as_str()) {
            adopted.new.push(second_service(service, &canary));
        }
        notes.add(
            Fate::Changed,
            "",
            format!("a canary: VirtualService {route_name} leads to Service {stable}, which selects the stable pods during a release, and Service {canary} the new ones; weights of 5, 25 and 50 with pauses, and a person before 50: change the steps as you like"),
        );
        adopted.edited.extend(edited);
        shape = Shape::Canary {
            services: Some((stable.to_owned(), canary)),
            virtual_service: Some((route_name, None)),
            steps: default_steps(),
        };
        break;
    }
    if shape == Shape::Rolling {
        notes.add(
            Fate::Changed,
            "",
            "the strategy is rolling, as before: no VirtualService of these files leads to a Service of its pods",
        );
    }
    template_notes(object, notes);
    adopted.new.push(draft::rollout(object, name, replicas, &shape));
    adopted
}

/// What a Rollout does otherwise than the Deployment did.
fn template_notes(object: &Value, notes: &Notes) {
    let spec = &object["spec"];
    let strategy = &spec["strategy"];
    if strategy["type"] == "Recreate" {
        notes.add(
            Fate::Lost,
            "spec.strategy.type",
            "Recreate has no equal: two revisions run at once during a release; scale to 0 before it, if they must not",
        );
    }
    for name in ["maxSurge", "maxUnavailable"] {
        if !strategy["rollingUpdate"][name].is_null() {
            notes.add(
                Fate::Changed,
                &format!("spec.strategy.rollingUpdate.{name}"),
                "stays in the Deployment, which makes no release any more; write it into the Rollout's strategy, if it is to hold there",
            );
        }
    }
    for (name, ours) in [
        ("minReadySeconds", "spec.minReadySeconds"),
        ("progressDeadlineSeconds", "spec.progressDeadline"),
        ("revisionHistoryLimit", "spec.revisionHistoryLimit"),
        ("paused", "spec.paused"),
    ] {
        if !spec[name].is_null() {
            notes.add(
                Fate::Changed,
                &format!("spec.{name}"),
                format!("stays in the Deployment, and holds there alone; write {ours} into the Rollout, if it is to hold there"),
            );
        }
    }
}

/// Whether an autoscaler aims at this Deployment.
pub fn aims_at(scaler: &Value, deployment: &str) -> bool {
    let target = &scaler["spec"]["scaleTargetRef"];
    let apps = target["apiVersion"].as_str().is_none_or(|version| version.starts_with("apps/"));
    apps && target["kind"] == "Deployment" && target["name"] == deployment
}

/// An autoscaler that aims at the Rollout in place of the Deployment.
pub fn re_aimed(mut scaler: Value, rollout: &str) -> Value {
    let target = &mut scaler["spec"]["scaleTargetRef"];
    target["apiVersion"] = "sluice.dev/v1alpha1".into();
    target["kind"] = "Rollout".into();
    target["name"] = rollout.into();
    scaler
}

//! What is in the way of an adoption, each in a sentence with the next step. Pure.

use serde_json::Value;

use super::{
    draft::{Shape, selects},
    scene::Scene,
    shape::Chosen,
};
use crate::{
    api::VirtualServiceRef,
    traffic::istio::{RouteTarget, Split, virtual_service},
};

/// All of them.
pub fn obstacles(scene: &Scene, name: &str, chosen: &Chosen) -> Vec<String> {
    let mut found = Vec::new();
    itself(scene, &mut found);
    autoscalers(scene, name, &mut found);
    rollouts(scene, name, &chosen.shape, &mut found);
    services(scene, chosen, &mut found);
    routes(scene, &chosen.shape, &mut found);
    found
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn itself(scene: &Scene, found: &mut Vec<String>) {
    let deployment = &scene.deployment;
    let name = text(deployment, "/metadata/name");
    if !deployment["metadata"]["deletionTimestamp"].is_null() {
        found.push(format!("Deployment {name} is being deleted"));
    }
    let wanted = scene.replicas();
    if wanted == 0 {
        found.push(format!(
            "Deployment {name} has no pods to take over; scale it up first: kubectl scale deployment {name} --replicas=N"
        ));
        return;
    }
    let available = deployment["status"]["availableReplicas"].as_i64().unwrap_or(0);
    let updated = deployment["status"]["updatedReplicas"].as_i64().unwrap_or(0);
    if available < wanted || updated < wanted {
        found.push(format!(
            "Deployment {name} has {available} of {wanted} pods available, {updated} of them new; wait for the end of its own rollout: kubectl rollout status deployment {name}"
        ));
    }
}

fn autoscalers(scene: &Scene, name: &str, found: &mut Vec<String>) {
    let deployment = text(&scene.deployment, "/metadata/name");
    for scaler in &scene.autoscalers {
        let target = &scaler["spec"]["scaleTargetRef"];
        if target["kind"] == "Deployment" && target["name"] == deployment {
            let own = text(scaler, "/metadata/name");
            let patch = format!(
                r#"{{"spec":{{"scaleTargetRef":{{"apiVersion":"sluice.dev/v1alpha1","kind":"Rollout","name":"{name}"}}}}}}"#
            );
            found.push(format!(
                "HorizontalPodAutoscaler {own} scales Deployment {deployment}, and would bring its pods back; aim it at the Rollout first: kubectl patch hpa {own} --type merge -p '{patch}'"
            ));
        }
    }
}

fn rollouts(scene: &Scene, name: &str, shape: &Shape, found: &mut Vec<String>) {
    let deployment = text(&scene.deployment, "/metadata/name");
    let ours = services_of(shape);
    for rollout in &scene.rollouts {
        let other = text(rollout, "/metadata/name");
        let reference = &rollout["spec"]["workloadRef"];
        if reference["kind"] == "Deployment" && reference["name"] == deployment {
            found.push(format!("Rollout {other} has Deployment {deployment} already; `kubectl sluice get rollout {other}` shows it"));
        } else if other == name {
            found.push(format!("there is a Rollout {name} already; choose another --name"));
        }
        for field in [
            "canary/stableService",
            "canary/canaryService",
            "blueGreen/activeService",
            "blueGreen/previewService",
        ] {
            let theirs = text(rollout, &format!("/spec/strategy/{field}"));
            if !theirs.is_empty() && ours.contains(&theirs) {
                found.push(format!(
                    "Service {theirs} belongs to Rollout {other}; a Service has one Rollout, so name another"
                ));
            }
        }
    }
}

fn services_of(shape: &Shape) -> Vec<&str> {
    match shape {
        Shape::Rolling => Vec::new(),
        Shape::Canary { services, .. } => services
            .iter()
            .flat_map(|(stable, canary)| [stable.as_str(), canary.as_str()])
            .collect(),
        Shape::BlueGreen { active, preview } => {
            std::iter::once(active.as_str()).chain(preview.as_deref()).collect()
        }
    }
}

fn services(scene: &Scene, chosen: &Chosen, found: &mut Vec<String>) {
    let deployment = text(&scene.deployment, "/metadata/name");
    for name in services_of(&chosen.shape) {
        let new = chosen.service.as_ref().filter(|service| service["metadata"]["name"] == name);
        let Some(service) = new.or_else(|| Scene::named(&scene.services, name)) else {
            found.push(format!(
                "Service {name} does not exist; create it with a selector that the pods match"
            ));
            continue;
        };
        if !selects(service, scene.labels()) {
            found.push(format!(
                "Service {name} selects {}, which the pods of Deployment {deployment} do not match ({})",
                service["spec"]["selector"],
                scene.labels()
            ));
        }
        for other in &scene.deployments {
            let labels = &other["spec"]["template"]["metadata"]["labels"];
            let theirs = text(other, "/metadata/name");
            if theirs != deployment && selects(service, labels) {
                found.push(format!(
                    "Service {name} selects the pods of Deployment {theirs} as well; give it a selector of its own, or {theirs} loses its traffic"
                ));
            }
        }
    }
}

/// The route that is to carry the weights.
fn routes(scene: &Scene, shape: &Shape, found: &mut Vec<String>) {
    let Shape::Canary {
        services: Some((stable, canary)), virtual_service: Some((name, _)), ..
    } = shape
    else {
        return;
    };
    let Some(object) = Scene::named(&scene.routes, name) else {
        found.push(format!("VirtualService {name} does not exist"));
        return;
    };
    let reference = VirtualServiceRef {
        name: name.clone(),
        namespace: None,
        routes: Vec::new(),
        tls_routes: Vec::new(),
        tcp_routes: Vec::new(),
    };
    let split = Split::Hosts { stable: stable.clone(), canary: canary.clone() };
    let target = RouteTarget {
        reference: &reference,
        split: &split,
        namespace: &scene.namespace,
        total: 100,
        managed: &[],
        former: &[],
    };
    if let Err(error) = virtual_service::weights(object, target) {
        found.push(format!("VirtualService {name}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::cli::adopt::{Flags, shape};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    /// A change of the scene, flags, and what is said.
    type Case = (fn(&mut Scene), &'static str, &'static str);

    fn deployment(name: &str) -> Value {
        json!({
            "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": name}}}},
            "status": {"availableReplicas": 3, "updatedReplicas": 3},
        })
    }

    fn service(name: &str, app: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": name},
               "spec": {"selector": {"app": app}, "ports": [{"port": 80, "nodePort": 30080}]}})
    }

    fn route(hosts: &[&str]) -> Value {
        let route: Vec<Value> =
            hosts.iter().map(|host| json!({"destination": {"host": host}})).collect();
        json!({"kind": "VirtualService", "metadata": {"name": "web", "namespace": "shop"},
               "spec": {"http": [{"route": route}]}})
    }

    fn scene() -> Scene {
        Scene {
            namespace: "shop".into(),
            deployment: deployment("web"),
            deployments: vec![deployment("web"), deployment("other")],
            services: vec![service("web", "web")],
            routes: Vec::new(),
            autoscalers: Vec::new(),
            rollouts: Vec::new(),
        }
    }

    /// What `adopt` says to a scene.
    fn said(scene: &Scene, line: &str) -> Result<Vec<String>, String> {
        let line = format!("x web {line}");
        let line = Line::try_parse_from(line.split_whitespace()).map_err(|e| e.to_string())?;
        let chosen = shape::choose(scene, &line.flags, None)?;
        Ok(obstacles(scene, "web", &chosen))
    }

    #[test]
    fn nothing_is_in_the_way_of_a_plain_deployment() {
        assert_eq!(said(&scene(), "").unwrap(), [""; 0]);
        assert_eq!(said(&scene(), "--strategy canary").unwrap(), [""; 0]);
        assert_eq!(said(&scene(), "--strategy blue-green").unwrap(), [""; 0]);
        let mut split = scene();
        split.routes.push(route(&["web", "web-canary"]));
        assert_eq!(said(&split, "--strategy canary").unwrap(), [""; 0]);
    }

    #[test]
    fn the_canary_service_is_made_like_the_stable_one() {
        let line = Line::try_parse_from(["x", "web", "--strategy", "canary"]).unwrap();
        let chosen = shape::choose(&scene(), &line.flags, None).unwrap();
        let made = chosen.service.unwrap();
        assert_eq!(made["metadata"]["name"], "web-canary");
        assert_eq!(made["spec"], json!({"selector": {"app": "web"}, "ports": [{"port": 80}]}));
    }

    #[test]
    fn what_is_in_the_way_is_said_with_the_next_step() {
        let rollout = |spec: Value| json!({"metadata": {"name": "old"}, "spec": spec});
        let aimed = json!({"kind": "Deployment", "name": "web"});
        let cases: [Case; 9] = [
            (
                |scene| {
                    scene.autoscalers.push(json!({"metadata": {"name": "h"},
                    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}));
                },
                "",
                "HorizontalPodAutoscaler h scales Deployment web",
            ),
            (
                |scene| scene.deployment["status"]["availableReplicas"] = json!(2),
                "",
                "2 of 3 pods available",
            ),
            (|scene| scene.deployment["spec"]["replicas"] = json!(0), "", "no pods to take over"),
            (|_| {}, "--strategy canary --stable-service no", "Service no does not exist"),
            (
                |scene| scene.services.push(service("odd", "other")),
                "--strategy canary --stable-service odd",
                "do not match",
            ),
            (
                |scene| {
                    scene.deployments[1] = {
                        let mut other = deployment("other");
                        other["spec"]["template"]["metadata"]["labels"] = json!({"app": "web"});
                        other
                    }
                },
                "--strategy canary",
                "selects the pods of Deployment other as well",
            ),
            (
                |_| {},
                "--strategy canary --virtual-service gone",
                "VirtualService gone does not exist",
            ),
            (
                |scene| scene.routes.push(route(&["elsewhere"])),
                "--strategy canary --virtual-service web",
                "no route has both destinations",
            ),
            (
                |scene| scene.deployment["metadata"]["deletionTimestamp"] = json!("now"),
                "",
                "is being deleted",
            ),
        ];
        for (change, line, sentence) in cases {
            let mut scene = scene();
            change(&mut scene);
            let found = said(&scene, line).unwrap().join("\n");
            assert!(found.contains(sentence), "{sentence}: {found}");
        }
        for (spec, sentence) in [
            (json!({"workloadRef": aimed}), "Rollout old has Deployment web already"),
            (json!({"strategy": {"canary": {"canaryService": "web"}}}), "belongs to Rollout old"),
        ] {
            let mut scene = scene();
            scene.rollouts.push(rollout(spec));
            let found = said(&scene, "--strategy canary").unwrap().join("\n");
            assert!(found.contains(sentence), "{sentence}: {found}");
        }
    }

    #[test]
    fn what_cannot_be_chosen_is_said_with_what_could() {
        let mut two = scene();
        two.services.push(service("web-internal", "web"));
        let error = said(&two, "--strategy canary").unwrap_err();
        assert!(error.contains("--stable-service with one of web, web-internal"), "{error}");
        let mut alone = scene();
        alone.routes.push(route(&["web"]));
        let error = said(&alone, "--strategy canary").unwrap_err();
        assert!(error.contains("leads to Service web alone"), "{error}");
        let error = said(&scene(), "--virtual-service web").unwrap_err();
        assert!(error.contains("belongs to --strategy canary"), "{error}");
    }
}

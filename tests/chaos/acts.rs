//! What people do.

use serde_json::{Value, json};
use sluice::{
    api::{COMMAND_ANNOTATION, Command, Verb},
    sim::{
        actors::Load,
        api::{Refusal, eviction, resource, store::Deletion, store::writer},
        scenario::expect::Objects,
        simulation::Simulation,
    },
};

use super::{case::What, cluster, play::Player};

/// Somebody applies an object.
pub fn apply(simulation: &mut Simulation, by: &str, object: &Value) -> Result<(), Refusal> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let resource = resource::of_kind(text("apiVersion"), text("kind"))
        .ok_or_else(|| Refusal::bad_request("no such kind"))?;
    simulation.apply(by, resource, "default", object)
}

/// Does it. What the API server refuses does not happen.
pub fn act(player: &mut Player, what: &What) {
    player.simulation.say("people", "act", &format!("{what:?}"));
    player.simulation.mark();
    match what {
        What::Nothing => {}
        What::Image(tag) => image(player, tag),
        What::Command(verb) => command(player, *verb),
        What::Steps(steps) => {
            let strategy = cluster::strategy(player.case, *steps);
            rollout(player, &json!({"spec": {"strategy": strategy}}));
        }
        What::Scale(replicas) => rollout(player, &json!({"spec": {"replicas": replicas}})),
        What::Paused(paused) => rollout(player, &json!({"spec": {"paused": paused}})),
        What::Weight(canary) => weight(player, *canary),
        What::GitOps => {
            let objects = player.objects.clone();
            let own = |kind: &Value| {
                ["Service", "VirtualService", "DestinationRule"].iter().any(|own| *kind == **own)
            };
            for object in objects.iter().filter(|object| own(&object["kind"])) {
                replace(player, object);
            }
        }
        What::SizeByHand(size) => {
            let Some(name) = set(player, false) else { return };
            let patch = json!({"spec": {"replicas": size}});
            edit(player, "ReplicaSet", &name, &patch);
        }
        What::DeletePods(count) => {
            for name in pods(player, *count) {
                player.delete("Pod", &name);
            }
        }
        What::Evict(count) => {
            for name in pods(player, *count) {
                // A budget may forbid it.
                let _ = evict(&mut player.simulation, name);
            }
        }
        What::Drain => player.drains = pods(player, usize::MAX).into_iter().step_by(2).collect(),
        What::Budget(missing) => {
            let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
                "metadata": {"name": "team"}, "spec": {"maxUnavailable": missing,
                    "selector": {"matchLabels": {"app": "web"}}}});
            let _ = apply(&mut player.simulation, "kubectl", &budget);
        }
        What::NoBudget => {
            player.delete("PodDisruptionBudget", "team");
        }
        What::DeleteSet { stable } => {
            if let Some(name) = set(player, *stable) {
                player.delete("ReplicaSet", &name);
            }
        }
        What::DeleteRollout => {
            player.delete("Rollout", "web");
        }
        What::Quota(pods) => {
            let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
                "metadata": {"name": "team"}, "spec": {"hard": {"pods": pods.to_string()}}});
            let _ = apply(&mut player.simulation, "kubectl", &quota);
        }
        What::NoQuota => {
            player.delete("ResourceQuota", "team");
        }
        What::Load(cpu) => {
            if player.case.autoscaled {
                player.simulation.set_load(Load { cpu: Some(*cpu), memory: None });
            }
        }
    }
}

/// Evicts a pod.
pub fn evict(simulation: &mut Simulation, name: String) -> Result<(), Refusal> {
    let key = ("default".to_owned(), name);
    eviction::evict(&mut simulation.store(), &writer("kubectl"), &key, Deletion::default())
}

/// Sets the image where the template is.
pub fn image(player: &mut Player, tag: &str) {
    let kind = if player.case.layout.is_adopted() { "Deployment" } else { "Rollout" };
    let Some(resource) = resource::named(kind) else { return };
    let image = json!(format!("web:{tag}"));
    // It may be gone.
    let _ = player.simulation.edit("kubectl", resource, "default", "web", |object| {
        if let Some(place) = object.pointer_mut("/spec/template/spec/containers/0/image") {
            *place = image;
        }
    });
}

/// Merges a patch over the Rollout, if it is there.
pub fn rollout(player: &mut Player, patch: &Value) {
    edit(player, "Rollout", "web", patch);
}

fn edit(player: &mut Player, kind: &str, name: &str, patch: &Value) {
    let Some(resource) = resource::named(kind) else { return };
    let merge = |object: &mut Value| json_patch::merge(object, patch);
    let _ = player.simulation.edit("gitops", resource, "default", name, merge);
}

/// Writes the spec of an object as it was at first.
fn replace(player: &mut Player, object: &Value) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let Some(resource) = resource::of_kind(text("apiVersion"), text("kind")) else { return };
    let spec = |present: &mut Value| {
        for (field, value) in object["spec"].as_object().into_iter().flatten() {
            present["spec"][field] = value.clone();
        }
    };
    let _ = player.simulation.edit("gitops", resource, "default", name, spec);
}

fn weight(player: &mut Player, canary: u64) {
    let set = |route: &mut Value| {
        let ends = route.pointer_mut("/spec/http").and_then(Value::as_array_mut);
        let last = ends.and_then(|http| http.last_mut());
        if let Some(last) = last {
            last["route"][0]["weight"] = json!(100 - canary);
            last["route"][1]["weight"] = json!(canary);
        }
    };
    let _ = player.simulation.edit("gitops", &resource::VIRTUAL_SERVICE, "default", "web", set);
}

/// Sends a command as the plugin does: only if none waits, but for an abort.
pub fn command(player: &mut Player, verb: Verb) {
    let (waiting, revision) = {
        let view = player.simulation.view("default");
        let rollout = view.get("Rollout", "web");
        let waiting = rollout["metadata"]["annotations"][COMMAND_ANNOTATION].is_string();
        let revision = rollout["status"]["currentRevision"].as_str().unwrap_or_default();
        (waiting, revision.to_owned())
    };
    if revision.is_empty() || waiting && verb != Verb::Abort {
        return;
    }
    player.commands += 1;
    let id = format!("c{}", player.commands);
    let command = Command { verb, revision, by: "ann".into(), id, reason: String::new() };
    let text = serde_json::to_string(&command).unwrap_or_default();
    rollout(player, &json!({"metadata": {"annotations": {COMMAND_ANNOTATION: text}}}));
}

/// The newest ReplicaSet of the Rollout, or the stable one.
fn set(player: &Player, stable: bool) -> Option<String> {
    let view = player.simulation.view("default");
    let field = if stable { "stableRevision" } else { "currentRevision" };
    let revision = view.get("Rollout", "web")["status"][field].as_str()?;
    let name = format!("web-{revision}");
    view.get("ReplicaSet", &name).is_object().then_some(name)
}

/// Some pods, the last by name.
fn pods(player: &Player, count: usize) -> Vec<String> {
    let view = player.simulation.view("default");
    let name = |pod: &Value| pod["metadata"]["name"].as_str().map(str::to_owned);
    let names = view.all("Pod").into_iter().rev().filter_map(name);
    names.filter(|name| name.starts_with("web-")).take(count).collect()
}

//! A pod's status, as the kubelet writes it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    super::object::{Condition, set_condition},
    life::{Life, Stage, back_off},
};
use crate::sim::api::store::second;

const NODE_ADDRESS: &str = "192.0.2.10";

/// What the pod's status should be. Conditions of others, and the transition times of conditions
/// that hold on, are kept.
pub fn of(life: &Life, pod: &Value, ready: bool, now: Timestamp) -> Value {
    let mut status = pod["status"].clone();
    let phase = phase(life);
    status["phase"] = json!(phase);
    status["startTime"] = json!(second(life.bound));
    status["hostIP"] = json!(NODE_ADDRESS);
    status["hostIPs"] = json!([{"ip": NODE_ADDRESS}]);
    status["podIP"] = json!(life.ip);
    status["podIPs"] = json!([{"ip": life.ip}]);
    let generation = &pod["metadata"]["generation"];
    if !generation.is_null() {
        status["observedGeneration"] = generation.clone();
    }
    let containers = pod["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice);
    status["containerStatuses"] =
        containers.iter().map(|each| container(life, pod, each, ready)).collect();
    let names: Vec<&str> = containers.iter().filter_map(|each| each["name"].as_str()).collect();
    let waiting = format!("containers with unready status: [{}]", names.join(" "));
    let (reason, message) = match phase {
        _ if ready => ("", ""),
        "Succeeded" => ("PodCompleted", ""),
        "Failed" => ("PodFailed", ""),
        _ => ("ContainersNotReady", waiting.as_str()),
    };
    let initialized = Condition { kind: "Initialized", holds: true, reason: "", message: "" };
    set_condition(&mut status, &initialized, now);
    for kind in ["ContainersReady", "Ready"] {
        set_condition(&mut status, &Condition { kind, holds: ready, reason, message }, now);
    }
    status
}

fn phase(life: &Life) -> &'static str {
    match life.stage {
        Stage::Starting | Stage::PullBackOff => "Pending",
        Stage::Running | Stage::CrashBackOff => "Running",
        Stage::Ended if life.exit_code == 0 => "Succeeded",
        Stage::Ended => "Failed",
    }
}

fn container(life: &Life, pod: &Value, container: &Value, ready: bool) -> Value {
    let image = container["image"].as_str().unwrap_or_default();
    let mut last = json!({});
    if life.crashes > 0 {
        last = json!({"terminated": terminated(life)});
    }
    let state = match life.stage {
        Stage::Starting => json!({"waiting": {"reason": "ContainerCreating"}}),
        Stage::PullBackOff => json!({"waiting": {
            "reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{image}\": ErrImagePull: manifest unknown"),
        }}),
        Stage::Running => json!({"running": {"startedAt": second(life.ran)}}),
        Stage::CrashBackOff => json!({"waiting": {
            "reason": "CrashLoopBackOff",
            "message": format!(
                "back-off {}s restarting failed container={} pod={}_{}({})",
                back_off(life.crashes),
                container["name"].as_str().unwrap_or_default(),
                pod["metadata"]["name"].as_str().unwrap_or_default(),
                pod["metadata"]["namespace"].as_str().unwrap_or_default(),
                life.uid,
            ),
        }}),
        Stage::Ended => json!({"terminated": terminated(life)}),
    };
    json!({
        "name": container["name"], "image": image,
        "imageID": if life.stage > Stage::PullBackOff { image } else { "" },
        "ready": ready, "started": life.stage == Stage::Running,
        "restartCount": life.crashes, "state": state, "lastState": last,
    })
}

fn terminated(life: &Life) -> Value {
    json!({
        "reason": if life.exit_code == 0 { "Completed" } else { "Error" },
        "exitCode": life.exit_code,
        "startedAt": second(life.ran), "finishedAt": second(life.finished),
    })
}

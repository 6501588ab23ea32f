//! A pod in a few words: its state as kubectl prints it, and what is wrong. Pure.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::{
    style::Paint,
    table::{Cell, cut},
};

/// The longest explanation that is shown of a pod.
const REASON_WIDTH: usize = 100;

/// A pod in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLine {
    /// `Running`, `CrashLoopBackOff`, `Pending`, …
    pub state: Cell,
    /// Ready containers of all: `1/2`.
    pub ready: String,
    /// Whether the pod is ready.
    pub is_ready: bool,
    /// Restarts and what is wrong.
    pub info: String,
}

/// The pod in a few words.
pub fn describe(pod: &Pod) -> PodLine {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let containers = status.container_statuses.as_deref().unwrap_or(&[]);
    let wanted = pod.spec.as_ref().map_or(containers.len(), |spec| spec.containers.len());
    let ready = containers.iter().filter(|container| container.ready).count();
    let is_ready = condition(status, "Ready").is_some_and(|(status, _)| status == "True");
    let restarts: i32 = containers.iter().map(|container| container.restart_count).sum();

    let trouble = trouble(status);
    let (state, paint) = if pod.metadata.deletion_timestamp.is_some() {
        ("Terminating".to_owned(), Paint::Dim)
    } else if let Some(trouble) = &trouble {
        (trouble.word.clone(), trouble.paint)
    } else {
        let phase = status.phase.clone().unwrap_or_else(|| "Unknown".to_owned());
        match (phase.as_str(), is_ready) {
            ("Running", false) => ("NotReady".to_owned(), Paint::Wait),
            ("Running" | "Succeeded", _) => (phase, Paint::Good),
            ("Failed", _) => (phase, Paint::Bad),
            _ => (phase, Paint::Busy),
        }
    };
    let mut info = Vec::new();
    if restarts > 0 {
        info.push(format!("{restarts} restart{}", if restarts == 1 { "" } else { "s" }));
    }
    if let Some(code) = containers.iter().find_map(last_exit) {
        info.push(format!("last exit {code}"));
    }
    if let Some(said) = trouble.map(|trouble| trouble.said).filter(|said| !said.is_empty()) {
        info.push(cut(&said, REASON_WIDTH));
    }
    PodLine {
        state: Cell::new(paint, state),
        ready: format!("{ready}/{wanted}"),
        is_ready,
        info: info.join(", "),
    }
}

/// Why a pod does not run as it should.
struct Trouble {
    word: String,
    paint: Paint,
    said: String,
}

fn trouble(status: &PodStatus) -> Option<Trouble> {
    let init = status.init_container_statuses.as_deref().unwrap_or(&[]);
    let main = status.container_statuses.as_deref().unwrap_or(&[]);
    let first = init
        .iter()
        .find_map(|container| of_container(container, "Init:"))
        .or_else(|| main.iter().find_map(|container| of_container(container, "")));
    first.or_else(|| {
        let reason = status.reason.clone().map(|word| Trouble {
            word,
            paint: Paint::Bad,
            said: status.message.clone().unwrap_or_default(),
        });
        reason.or_else(|| unscheduled(status))
    })
}

fn of_container(container: &ContainerStatus, prefix: &str) -> Option<Trouble> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.clone().unwrap_or_else(|| "Waiting".to_owned());
        let starting = matches!(reason.as_str(), "ContainerCreating" | "PodInitializing");
        if starting && !prefix.is_empty() {
            return None;
        }
        return Some(Trouble {
            word: format!("{prefix}{reason}"),
            paint: if starting { Paint::Busy } else { Paint::Bad },
            said: waiting.message.clone().unwrap_or_default(),
        });
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some(Trouble {
        word: format!("{prefix}{}", ended.reason.as_deref().unwrap_or("Error")),
        paint: Paint::Bad,
        said: ended.message.clone().unwrap_or_default(),
    })
}

fn unscheduled(status: &PodStatus) -> Option<Trouble> {
    let (scheduled, said) = condition(status, "PodScheduled")?;
    (scheduled == "False").then(|| Trouble {
        word: "Unschedulable".to_owned(),
        paint: Paint::Bad,
        said: said.to_owned(),
    })
}

fn last_exit(container: &ContainerStatus) -> Option<String> {
    let now = container.state.as_ref().and_then(|state| state.terminated.as_ref());
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let ended = now.or(before).filter(|ended| ended.exit_code != 0)?;
    let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
    Some(reason.map_or_else(
        || ended.exit_code.to_string(),
        |reason| format!("{} ({reason})", ended.exit_code),
    ))
}

fn condition<'a>(status: &'a PodStatus, wanted: &str) -> Option<(&'a str, &'a str)> {
    let conditions = status.conditions.as_deref().unwrap_or(&[]);
    let found = conditions.iter().find(|condition| condition.type_ == wanted)?;
    Some((&found.status, found.message.as_deref().unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(status: &Value) -> String {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy"}]},
            "status": status,
        }))
        .unwrap();
        let line = describe(&pod);
        format!("{} {} {}", line.state.text, line.ready, line.info).trim_end().to_owned()
    }

    fn container(ready: bool, restarts: i32, state: &Value, last: &Value) -> Value {
        json!({"name": "app", "image": "i", "imageID": "", "ready": ready, "restartCount": restarts, "state": state, "lastState": last})
    }

    #[test]
    fn pods_say_what_is_wrong() {
        let (running, none) = (json!({"running": {}}), json!({}));
        let crash = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}});
        let exit = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        for (status, text) in [
            (
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [container(true, 0, &running, &none)]}),
                "Running 1/2",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [container(false, 1, &running, &none)]}),
                "NotReady 0/2 1 restart",
            ),
            (
                json!({"phase": "Running", "containerStatuses": [container(false, 7, &crash, &exit)]}),
                "CrashLoopBackOff 0/2 7 restarts, last exit 137 (OOMKilled), back-off 40s",
            ),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}),
                "Unschedulable 0/2 0/3 nodes are available",
            ),
            (
                json!({"phase": "Pending", "initContainerStatuses": [container(false, 0, &json!({"waiting": {"reason": "ImagePullBackOff"}}), &none)]}),
                "Init:ImagePullBackOff 0/2",
            ),
            (json!({"phase": "Failed", "reason": "Evicted"}), "Evicted 0/2"),
            (json!({"phase": "Pending"}), "Pending 0/2"),
        ] {
            assert_eq!(line(&status), text);
        }
    }
}

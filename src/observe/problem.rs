//! Why a pod is not ready, or cannot be created, in one line: from what the kubelet and the API server
//! say.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};

/// The longest text that is taken over: one line of status, not a log.
const LONGEST: usize = 200;

/// Why a pod is not ready, if the kubelet says; none for a pod that is ready.
pub(super) fn of_pod(status: &PodStatus) -> Option<String> {
    let false_condition = |kind: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.find(|c| c.type_ == kind && c.status == "False")
    };
    if status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True") {
        return None;
    }
    let inits = status.init_container_statuses.iter().flatten();
    let inits = inits.filter(|c| !c.ready).map(|container| (container, true));
    let others = status.container_statuses.iter().flatten();
    let others = others.filter(|c| !c.ready).map(|container| (container, false));
    let containers: Vec<_> = inits.chain(others).collect();
    let named = |(container, init): &(&ContainerStatus, bool), text: String| {
        if *init { format!("init container {}: {text}", container.name) } else { text }
    };
    let waiting = containers.iter().find_map(|at| Some(named(at, waiting(at.0)?)));
    let crash = || containers.iter().find_map(|at| Some(named(at, crash(at.0)?)));
    // Scheduled, but its init containers have not all ended; running, but its probe does not pass.
    let running = status.phase.as_deref() == Some("Running");
    let condition = || {
        let unscheduled = false_condition("PodScheduled");
        let uninitialized = || false_condition("Initialized");
        let unready = || false_condition("Ready").filter(|_| running);
        unscheduled.or_else(uninitialized).or_else(unready).map(of_condition)
    };
    waiting.or_else(crash).or_else(condition)
}

fn of_condition(condition: &PodCondition) -> String {
    sentence(condition.reason.as_deref(), condition.message.as_deref())
}

/// What a container waits for, unless it is only on its way.
fn waiting(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref();
    let on_its_way = matches!(reason, None | Some("ContainerCreating" | "PodInitializing"));
    (!on_its_way).then(|| sentence(reason, waiting.message.as_deref()))
}

/// How a container ended; or last ended, that was restarted since and may run just now.
fn crash(container: &ContainerStatus) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    let (reason, code) = (ended.reason.as_deref().unwrap_or("Error"), ended.exit_code);
    Some(format!("{reason}: ended with exit code {code}, restarts: {}", container.restart_count))
}

/// Why a pod cannot be created, from the ReplicaSet controller's message: without the pod's name, which
/// is another at each try, and with the object that is in the way.
pub(super) fn of_creation(message: &str) -> String {
    let forbidden =
        message.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" is forbidden: "));
    let why = forbidden.map_or(message, |(_, why)| why);
    let text = exceeded_quota(why).unwrap_or_else(|| {
        if let Some(rest) = why.strip_prefix("failed quota: ") {
            format!("ResourceQuota {rest}")
        } else if ["maximum ", "minimum "]
            .iter()
            .any(|b| why.trim_start_matches('[').starts_with(b))
        {
            format!("LimitRange: {why}")
        } else {
            why.to_owned()
        }
    });
    text.chars().take(LONGEST).collect()
}

/// `exceeded quota: NAME, requested: A, used: B, limited: C`
fn exceeded_quota(why: &str) -> Option<String> {
    let (name, rest) = why.strip_prefix("exceeded quota: ")?.split_once(", requested: ")?;
    let (requested, rest) = rest.split_once(", used: ")?;
    let (used, limited) = rest.split_once(", limited: ")?;
    Some(format!(
        "ResourceQuota {name} has no room: requested {requested}, used {used}, limit {limited}"
    ))
}

fn sentence(reason: Option<&str>, message: Option<&str>) -> String {
    let message = message.filter(|message| !message.is_empty());
    let text = [reason, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problem(status: &Value) -> Option<String> {
        of_pod(&serde_json::from_value(status.clone()).unwrap())
    }

    fn container(name: &str, state: &Value) -> Value {
        json!({"name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 2,
               "state": state})
    }

    #[test]
    fn a_failing_init_container_is_named() {
        let backoff = json!({"waiting": {
            "reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container",
        }});
        let app = container("app", &json!({"waiting": {"reason": "PodInitializing"}}));
        let status = json!({
            "phase": "Pending",
            "initContainerStatuses": [container("migrate", &backoff)],
            "containerStatuses": [app],
        });
        let said =
            "init container migrate: CrashLoopBackOff: back-off 20s restarting failed container";
        assert_eq!(problem(&status).as_deref(), Some(said));
        let mut again = container("migrate", &json!({"running": {}}));
        again["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        let status = json!({"phase": "Pending", "initContainerStatuses": [again]});
        let said = "init container migrate: Error: ended with exit code 1, restarts: 2";
        assert_eq!(problem(&status).as_deref(), Some(said));
    }

    #[test]
    fn an_init_container_that_still_runs_is_what_the_pod_waits_for() {
        let status = json!({
            "phase": "Pending",
            "conditions": [
                {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized",
                 "message": "containers with incomplete status: [migrate]"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotInitialized"},
            ],
            "initContainerStatuses": [container("migrate", &json!({"running": {}}))],
        });
        let said = "ContainersNotInitialized: containers with incomplete status: [migrate]";
        assert_eq!(problem(&status).as_deref(), Some(said));
    }

    #[test]
    fn a_native_sidecar_that_is_not_ready_is_named_by_the_condition() {
        let mut sidecar = container("istio-proxy", &json!({"running": {}}));
        sidecar["started"] = json!(true);
        let status = json!({
            "phase": "Running",
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady",
                 "message": "containers with unready status: [istio-proxy]"},
            ],
            "initContainerStatuses": [sidecar],
        });
        let said = "ContainersNotReady: containers with unready status: [istio-proxy]";
        assert_eq!(problem(&status).as_deref(), Some(said));
    }

    #[test]
    fn what_forbids_a_pod_is_said_without_the_pods_name() {
        for (message, said) in [
            (
                "pods \"web-5f-x7k2p\" is forbidden: exceeded quota: team, requested: pods=1, used: pods=4, limited: pods=4",
                "ResourceQuota team has no room: requested pods=1, used pods=4, limit pods=4",
            ),
            (
                "pods \"web-5f-x7k2p\" is forbidden: failed quota: team: must specify limits.cpu for: web",
                "ResourceQuota team: must specify limits.cpu for: web",
            ),
            (
                "pods \"web-5f-x7k2p\" is forbidden: maximum cpu usage per Container is 500m, but limit is 1",
                "LimitRange: maximum cpu usage per Container is 500m, but limit is 1",
            ),
            (
                "pods \"web-5f-x7k2p\" is forbidden: [minimum memory usage per Container is 1Gi, but request is 1, maximum cpu usage per Pod is 1, but limit is 2]",
                "LimitRange: [minimum memory usage per Container is 1Gi, but request is 1, maximum cpu usage per Pod is 1, but limit is 2]",
            ),
            (
                "pods \"web-5f-x7k2p\" is forbidden: no PriorityClass with name gold was found",
                "no PriorityClass with name gold was found",
            ),
            (
                "admission webhook \"policy\" denied the request: no",
                "admission webhook \"policy\" denied the request: no",
            ),
        ] {
            assert_eq!(of_creation(message), said);
        }
    }
}

//! The objects of a case, and what can be said of them at rest.

use serde_json::{Value, json};
use sluice::sim::{
    scenario::{Bases, Scenario, expect::Objects},
    simulation::Simulation,
};

use super::case::{Case, Layout};

macro_rules! bases {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../scenarios/bases/", $name, ".yaml")))),*]
    };
}

const BASES: [(&str, &str); 9] = bases!(
    "host-split",
    "subset-split",
    "blue-green",
    "blue-green-hosts",
    "rolling",
    "by-pods",
    "adopt-host-split",
    "adopt-rolling",
    "success-rate"
);

/// The scenario of a case: settings of pods and users. Its objects are [`objects`].
pub fn scenario(case: &Case) -> Scenario {
    let mut given = vec![case.layout.base()];
    if case.judged {
        given.push("success-rate");
    }
    let mut scenario = json!({
        "claim": "chaos",
        "given": given,
        "rollout": {"spec": spec(case)},
        "versions": {
            "web:never": {"neverReady": true},
            "web:crash": {"crashAfter": "8s"},
            "web:slow": {"startup": "12s"},
            "web:bad": {"errors": "30%"},
        },
        "steps": [{"wait": "1s"}],
    });
    if case.users {
        let services = if case.layout.has_route() { json!([]) } else { json!(["web"]) };
        scenario["traffic"] =
            json!({"requestsPerMinute": 300, "errors": "0%", "services": services});
    }
    if case.autoscaled {
        scenario["load"] = json!({"cpu": 100});
        scenario["objects"] = json!([{
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "name": "web"},
                "minReplicas": 1, "maxReplicas": 8,
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
                }}],
            },
        }]);
    }
    serde_json::from_value(scenario).expect("a scenario")
}

/// The objects at the beginning, the Rollout last.
pub fn objects(scenario: &Scenario) -> Vec<Value> {
    let mut bases = Bases::default();
    for (name, text) in BASES {
        bases.add(name, text).expect("a base");
    }
    let mut objects = scenario.objects(&bases).expect("objects");
    for object in &mut objects {
        if object["kind"] == "VirtualService" {
            others_in_route(object);
        }
        if object["kind"] == "DestinationRule" {
            object["spec"]["subsets"].as_array_mut().expect("subsets").insert(
                0,
                json!({"name": "legacy", "labels": {"app": "legacy"}, "futureField": [1]}),
            );
        }
        let pointer = "/spec/template/spec/containers/0";
        if let Some(container) = object.pointer_mut(pointer) {
            container["resources"] = json!({"requests": {"cpu": "100m"}});
        }
    }
    objects
}

/// What belongs to others stays as it is.
fn others_in_route(object: &mut Value) {
    object["spec"]["futureField"] = json!({"of": "Istio"});
    let http = object["spec"]["http"].as_array_mut().expect("routes");
    http[0]["retries"] = json!({"attempts": 2, "futureField": true});
    http[0]["headers"] = json!({"response": {"set": {"x-shop": "1"}}});
    http.insert(
        0,
        json!({
            "name": "legacy", "match": [{"headers": {"x-legacy": {"exact": "1"}}}],
            "route": [
                {"destination": {"host": "legacy"}, "weight": 70},
                {"destination": {"host": "older"}, "weight": 30},
            ],
        }),
    );
}

fn spec(case: &Case) -> Value {
    let mut spec = json!({"replicas": case.replicas, "paused": false});
    spec["strategy"] = strategy(case, case.steps);
    if matches!(case.layout, Layout::Hosts | Layout::Subsets | Layout::AdoptHosts) {
        let canary = &mut spec["strategy"]["canary"];
        canary["traffic"] = json!({"managedRoutes": [{"name": "testers"}, {"name": "copies"}]});
        if case.dynamic {
            canary["dynamicStableScale"] = json!(true);
        }
        if case.judged {
            canary["analysis"] = json!({"templates": [{"templateName": "success-rate"}]});
        }
    }
    spec
}

fn smoke() -> Value {
    json!({"template": {"spec": {"restartPolicy": "Never", "containers": [
        {"name": "smoke", "image": "busybox:1"},
    ]}}})
}

/// The part of the strategy that tells a story, as a patch.
pub fn strategy(case: &Case, steps: usize) -> Value {
    let inline = json!({"metrics": [{"name": "smoke", "provider": {"job": {"spec": smoke()}}}]});
    match case.layout {
        Layout::Rolling | Layout::AdoptRolling => json!({"rolling": match steps {
            0 => json!({}),
            1 => json!({"maxSurge": 1, "maxUnavailable": 0}),
            2 => json!({"maxSurge": 0, "maxUnavailable": 1}),
            _ => json!({"maxSurge": "50%", "maxUnavailable": "50%"}),
        }}),
        Layout::BlueGreen | Layout::BlueGreenHosts => json!({"blueGreen": match steps {
            0 | 1 => json!({"autoPromotionEnabled": false}),
            2 => json!({"autoPromotionAfter": "20s"}),
            3 => json!({"prePromotionAnalysis": inline}),
            4 => json!({"postPromotionAnalysis": inline, "previewReplicaCount": 1}),
            5 => json!({"scaleDownDelay": "40s", "autoPromotionEnabled": false}),
            _ => json!({}),
        }}),
        _ => json!({"canary": {"steps": canary(case.layout == Layout::ByPods, steps)}}),
    }
}

fn canary(by_pods: bool, steps: usize) -> Value {
    let testers = json!({"name": "testers", "match": [
        {"headerName": "x-canary", "headerValue": {"exact": "true"}},
    ]});
    let copies = json!({"name": "copies", "percentage": 20, "match": [{"path": {"prefix": "/"}}]});
    match steps {
        1 => json!([
            {"setWeight": 10}, {"pause": {"duration": "20s"}}, {"setWeight": 50},
            {"pause": {"duration": "20s"}}, {"setWeight": 100},
        ]),
        2 if !by_pods => json!([
            {"setCanaryScale": {"replicas": 1}}, {"job": {"spec": smoke()}},
            {"setCanaryScale": {"matchTrafficWeight": true}}, {"setWeight": 30}, {"pause": {}},
        ]),
        3 if !by_pods => json!([
            {"setHeaderRoute": testers}, {"pause": {"duration": "15s"}}, {"setWeight": 40},
            {"pause": {}}, {"setHeaderRoute": {"name": "testers"}}, {"setWeight": 80},
            {"pause": {"duration": "10s"}},
        ]),
        4 if !by_pods => json!([
            {"setWeight": 25}, {"setMirrorRoute": copies}, {"pause": {}}, {"setWeight": 75},
            {"pause": {"duration": "5s"}}, {"setMirrorRoute": {"name": "copies"}},
        ]),
        5 => json!([]),
        6 => json!([
            {"setWeight": 50}, {"job": {"spec": smoke()}}, {"pause": {}}, {"setWeight": 100},
        ]),
        _ => json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]),
    }
}

/// What a person would say of the cluster, with images for revisions and without times.
pub fn normal(simulation: &Simulation) -> Value {
    let view = simulation.view("default");
    let image = |revision: &Value| {
        let set = view.all("ReplicaSet").into_iter().find(|set| {
            !revision.is_null() && set["metadata"]["labels"]["sluice.dev/revision"] == *revision
        });
        set.map_or_else(
            || revision.clone(),
            |set| set["spec"]["template"]["spec"]["containers"][0]["image"].clone(),
        )
    };
    let rollout = view.get("Rollout", "web");
    let status = &rollout["status"];
    let mut sizes = json!({});
    for set in view.all("ReplicaSet") {
        let name = set["metadata"]["name"].as_str().unwrap_or_default();
        let owner = &set["metadata"]["ownerReferences"][0]["kind"];
        if set["spec"]["replicas"] != 0 && *owner == "Rollout" {
            sizes[name] = json!([
                image(&set["metadata"]["labels"]["sluice.dev/revision"]),
                set["spec"]["replicas"],
                set["status"]["readyReplicas"]
            ]);
        }
    }
    let mut selects = json!({});
    for service in view.all("Service") {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        selects[name] = image(&service["spec"]["selector"]["sluice.dev/revision"]);
    }
    let subsets = view.get("DestinationRule", "web")["spec"]["subsets"].as_array();
    for subset in subsets.into_iter().flatten().filter(|subset| is_no_rivals(subset)) {
        let name = format!("subset {}", subset["name"]);
        selects[name.as_str()] = image(&subset["labels"]["sluice.dev/revision"]);
    }
    let routes = view.get("VirtualService", "web")["spec"]["http"].as_array();
    let routes = routes.map(|all| all.iter().filter(|one| is_no_rivals(one)).collect::<Vec<_>>());
    let history = status["history"].as_array().into_iter().flatten();
    let history: Vec<Value> =
        history.map(|one| json!([one["images"], one["outcome"], one["attempt"]])).collect();
    json!({
        "phase": status["phase"],
        "stable": image(&status["stableRevision"]),
        "current": image(&status["currentRevision"]),
        "step": status["step"]["index"],
        "abort": status["abort"]["cause"],
        "held": status["held"],
        "routes": routes,
        "sizes": sizes,
        "selects": selects,
        "history": history,
        "deployment": view.get("Deployment", "web")["spec"]["replicas"],
        "command": rollout["metadata"]["annotations"]["sluice.dev/command"],
        "finalizers": rollout["metadata"]["finalizers"],
    })
}

/// Whether a route or a subset is there with or without [`How::Rival`](super::case::How::Rival).
fn is_no_rivals(one: &Value) -> bool {
    one["name"] != "rival"
}

/// What the status says at rest of its pods that is not so.
pub fn untold(simulation: &Simulation) -> Option<String> {
    let view = simulation.view("default");
    let rollout = view.get("Rollout", "web");
    let status = &rollout["status"];
    if status["phase"].is_null() {
        return None;
    }
    let sets = view.all("ReplicaSet").into_iter();
    let sets: Vec<&Value> =
        sets.filter(|set| set["metadata"]["ownerReferences"][0]["kind"] == "Rollout").collect();
    let of_ours = |pod: &&Value| {
        let owner = &pod["metadata"]["ownerReferences"][0]["uid"];
        sets.iter().any(|set| set["metadata"]["uid"] == *owner)
            && pod["metadata"]["deletionTimestamp"].is_null()
    };
    let is_ready = |pod: &&Value| {
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let ready = view.all("Pod").into_iter().filter(of_ours).filter(is_ready).count();
    let current = sets
        .iter()
        .find(|set| set["metadata"]["labels"]["sluice.dev/revision"] == status["currentRevision"]);
    let updated = current.map_or_else(|| json!(0), |set| set["spec"]["replicas"].clone());
    for (field, found) in [
        ("readyReplicas", json!(ready)),
        ("availableReplicas", json!(ready)),
        ("updatedReplicas", updated),
    ] {
        let said = if status[field].is_null() { json!(0) } else { status[field].clone() };
        if said != found {
            return Some(format!("the status says {field} {said}, and there are {found}"));
        }
    }
    None
}

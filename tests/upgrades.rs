//! What an earlier version of Sluice left in etcd goes on under this one: no revision is made anew,
//! no release starts or starts again, and one in mid-release comes to its end.
//!
//! `tests/upgrades/VERSION` holds clusters in mid-release as that version wrote them.
//! `SLUICE_RECORD=1 cargo test --test upgrades` writes those of the present version; those of an
//! earlier one are never written again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    plan::FIELD_MANAGER,
    sim::{
        actors,
        api::{Resource, resource},
        mesh,
        simulation::Simulation,
    },
};

/// The namespace of all that is recorded.
const NAMESPACE: &str = "default";

/// What is in a recorded cluster, in an order in which owners come first.
const KINDS: [&Resource; 13] = [
    &resource::DEPLOYMENT,
    &resource::ROLLOUT,
    &resource::REPLICA_SET,
    &resource::POD,
    &resource::SERVICE,
    &resource::ENDPOINT_SLICE,
    &resource::VIRTUAL_SERVICE,
    &resource::DESTINATION_RULE,
    &resource::ANALYSIS_TEMPLATE,
    &resource::ANALYSIS_RUN,
    &resource::JOB,
    &resource::AUTOSCALER,
    &resource::DISRUPTION_BUDGET,
];

/// A cluster in mid-release: the objects that it begins with, what is merged over the Rollout, and
/// what is asked of the release.
struct Moment {
    name: &'static str,
    base: &'static str,
    strategy: Value,
    commands: &'static [&'static str],
}

fn moments() -> Vec<Moment> {
    let moment = |name, base, strategy, commands| Moment { name, base, strategy, commands };
    let judged = json!({"canary": {"analysis": {"templates": [{"templateName": "success-rate"}]}}});
    let testers = json!({"canary": {
        "traffic": {"managedRoutes": [{"name": "testers"}]},
        "steps": [
            {"setCanaryScale": {"weight": 25}},
            {"setHeaderRoute": {"name": "testers", "match": [{"headerName": "x", "headerValue": {"exact": "y"}}]}},
            {"pause": {}},
        ],
    }});
    let by_hand = json!({"blueGreen": {"autoPromotionEnabled": false}});
    vec![
        moment("canary-by-hosts", "host-split", json!({}), &[]),
        moment("canary-by-subsets", "subset-split", json!({}), &["promote"]),
        moment("canary-judged", "host-split", judged, &[]),
        moment("canary-with-testers", "host-split", testers, &[]),
        moment("canary-by-pods", "by-pods", json!({}), &[]),
        moment("canary-aborted", "host-split", json!({}), &["abort"]),
        moment("canary-of-a-deployment", "adopt-host-split", json!({}), &[]),
        moment("blue-green-before-the-switch", "blue-green", by_hand.clone(), &[]),
        moment("blue-green-by-routes", "blue-green-hosts", by_hand, &[]),
        moment("rolling-paused", "rolling", json!({"rolling": {"maxSurge": 1}}), &["pause"]),
    ]
}

#[test]
fn what_an_earlier_version_left_goes_on() {
    if std::env::var_os("SLUICE_RECORD").is_some() {
        record();
    }
    let mut versions = 0;
    for version in fs::read_dir(folder()).unwrap().flatten() {
        let mut files: Vec<PathBuf> =
            fs::read_dir(version.path()).unwrap().flatten().map(|file| file.path()).collect();
        files.sort();
        assert_eq!(files.len(), moments().len(), "{}", version.path().display());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            on_runtime(go_on(&file.display().to_string(), &serde_json::from_str(&text).unwrap()));
        }
        versions += 1;
    }
    assert!(versions > 0);
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades")
}

fn on_runtime(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(body);
}

/// Writes the clusters of the present version.
fn record() {
    let folder = folder().join(format!("v{}", env!("CARGO_PKG_VERSION")));
    fs::create_dir_all(&folder).unwrap();
    for moment in moments() {
        on_runtime(async {
            let cluster = serde_json::to_string_pretty(&reach(&moment).await).unwrap();
            fs::write(folder.join(format!("{}.json", moment.name)), cluster + "\n").unwrap();
        });
    }
}

/// Plays a release up to its moment. Returns the time, and all objects.
async fn reach(moment: &Moment) -> Value {
    let mut simulation = cluster();
    simulation.start_controller().await;
    let mut objects = Vec::new();
    for base in [moment.base, "success-rate"] {
        let text = fs::read_to_string(format!("tests/scenarios/bases/{base}.yaml")).unwrap();
        objects.extend(text.split("\n---\n").map(|text| serde_yaml::from_str(text).unwrap()));
    }
    // A Deployment is in use before a Rollout names it.
    objects.sort_by_key(|object: &Value| object["kind"] == "Rollout");
    for mut object in objects {
        if object["kind"] == "Rollout" {
            json_patch::merge(&mut object["spec"]["strategy"], &moment.strategy);
            object["spec"]["paused"] = json!(false);
            pass(&mut simulation, 60).await;
        }
        let of = |field: &str| object[field].as_str().unwrap();
        let resource = resource::of_kind(of("apiVersion"), of("kind")).unwrap();
        simulation.apply("kubectl", resource, NAMESPACE, &object).unwrap();
    }
    pass(&mut simulation, 60).await;
    let own = !rollout(&simulation)["spec"]["template"].is_null();
    let template = if own { &resource::ROLLOUT } else { &resource::DEPLOYMENT };
    let image = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("web:2");
    };
    simulation.edit("kubectl", template, NAMESPACE, "web", image).unwrap();
    pass(&mut simulation, if moment.commands == ["pause"] { 0 } else { 10 }).await;
    for verb in moment.commands {
        command(&mut simulation, verb);
        pass(&mut simulation, 20).await;
    }
    let now = simulation.now();
    let store = simulation.store();
    let objects = KINDS.iter().flat_map(|kind| store.list(kind, Some(NAMESPACE)));
    let objects: Vec<&Value> = objects.map(|(_, object)| &**object).collect();
    json!({"now": now.to_string(), "objects": objects})
}

/// Puts a recorded cluster under this version and lets the release come to its end.
async fn go_on(file: &str, recorded: &Value) {
    let mut simulation = cluster();
    let now: Timestamp = recorded["now"].as_str().unwrap().parse().unwrap();
    simulation.run_until(now).await;
    for object in recorded["objects"].as_array().unwrap() {
        let of = |field: &str| object[field].as_str().unwrap();
        let resource = resource::of_kind(of("apiVersion"), of("kind")).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        simulation.plant(resource, NAMESPACE, name, object.clone());
    }
    let before = rollout(&simulation);
    let sets = replica_sets(&simulation);
    simulation.start_controller().await;
    simulation.settle().await;
    pass(&mut simulation, 2).await;
    let after = rollout(&simulation);
    for field in ["currentRevision", "stableRevision", "revision", "attempt", "step", "abort"] {
        assert_eq!(after["status"][field], before["status"][field], "{file}: {field}\n{after:#}");
    }
    assert_eq!(replica_sets(&simulation), sets, "{file}");

    // What held it ends, and it goes to its end.
    let verb = if before["status"]["abort"].is_null() { "promoteFull" } else { "retry" };
    for verb in [verb, "resume", "promoteFull"] {
        let healthy = rollout(&simulation)["status"]["phase"] == "Healthy";
        if !healthy {
            command(&mut simulation, verb);
            pass(&mut simulation, 60).await;
        }
    }
    pass(&mut simulation, 120).await;
    let end = rollout(&simulation);
    assert_eq!(end["status"]["phase"], "Healthy", "{file}\n{end:#}");
    let new = &before["status"]["currentRevision"];
    assert_eq!(end["status"]["stableRevision"], *new, "{file}\n{end:#}");
    assert_eq!(end["status"]["history"][0]["outcome"], "Promoted", "{file}\n{end:#}");
    assert_eq!(replica_sets(&simulation), sets, "{file}");
    assert!(simulation.broken().is_empty(), "{file}: {:?}", simulation.broken());
    assert!(simulation.is_calm().await, "{file}");
}

fn cluster() -> Simulation {
    let simulation = Simulation::new(actors::Settings::default(), mesh::Settings::default());
    simulation.store().ensure_namespace(NAMESPACE);
    simulation
}

async fn pass(simulation: &mut Simulation, seconds: i64) {
    let at = simulation.now() + SignedDuration::from_secs(seconds);
    simulation.run_until(at).await;
}

fn rollout(simulation: &Simulation) -> Value {
    let store = simulation.store();
    (**store.get(&resource::ROLLOUT, NAMESPACE, "web").unwrap()).clone()
}

/// The ReplicaSets that belong to Sluice.
fn replica_sets(simulation: &Simulation) -> BTreeSet<String> {
    let store = simulation.store();
    let sets = store.list(&resource::REPLICA_SET, Some(NAMESPACE));
    let ours = sets.filter(|(_, set)| {
        let managers = set["metadata"]["managedFields"].as_array().into_iter().flatten();
        managers.into_iter().any(|entry| entry["manager"] == FIELD_MANAGER)
    });
    ours.map(|(key, _)| key.1.clone()).collect()
}

fn command(simulation: &mut Simulation, verb: &str) {
    let edit = |object: &mut Value| {
        let revision = &object["status"]["currentRevision"];
        let command = json!({"verb": verb, "revision": revision, "by": "ann", "id": verb});
        object["metadata"]["annotations"]["sluice.dev/command"] = json!(command.to_string());
    };
    simulation.edit("kubectl", &resource::ROLLOUT, NAMESPACE, "web", edit).unwrap();
}

use serde_json::json;

use super::super::{
    Settings, Version,
    tests::{Story, replica_set},
};
use crate::sim::api::resource::{POD, REPLICA_SET};

use super::*;

fn pod(image: &str, annotations: &Value) -> Value {
    json!({
        "metadata": {"name": "a", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": image}]},
    })
}

fn started(image: &str, annotations: &Value) -> Story {
    let mut story = Story::new(Settings::default());
    story.create(&POD, pod(image, annotations));
    story
}

/// Phase, whether it is ready, what it waits for, and how often it was restarted.
fn state(story: &Story) -> (String, bool, String, u64) {
    let pod = story.get(&POD, "a").unwrap();
    let container = &pod["status"]["containerStatuses"][0];
    (
        object::text(&pod, "/status/phase").to_owned(),
        object::ready_since(&pod).is_some(),
        object::text(container, "/state/waiting/reason").to_owned(),
        container["restartCount"].as_u64().unwrap_or(0),
    )
}

fn is(phase: &str, ready: bool, waiting: &str, restarts: u64) -> (String, bool, String, u64) {
    (phase.to_owned(), ready, waiting.to_owned(), restarts)
}

#[test]
fn a_pod_is_bound_at_once_and_ready_after_its_delay() {
    let mut story = started("web:1", &Value::Null);
    let bound = story.get(&POD, "a").unwrap();
    assert_eq!(bound["spec"]["nodeName"], "node-1");
    assert!(object::is_true(&bound, "PodScheduled"));
    story.pass(299);
    assert_eq!(state(&story), is("Pending", false, "", 0));
    story.pass(1);
    assert_eq!(state(&story), is("Running", true, "", 0));
    let pod = story.get(&POD, "a").unwrap();
    assert_eq!(pod["status"]["podIP"], "10.244.0.1");
    assert_eq!(pod["status"]["conditions"].as_array().unwrap().len(), 4);
    let managers: Vec<&str> = pod["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(managers, ["test", "kube-scheduler", "kubelet"]);
}

#[test]
fn tags_and_annotations_choose_what_becomes_of_a_pod() {
    let table = [
        ("web:1", json!({"testcluster/ready-after": "10s"}), is("Running", false, "", 0)),
        ("web:never-ready", Value::Null, is("Running", false, "", 0)),
        ("web:badimage", Value::Null, is("Pending", false, "ImagePullBackOff", 0)),
        ("web:1", json!({"testcluster/delay": "10s"}), is("Pending", false, "", 0)),
        ("web:1", json!({"testcluster/ready": "false"}), is("Running", false, "", 0)),
        ("web:never-ready", json!({"testcluster/ready": "true"}), is("Running", true, "", 0)),
        ("web:exit1", Value::Null, is("Running", true, "", 0)),
        ("web:crash", Value::Null, is("Running", false, "CrashLoopBackOff", 2)),
        (
            "web:1",
            json!({"testcluster/crash-after": "2s"}),
            is("Running", false, "CrashLoopBackOff", 1),
        ),
    ];
    for (image, annotations, expected) in table {
        let mut story = started(image, &annotations);
        story.pass(3000);
        assert_eq!(state(&story), expected, "{image} {annotations}");
    }
}

#[test]
fn crashes_wait_longer_each_time_and_say_so() {
    let mut story = started("web:crash", &Value::Null);
    // Bound 0.3 s ago, crashed 0.3 s after it ran; down for 1, 2, 4, ... s, up for 0.3 s.
    let table = [(600, 1, "1s"), (1300, 2, "2s"), (2300, 3, "4s"), (4300, 4, "8s")];
    for (millis, restarts, wait) in table {
        story.pass(millis);
        assert_eq!(state(&story), is("Running", false, "CrashLoopBackOff", restarts));
        let pod = story.get(&POD, "a").unwrap();
        let container = &pod["status"]["containerStatuses"][0];
        let message = object::text(container, "/state/waiting/message").to_owned();
        assert!(message.starts_with(&format!("back-off {wait} restarting failed")), "{message}");
        assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    }
    story.pass(100_000);
    let restarts = state(&story).3;
    story.pass(32_300);
    assert_eq!(state(&story).3, restarts + 1);
}

#[test]
fn an_edit_of_the_annotations_has_its_effect_at_once() {
    let mut story = started("web:1", &Value::Null);
    story.pass(1000);
    let set = |story: &mut Story, value: &str| {
        let value = value.to_owned();
        story.edit(&POD, "a", |pod| {
            pod["metadata"]["annotations"] = json!({"testcluster/ready": value});
        });
    };
    set(&mut story, "false");
    assert_eq!(state(&story), is("Running", false, "", 0));
    set(&mut story, "");
    assert_eq!(state(&story), is("Running", true, "", 0));
}

#[test]
fn the_settings_choose_how_a_version_behaves() {
    let slow = Version { startup: SignedDuration::from_secs(7), ..Version::default() };
    let versions = BTreeMap::from([("2".to_owned(), slow)]);
    let mut story = Story::new(Settings { versions, ..Settings::default() });
    story.create(&POD, pod("registry/web:2", &Value::Null));
    story.pass(7299);
    assert_eq!(state(&story), is("Running", false, "", 0));
    story.pass(1);
    assert_eq!(state(&story), is("Running", true, "", 0));
}

#[test]
fn a_deleted_pod_serves_on_for_a_while() {
    let table = [
        ("web:1", Value::Null, Value::Null, 3000),
        ("web:1", Value::Null, json!(1), 1000),
        ("web:1", json!({"testcluster/terminate-after": "0s"}), Value::Null, 0),
        ("web:1", json!({"testcluster/terminate-after": "1m"}), json!(20), 20_000),
        // Nothing runs that could drain.
        ("web:badimage", Value::Null, Value::Null, 0),
    ];
    for (image, annotations, grace, millis) in table {
        let mut story = Story::new(Settings::default());
        let mut pod = pod(image, &annotations);
        pod["spec"]["terminationGracePeriodSeconds"] = grace;
        story.create(&POD, pod);
        story.pass(5000);
        let ready = story.ready();
        story.delete(&POD, "a", "Background");
        if millis > 0 {
            story.pass(millis - 1);
            assert_eq!(story.ready(), ready, "{image} {annotations}");
            story.pass(1);
        }
        assert_eq!(story.get(&POD, "a"), None, "{image} {annotations}");
        assert_eq!(story.actors.next_due(), None);
    }
}

#[test]
fn a_pod_of_an_old_name_begins_anew() {
    let mut story = started("web:crash", &Value::Null);
    story.pass(5000);
    story.delete(&POD, "a", "Background");
    story.create(&POD, pod("web:1", &Value::Null));
    story.pass(300);
    assert_eq!(state(&story), is("Running", true, "", 0));
    assert_eq!(story.get(&POD, "a").unwrap()["status"]["podIP"], "10.244.0.2");
}

#[test]
fn pods_go_to_the_nodes_in_turn() {
    let mut story = Story::new(Settings::default());
    story.create(&REPLICA_SET, replica_set("web", 4, "web:1"));
    let mut nodes: Vec<String> =
        story.all(&POD).iter().map(|pod| object::text(pod, "/spec/nodeName").to_owned()).collect();
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-1", "node-2", "node-3"]);
}

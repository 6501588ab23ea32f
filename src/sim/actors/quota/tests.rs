use serde_json::{Value, json};

use super::super::{
    Settings, object,
    tests::{Story, replica_set},
};
use super::*;
use crate::sim::api::resource::{DEPLOYMENT, LIMIT_RANGE, POD, REPLICA_SET};

fn quota(hard: &Value) -> Value {
    json!({"metadata": {"name": "team"}, "spec": {"hard": hard}})
}

fn used(story: &Story, entry: &str) -> Value {
    story.get(&RESOURCE_QUOTA, "team").unwrap()["status"]["used"][entry].clone()
}

fn with_resources(mut set: Value) -> Value {
    set["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m"}});
    set
}

#[test]
fn a_quota_counts_what_was_there_and_what_comes_and_goes() {
    let mut story = Story::new(Settings::default());
    story.create(&REPLICA_SET, with_resources(replica_set("web", 2, "web:1")));
    story.pass(1000);
    let hard = json!({"pods": 9, "requests.cpu": "1", "limits.cpu": "2", "requests.memory": "1Gi"});
    story.create(&RESOURCE_QUOTA, quota(&hard));
    assert_eq!(used(&story, "requests.cpu"), "200m");
    story.edit(&REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(5));
    assert_eq!(used(&story, "requests.memory"), "320Mi");
    assert_eq!(used(&story, "limits.cpu"), "1");
    story.pass(1000);
    story.edit(&REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(1));
    // A pod counts as long as it is there.
    assert_eq!(used(&story, "pods"), "5");
    story.finish();
    assert_eq!(used(&story, "pods"), "1");
}

#[test]
fn a_replica_set_says_that_a_quota_refuses_its_pods_and_goes_on_when_there_is_room() {
    let mut story = Story::new(Settings::default());
    story.create(&RESOURCE_QUOTA, quota(&json!({"pods": 2})));
    story.create(&REPLICA_SET, replica_set("web", 4, "web:1"));
    story.pass(10_000);
    assert_eq!(story.ready().len(), 2);
    let set = story.get(&REPLICA_SET, "web").unwrap();
    let failure = object::condition(&set, "ReplicaFailure").unwrap();
    assert_eq!(failure["reason"], "FailedCreate");
    let message = failure["message"].as_str().unwrap();
    let end =
        "is forbidden: exceeded quota: team, requested: pods=1, used: pods=2, limited: pods=2";
    assert!(message.starts_with("pods \"web-") && message.ends_with(end), "{message}");
    story.edit(&RESOURCE_QUOTA, "team", |quota| quota["spec"]["hard"]["pods"] = json!("4"));
    // Nothing tells the controller of the room: it finds out at its next try.
    assert_eq!(story.all(&POD).len(), 2);
    story.pass(30_000);
    assert_eq!(story.ready().len(), 4);
    let set = story.get(&REPLICA_SET, "web").unwrap();
    assert_eq!(object::condition(&set, "ReplicaFailure"), None);
}

#[test]
fn refused_pods_are_tried_ever_less_often() {
    let mut story = Story::new(Settings::default());
    story.create(&RESOURCE_QUOTA, quota(&json!({"pods": 0})));
    story.create(&REPLICA_SET, replica_set("web", 1, "web:1"));
    let mut tries = Vec::new();
    for _ in 0..20 {
        let due = story.actors.next_due().unwrap();
        tries.push(due.duration_since(story.store.time().now()).as_millis());
        story.store.time().set(due);
        story.settle();
    }
    assert!(tries.is_sorted(), "{tries:?}");
    assert_eq!(tries.last(), Some(&1_000_000));
}

#[test]
fn a_deployment_passes_on_that_it_gets_no_pods() {
    let mut story = Story::new(Settings::default());
    story.create(&RESOURCE_QUOTA, quota(&json!({"limits.cpu": "1"})));
    let mut deployment = replica_set("web", 1, "web:1");
    deployment["spec"]["strategy"] = json!({"type": "Recreate"});
    story.create(&DEPLOYMENT, deployment);
    let failure = |story: &Story| {
        let deployment = story.get(&DEPLOYMENT, "web").unwrap();
        let failure = object::condition(&deployment, "ReplicaFailure");
        failure.map(|failure| failure["message"].as_str().unwrap().to_owned())
    };
    let message = failure(&story).unwrap();
    assert!(
        message.ends_with("failed quota: team: must specify limits.cpu for: main"),
        "{message}"
    );
    let default = json!({"type": "Container", "default": {"cpu": "500m"}});
    story.create(&LIMIT_RANGE, json!({"metadata": {"name": "l"}, "spec": {"limits": [default]}}));
    story.pass(30_000);
    assert_eq!((story.ready().len(), failure(&story)), (1, None));
    assert_eq!(used(&story, "limits.cpu"), "500m");
}

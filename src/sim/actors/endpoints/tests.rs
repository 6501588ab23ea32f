use serde_json::json;

use super::super::{
    Settings,
    tests::{Story, replica_set},
};
use super::*;
use crate::sim::api::resource::REPLICA_SET;

fn service(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"team": "a"}}, "spec": spec})
}

fn started() -> Story {
    let mut story = Story::new(Settings::default());
    let ports = json!([{"name": "http", "port": 80, "targetPort": 8080}, {"name": "m", "port": 90, "targetPort": "metrics"}]);
    story.create(&SERVICE, service("web", &json!({"selector": {"app": "web"}, "ports": ports})));
    let mut set = replica_set("web", 2, "web:1");
    set["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "metrics", "containerPort": 9090}]);
    story.create(&REPLICA_SET, set);
    story
}

fn slice(story: &Story) -> Value {
    let all = story.all(&ENDPOINT_SLICE);
    assert_eq!(all.len(), 1);
    all[0].clone()
}

/// Each endpoint's address and its conditions ready, serving and terminating.
fn states(story: &Story) -> Vec<(String, [bool; 3])> {
    let slice = slice(story);
    let endpoints = slice["endpoints"].as_array().unwrap().iter();
    let state = |endpoint: &Value| {
        let holds = |name| endpoint["conditions"][name] == true;
        let address = object::text(endpoint, "/addresses/0").to_owned();
        (address, [holds("ready"), holds("serving"), holds("terminating")])
    };
    endpoints.map(state).collect()
}

#[test]
fn a_ready_pod_is_published_a_moment_later_in_one_write() {
    let mut story = started();
    story.pass(399);
    assert_eq!((story.ready().len(), states(&story).len()), (2, 0));
    let before = story.store.version();
    story.pass(1);
    assert_eq!(story.store.version(), before + 1);
    let ready = [true, true, false];
    assert_eq!(
        states(&story),
        [("10.244.0.1".to_owned(), ready), ("10.244.0.2".to_owned(), ready)]
    );
    let slice = slice(&story);
    let port = |name: &str, port: i64| json!({"name": name, "port": port, "protocol": "TCP"});
    assert_eq!(slice["ports"], json!([port("http", 8080), port("m", 9090)]));
    assert_eq!(slice["metadata"]["labels"][SERVICE_NAME], "web");
    assert_eq!(slice["metadata"]["labels"]["team"], "a");
    assert_eq!(slice["endpoints"][0]["targetRef"]["kind"], "Pod");
    assert_eq!(story.actors.next_due(), None);
}

#[test]
fn a_pod_that_is_deleted_is_terminating_and_serving_until_it_is_gone() {
    let mut story = started();
    story.pass(1000);
    story.edit(&REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(1));
    story.pass(100);
    let mut conditions: Vec<_> = states(&story).into_iter().map(|(_, state)| state).collect();
    conditions.sort_unstable();
    assert_eq!(conditions, [[false, true, true], [true, true, false]]);
    story.finish();
    assert_eq!(states(&story).len(), 1);
}

#[test]
fn a_slice_follows_its_service() {
    let mut story = started();
    story.pass(1000);
    story.edit(&SERVICE, "web", |service| service["spec"]["selector"] = json!({"app": "other"}));
    story.pass(100);
    assert_eq!(states(&story), []);
    let name = object::name(&slice(&story)).to_owned();
    story.delete(&ENDPOINT_SLICE, &name, "Background");
    story.pass(100);
    assert_ne!(object::name(&slice(&story)), name);
    story.delete(&SERVICE, "web", "Background");
    assert_eq!(story.all(&ENDPOINT_SLICE), [] as [Value; 0]);
}

#[test]
fn a_service_without_a_selector_has_no_slice() {
    let mut story = Story::new(Settings::default());
    story.create(&SERVICE, service("plain", &json!({"ports": [{"port": 80}]})));
    let external = json!({"type": "ExternalName", "externalName": "a.b", "selector": {"a": "b"}});
    story.create(&SERVICE, service("external", &external));
    story.finish();
    assert_eq!(story.all(&ENDPOINT_SLICE), [] as [Value; 0]);
}

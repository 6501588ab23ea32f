use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use super::*;
use crate::sim::api::store::Time;

fn store() -> Store {
    Store::new(Time::new(Timestamp::from_second(1_000_000).unwrap()))
}

fn send(store: &mut Store, method: &str, address: &str, kind: &str, body: &Value) -> (u16, Value) {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: Query::parse(query),
        content_type: kind.to_owned(),
        user_agent: "test/1".to_owned(),
        body,
        ..Request::default()
    };
    match handle(store, &request) {
        Answer::Json { status, body, .. } => (status, body),
        Answer::Text { status, text } => (status, json!(text)),
        Answer::Watch(mut watch) => (200, Value::Array(watch.events(store))),
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn make(store: &mut Store, name: &str, label: &str) {
    let body = json!({"metadata": {"name": name, "labels": {"l": label}}});
    assert_eq!(send(store, "POST", MAPS, "", &body).0, 201);
}

#[test]
fn a_list_comes_in_pieces_as_it_was_at_the_first() {
    let mut store = store();
    for name in ["a", "b", "c"] {
        make(&mut store, name, "x");
    }
    let (_, first) = send(&mut store, "GET", &format!("{MAPS}?limit=2"), "", &Value::Null);
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    make(&mut store, "d", "x");
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{MAPS}?limit=2&continue={token}");
    let (_, second) = send(&mut store, "GET", &next, "", &Value::Null);
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    store.compact();
    assert_eq!(send(&mut store, "GET", &next, "", &Value::Null).0, 410);
}

#[test]
fn a_watch_tells_what_no_longer_matches_as_deleted() {
    let mut store = store();
    make(&mut store, "a", "x");
    let version = store.version();
    let patch = json!({"metadata": {"labels": {"l": "y"}}});
    let kind = "application/merge-patch+json";
    assert_eq!(send(&mut store, "PATCH", &format!("{MAPS}/a"), kind, &patch).0, 200);
    let address = format!("{MAPS}?watch=true&labelSelector=l%3Dx&resourceVersion={version}");
    let (_, events) = send(&mut store, "GET", &address, "", &Value::Null);
    assert_eq!(events[0]["type"], "DELETED");
    store.compact();
    let (_, events) = send(&mut store, "GET", &address, "", &Value::Null);
    assert_eq!(events[0]["object"]["code"], 410);
}

#[test]
fn a_dry_run_stores_nothing() {
    let mut store = store();
    let body = json!({"metadata": {"name": "a"}});
    assert_eq!(send(&mut store, "POST", &format!("{MAPS}?dryRun=All"), "", &body).0, 201);
    assert_eq!(send(&mut store, "GET", &format!("{MAPS}/a"), "", &Value::Null).0, 404);
}

#[test]
fn a_patch_with_an_old_version_conflicts() {
    let mut store = store();
    make(&mut store, "a", "x");
    let patch = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}]);
    let kind = "application/json-patch+json";
    assert_eq!(send(&mut store, "PATCH", &format!("{MAPS}/a"), kind, &patch).0, 409);
}

#[tokio::test]
async fn a_client_writes_and_watches() {
    let server = Server::new(Arc::new(Mutex::new(store())));
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    api.create(&PostParams::default(), &map).await.unwrap();
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(map) if map.metadata.name.as_deref() == Some("a")));
    let patch = Patch::Merge(json!({"data": {"k": "v"}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Modified(map) if map.data.is_some()));
}

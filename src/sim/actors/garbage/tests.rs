use serde_json::json;

use super::super::{
    Settings, object,
    tests::{Story, replica_set},
};
use super::*;
use crate::sim::api::resource::{CONFIG_MAP, POD, REPLICA_SET, SECRET};

fn owned(name: &str, owners: &[Value]) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": owners}})
}

fn reference(resource: &Resource, owner: &Value, blocks: bool) -> Value {
    let mut reference = object::owned_by(resource, owner);
    reference["blockOwnerDeletion"] = json!(blocks);
    reference
}

fn with_pods() -> (Story, Value) {
    let mut story = Story::new(Settings::default());
    let owner = story.create(&CONFIG_MAP, json!({"metadata": {"name": "web"}}));
    let mut set = replica_set("web-1", 2, "web:1");
    set["metadata"]["ownerReferences"] = json!([reference(&CONFIG_MAP, &owner, true)]);
    story.create(&REPLICA_SET, set);
    story.pass(1000);
    (story, owner)
}

#[test]
fn in_the_background_the_owner_goes_first() {
    let (mut story, _) = with_pods();
    story.delete(&CONFIG_MAP, "web", "Background");
    assert_eq!((story.all(&CONFIG_MAP).len(), story.all(&REPLICA_SET).len()), (0, 0));
    assert!(story.all(&POD).iter().all(is_deleting));
    story.finish();
    assert_eq!(story.all(&POD).len(), 0);
}

#[test]
fn in_the_foreground_the_owner_goes_last() {
    let (mut story, _) = with_pods();
    story.delete(&CONFIG_MAP, "web", "Foreground");
    story.pass(2000);
    assert_eq!((story.all(&CONFIG_MAP).len(), story.all(&REPLICA_SET).len()), (1, 1));
    story.finish();
    let left = [&CONFIG_MAP, &REPLICA_SET, &POD].map(|resource| story.all(resource).len());
    assert_eq!(left, [0, 0, 0]);
}

#[test]
fn what_does_not_block_does_not_hold_its_owner() {
    let mut story = Story::new(Settings::default());
    let owner = story.create(&CONFIG_MAP, json!({"metadata": {"name": "owner"}}));
    let mut held = owned("held", &[reference(&CONFIG_MAP, &owner, false)]);
    held["metadata"]["finalizers"] = json!(["test/hold"]);
    story.create(&SECRET, held);
    story.delete(&CONFIG_MAP, "owner", "Foreground");
    assert_eq!((story.all(&CONFIG_MAP).len(), story.all(&SECRET).len()), (0, 1));
}

#[test]
fn orphans_stay_without_their_owner() {
    let (mut story, _) = with_pods();
    story.delete(&CONFIG_MAP, "web", "Orphan");
    story.finish();
    assert_eq!(story.all(&CONFIG_MAP).len(), 0);
    assert_eq!(
        story.get(&REPLICA_SET, "web-1").unwrap()["metadata"]["ownerReferences"],
        Value::Null
    );
    assert_eq!(story.ready().len(), 2);
}

#[test]
fn only_what_has_lost_every_owner_goes() {
    let mut story = Story::new(Settings::default());
    let one = story.create(&CONFIG_MAP, json!({"metadata": {"name": "one"}}));
    let other = story.create(&CONFIG_MAP, json!({"metadata": {"name": "other"}}));
    let [mut one, mut other] = [one, other].map(|owner| reference(&CONFIG_MAP, &owner, true));
    one["controller"] = json!(false);
    other["controller"] = json!(false);
    story.create(&SECRET, owned("both", &[one.clone(), other.clone()]));
    story.create(&SECRET, owned("mine", std::slice::from_ref(&one)));
    let unknown = json!({"apiVersion": "x.dev/v1", "kind": "X", "name": "x", "uid": "x"});
    story.create(&SECRET, owned("foreign", &[unknown]));
    story.delete(&CONFIG_MAP, "one", "Background");
    let left: Vec<String> =
        story.all(&SECRET).iter().map(|secret| object::name(secret).to_owned()).collect();
    assert_eq!(left, ["both", "foreign"]);
    let both = story.get(&SECRET, "both").unwrap();
    assert_eq!(both["metadata"]["ownerReferences"], json!([other]));
    // An owner that never was is as good as gone.
    story.create(&SECRET, owned("late", &[one]));
    assert_eq!(story.get(&SECRET, "late"), None);
}

#[test]
fn a_namespace_goes_when_it_is_empty() {
    let mut story = Story::new(Settings::default());
    story.store.ensure_namespace("team");
    let set = replica_set("web", 2, "web:1");
    story.store.create(&writer("test"), &REPLICA_SET, "team", set).unwrap();
    story.create(&CONFIG_MAP, json!({"metadata": {"name": "kept"}}));
    story.pass(1000);
    let key = (String::new(), "team".to_owned());
    story.store.delete(&writer("test"), &NAMESPACE, &key, &Deletion::default()).unwrap();
    story.settle();
    let namespace = story.store.get(&NAMESPACE, "", "team").unwrap();
    assert_eq!(namespace["status"]["phase"], "Terminating");
    assert_eq!(story.store.list(&POD, Some("team")).count(), 2);
    story.finish();
    assert_eq!(story.store.get(&NAMESPACE, "", "team"), None);
    assert_eq!(story.store.list(&POD, None).count(), 0);
    assert!(story.get(&CONFIG_MAP, "kept").is_some());
}

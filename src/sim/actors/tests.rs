//! Stories on a store, and what holds for all actors together.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::sim::api::{
    Change, Key, Resource,
    store::{Deletion, Time, writer},
};

/// A cluster whose time is moved on by hand.
pub struct Story {
    pub store: Store,
    pub actors: Actors,
}

impl Story {
    pub fn new(settings: Settings) -> Self {
        let time = Time::new(Timestamp::from_second(1_000_000).unwrap());
        Self { store: Store::new(time), actors: Actors::new(settings) }
    }

    /// Creates an object in `default` and lets the actors react.
    pub fn create(&mut self, resource: &'static Resource, object: Value) -> Value {
        let object = self.store.create(&writer("test"), resource, "default", object).unwrap();
        self.settle();
        (*object).clone()
    }

    /// Edits an object and lets the actors react.
    pub fn edit(&mut self, resource: &'static Resource, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.get(resource, name).unwrap();
        edit(&mut object);
        self.store.replace(&writer("test"), resource, &key(name), object).unwrap();
        self.settle();
    }

    /// Deletes an object and lets the actors react.
    pub fn delete(&mut self, resource: &'static Resource, name: &str, propagation: &str) {
        let how = Deletion { propagation: Some(propagation.to_owned()), ..Deletion::default() };
        self.store.delete(&writer("test"), resource, &key(name), &how).unwrap();
        self.settle();
    }

    pub fn settle(&mut self) {
        self.actors.settle(&mut self.store);
        let before = self.store.version();
        self.actors.settle(&mut self.store);
        assert_eq!(self.store.version(), before, "a second look found something to do");
        let due = self.actors.next_due();
        assert!(due.is_none_or(|due| due > self.store.time().now()), "{due:?} is over");
    }

    /// Lets this much time pass.
    pub fn pass(&mut self, millis: i64) {
        let end = object::later(self.store.time().now(), SignedDuration::from_millis(millis));
        while let Some(due) = self.actors.next_due().filter(|due| *due <= end) {
            self.store.time().set(due);
            self.settle();
        }
        self.store.time().set(end);
        self.settle();
    }

    /// Lets time pass until nothing more would happen.
    pub fn finish(&mut self) {
        for _ in 0..1000 {
            let Some(due) = self.actors.next_due() else { return };
            self.store.time().set(due);
            self.settle();
        }
        panic!("there is no end");
    }

    pub fn get(&self, resource: &Resource, name: &str) -> Option<Value> {
        self.store.get(resource, "default", name).map(|object| (**object).clone())
    }

    /// All objects of a kind in `default`.
    pub fn all(&self, resource: &Resource) -> Vec<Value> {
        self.store.list(resource, Some("default")).map(|(_, object)| (**object).clone()).collect()
    }

    /// Names of the pods that are ready.
    pub fn ready(&self) -> Vec<String> {
        let pods = self.all(&resource::POD);
        let ready = pods.iter().filter(|pod| object::ready_since(pod).is_some());
        ready.map(|pod| object::name(pod).to_owned()).collect()
    }
}

pub fn key(name: &str) -> Key {
    ("default".to_owned(), name.to_owned())
}

pub fn replica_set(name: &str, replicas: i64, image: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    })
}

fn busy_story() -> Vec<String> {
    let mut story = Story::new(Settings::default());
    story.create(
        &resource::SERVICE,
        json!({
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }),
    );
    story.create(&resource::REPLICA_SET, replica_set("web", 3, "web:1"));
    story.create(&resource::REPLICA_SET, replica_set("bad", 2, "web:crash"));
    story.pass(5000);
    story.edit(&resource::REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(1));
    story.delete(&resource::REPLICA_SET, "bad", "Foreground");
    story.finish();
    story.store.changes_since(1).unwrap().map(line).collect()
}

fn line(change: &Change) -> String {
    format!("{} {} {:?} {:?} {:?}", change.at, change.by, change.key, change.before, change.after)
}

#[test]
fn the_same_story_gives_the_same_log() {
    let first = busy_story();
    assert!(first.len() > 30, "{} changes", first.len());
    assert_eq!(first, busy_story());
}

#[test]
fn a_settled_cluster_has_nothing_due() {
    let mut story = Story::new(Settings::default());
    assert_eq!(story.actors.next_due(), None);
    story.create(&resource::REPLICA_SET, replica_set("web", 3, "web:1"));
    story.finish();
    assert_eq!(story.ready().len(), 3);
    assert_eq!(story.actors.next_due(), None);
}

#[test]
fn writes_grow_with_the_number_of_replica_sets_and_no_faster() {
    let writes = |sets: u64| {
        let mut story = Story::new(Settings::default());
        for number in 0..sets {
            let name = format!("web-{number}");
            let set = replica_set(&name, 3, "web:1");
            story.store.create(&writer("test"), &resource::REPLICA_SET, "default", set).unwrap();
            let service = json!({
                "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
            });
            story.store.create(&writer("test"), &resource::SERVICE, "default", service).unwrap();
        }
        let before = story.store.version();
        story.finish_after_settling();
        story.store.version() - before
    };
    let one = writes(1);
    // Each pod is created, bound, scheduled and ready; the set counts twice, the slice is written once or twice.
    assert!(one <= 3 * 4 + 2 + 2, "{one} writes");
    assert_eq!(writes(100), 100 * one);
}

impl Story {
    fn finish_after_settling(&mut self) {
        self.settle();
        self.finish();
    }
}

#[test]
fn actors_that_come_late_carry_on() {
    let mut story = Story::new(Settings::default());
    story.create(&resource::REPLICA_SET, replica_set("web", 3, "web:1"));
    story.finish();
    // More changes than the log keeps.
    for number in 0..20_100 {
        let map = json!({"metadata": {"name": format!("map-{number}")}});
        story.store.create(&writer("test"), &resource::CONFIG_MAP, "default", map).unwrap();
    }
    story.edit(&resource::REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(5));
    story.finish();
    assert_eq!(story.ready().len(), 5);
}

//! Who belongs to whom, and which pods carry which labels: kept from change to change, so that no
//! controller needs to look through all objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{object, selector::Selector};
use crate::sim::api::{Key, Resource, resource};

/// An object: its kind, its namespace and its name.
pub type Id = (&'static Resource, Key);

/// Namespace, label and value; the latter two empty for what depends on no label.
type Pair = (String, String, String);

/// Names, by a label that they have or ask for.
type Names = BTreeMap<Pair, BTreeSet<String>>;

/// The labels by which an object is to be found.
type Places = fn(&str, &Value) -> Vec<Pair>;

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    objects: BTreeMap<String, Id>,
    dependents: BTreeMap<String, BTreeSet<Id>>,
    pods: Names,
    services: Names,
    budgets: Names,
    closing: BTreeSet<String>,
}

impl Index {
    /// Takes note of a change.
    pub fn note(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let id = (resource, key.clone());
        let uid = |object: Option<&Value>| object.map(object::uid).unwrap_or_default().to_owned();
        if uid(before) != uid(after) {
            self.objects.remove(&uid(before));
            if after.is_some() {
                self.objects.insert(uid(after), id.clone());
            }
        }
        let owners = |object: Option<&Value>| -> Vec<String> {
            let owners = object.map(object::owners).unwrap_or_default().iter();
            owners.map(|owner| object::text(owner, "/uid").to_owned()).collect()
        };
        let (old, new) = (owners(before), owners(after));
        if old != new {
            for owner in old {
                drop_from(&mut self.dependents, &owner, &id);
            }
            for owner in new {
                self.dependents.entry(owner).or_default().insert(id.clone());
            }
        }
        let (names, places): (&mut Names, Places) = match resource.kind {
            "Pod" => (&mut self.pods, places_of_pod),
            "Service" => (&mut self.services, places_of_service),
            "PodDisruptionBudget" => (&mut self.budgets, places_of_budget),
            "Namespace" => {
                match after {
                    Some(after) if object::is_deleting(after) => self.closing.insert(key.1.clone()),
                    _ => self.closing.remove(&key.1),
                };
                return;
            }
            _ => return,
        };
        let places = |object: Option<&Value>| {
            object.map(|object| places(&key.0, object)).unwrap_or_default()
        };
        let (old, new) = (places(before), places(after));
        if old != new {
            for pair in old {
                drop_from(names, &pair, &key.1);
            }
            for pair in new {
                names.entry(pair).or_default().insert(key.1.clone());
            }
        }
    }

    /// The object of a uid.
    pub fn object(&self, uid: &str) -> Option<&Id> {
        self.objects.get(uid)
    }

    /// Objects that name the uid as an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Id> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// Whether a namespace is being deleted.
    pub fn is_closing(&self, namespace: &str) -> bool {
        self.closing.contains(namespace)
    }

    /// Names of pods that a selector may select: all that have the rarest of its labels.
    pub fn pods(&self, namespace: &str, selector: &Selector) -> impl Iterator<Item = &String> {
        let pairs = selector.pairs.iter().map(|(key, value)| pair(namespace, key, value));
        let mut found = self.pods.get(&pair(namespace, "", ""));
        for pair in pairs {
            let with = self.pods.get(&pair);
            if with.map_or(0, BTreeSet::len) <= found.map_or(0, BTreeSet::len) {
                found = with;
            }
        }
        found.into_iter().flatten()
    }

    /// Names of Services that may select a pod.
    pub fn services(&self, namespace: &str, pod: &Value) -> BTreeSet<String> {
        candidates(&self.services, namespace, pod)
    }

    /// Names of `PodDisruptionBudgets` that may select a pod.
    pub fn budgets(&self, namespace: &str, pod: &Value) -> BTreeSet<String> {
        candidates(&self.budgets, namespace, pod)
    }

    /// Whether an owner reference leads to an object that is there. A kind that the API server does
    /// not serve cannot be looked up: it counts as there.
    pub fn is_there(&self, owner: &Value) -> bool {
        let kind = object::text(owner, "/kind");
        let known = resource::of_kind(object::text(owner, "/apiVersion"), kind);
        known.is_none() || self.object(object::text(owner, "/uid")).is_some()
    }
}

fn pair(namespace: &str, key: &str, value: &str) -> Pair {
    (namespace.to_owned(), key.to_owned(), value.to_owned())
}

fn drop_from<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

fn places_of_pod(namespace: &str, pod: &Value) -> Vec<Pair> {
    let labels = object::labels(pod).as_object().into_iter().flatten();
    let places = labels.map(|(key, value)| pair(namespace, key, value.as_str().unwrap_or("")));
    places.chain([pair(namespace, "", "")]).collect()
}

fn places_of_service(namespace: &str, service: &Value) -> Vec<Pair> {
    place_of(namespace, Selector::of_service(service))
}

fn places_of_budget(namespace: &str, budget: &Value) -> Vec<Pair> {
    place_of(namespace, Selector::of(&budget["spec"]["selector"]))
}

/// One label is enough to find a selector again.
fn place_of(namespace: &str, selector: Option<Selector>) -> Vec<Pair> {
    let Some(selector) = selector else { return Vec::new() };
    let first = selector.pairs.iter().next();
    vec![first.map_or_else(|| pair(namespace, "", ""), |(key, value)| pair(namespace, key, value))]
}

fn candidates(names: &Names, namespace: &str, pod: &Value) -> BTreeSet<String> {
    let places = places_of_pod(namespace, pod);
    places.iter().filter_map(|pair| names.get(pair)).flatten().cloned().collect()
}

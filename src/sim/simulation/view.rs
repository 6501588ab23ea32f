//! What expectations look at.

use std::sync::{Arc, MutexGuard};

use serde_json::Value;

use crate::sim::{
    api::{
        Change, Resource, Store,
        http::selector::Selector,
        resource::{self, POD},
    },
    mesh::Mesh,
    scenario::expect::{Objects, fewest_ready, most_pods},
    traffic::Totals,
};

/// The objects of one namespace at one instant, and all that they have been.
pub struct View<'a> {
    pub(super) store: MutexGuard<'a, Store>,
    pub(super) mesh: &'a Mesh,
    pub(super) history: &'a [Change],
    /// The version at the last action of people.
    pub(super) marked: u64,
    pub(super) namespace: String,
}

impl View<'_> {
    fn namespace_of(&self, resource: &Resource) -> &str {
        if resource.namespaced { &self.namespace } else { "" }
    }

    /// The changes of pods.
    fn pods(&self) -> impl Iterator<Item = (u64, &str, Option<&Value>)> {
        let ours = |change: &&Change| change.resource == &POD && change.key.0 == self.namespace;
        let pods = self.history.iter().filter(ours);
        pods.map(|change| (change.version, change.key.1.as_str(), change.after.as_deref()))
    }
}

impl Objects for View<'_> {
    fn get(&self, kind: &str, name: &str) -> &Value {
        let found = resource::named(kind)
            .and_then(|resource| self.store.get(resource, self.namespace_of(resource), name));
        found.map_or(&Value::Null, |object| &**object)
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        let resource = resource::named(kind);
        let all =
            resource.map(|resource| self.store.list(resource, Some(self.namespace_of(resource))));
        all.into_iter().flatten().map(|(_, object)| &**object).collect()
    }

    fn history(&self, kind: &str, name: &str) -> Vec<Arc<Value>> {
        let is = |change: &&Change| {
            change.resource.kind == kind && change.key.0 == self.namespace && change.key.1 == name
        };
        self.history.iter().filter(is).filter_map(|change| change.after.clone()).collect()
    }

    fn fewest_ready(&self, selector: &Selector) -> usize {
        fewest_ready(self.pods(), self.marked, selector)
    }

    fn most_pods(&self, selector: &Selector) -> usize {
        most_pods(self.pods(), self.marked, selector)
    }

    fn requests(&self) -> Option<Totals> {
        Some(self.mesh.totals())
    }
}

//! What an actor may touch: the store under its own name, and the index.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Settings, index::Index, object};
use crate::sim::api::{
    Key, Refusal, Resource, Store,
    store::{Deletion, status_writer, writer},
};

/// The cluster as one actor sees it during one task.
pub struct Cluster<'a> {
    /// The objects.
    pub store: &'a mut Store,
    /// Who belongs to whom, as of the beginning of this round.
    pub index: &'a Index,
    /// What was chosen.
    pub settings: &'a Settings,
    /// The present.
    pub now: Timestamp,
    /// The actor's field manager.
    pub manager: &'static str,
}

impl Cluster<'_> {
    /// An object.
    pub fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Value>> {
        self.store.get(resource, &key.0, &key.1).cloned()
    }

    /// The objects of a kind whose controller has this uid, by name.
    pub fn controlled(&self, resource: &Resource, uid: &str) -> Vec<(Key, Arc<Value>)> {
        let dependents = self.index.dependents(uid).filter(|(kind, _)| *kind == resource);
        let found = dependents.filter_map(|(_, key)| Some((key.clone(), self.get(resource, key)?)));
        found
            .filter(|(_, found)| object::controller(found).is_some_and(|owner| owner["uid"] == uid))
            .collect()
    }

    /// The object that an owner reference leads to.
    pub fn owner(&self, reference: &Value) -> Option<Arc<Value>> {
        let (resource, key) = self.index.object(object::text(reference, "/uid"))?;
        self.get(resource, key)
    }

    /// Creates an object.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn create(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        self.store.create(&writer(self.manager), resource, namespace, object)
    }

    /// Edits an object. One that has vanished, or that may not be so, stays as it is.
    pub fn edit(
        &mut self,
        resource: &'static Resource,
        key: &Key,
        edit: impl FnOnce(&mut Value),
    ) -> Option<Arc<Value>> {
        let mut new = (*self.get(resource, key)?).clone();
        edit(&mut new);
        self.store.replace(&writer(self.manager), resource, key, new).ok()
    }

    /// Sets an object's status.
    pub fn set_status(&mut self, resource: &'static Resource, key: &Key, status: Value) {
        let Some(old) = self.get(resource, key) else { return };
        if old["status"] == status {
            return;
        }
        let mut new = (*old).clone();
        new["status"] = status;
        // It was there a moment ago; should it be refused, the next change brings the next try.
        let _ = self.store.replace(&status_writer(self.manager), resource, key, new);
    }

    /// Deletes an object, and what belongs to it in the background.
    pub fn delete(&mut self, resource: &'static Resource, key: &Key) {
        self.delete_as(resource, key, "Background");
    }

    /// Deletes an object with a propagation policy.
    pub fn delete_as(&mut self, resource: &'static Resource, key: &Key, propagation: &str) {
        let how = Deletion { propagation: Some(propagation.to_owned()), ..Deletion::default() };
        // What is gone needs no deletion.
        let _ = self.store.delete(&writer(self.manager), resource, key, &how);
    }
}

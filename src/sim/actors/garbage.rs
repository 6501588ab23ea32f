//! The garbage collector, and the end of namespaces.
//!
//! In: objects whose owners went, objects with the finalizers `foregroundDeletion` and `orphan`, and
//! namespaces that are deleted. Owners are known by their uid alone.

use serde_json::Value;

use super::{
    cluster::Cluster,
    index::Id,
    object::{has_finalizer, is_deleting, owners, remove_finalizer, retain, text, uid},
};
use crate::sim::api::{
    Key, Resource,
    managed_fields::Writer,
    resource::{ALL, NAMESPACE},
    store::{Deletion, writer},
};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Looks at one object: as a dependent, and as an owner that is going.
pub fn collect(cluster: &mut Cluster, resource: &'static Resource, key: &Key) {
    as_dependent(cluster, resource, key);
    let Some(object) = cluster.get(resource, key).filter(|object| is_deleting(object)) else {
        return;
    };
    if has_finalizer(&object, ORPHAN) {
        orphan(cluster, uid(&object));
        cluster.edit(resource, key, |object| remove_finalizer(object, ORPHAN));
    } else if has_finalizer(&object, FOREGROUND) {
        foreground(cluster, resource, key, uid(&object));
    }
}

/// Deletes an object that has owners, none of which is there to stay.
fn as_dependent(cluster: &mut Cluster, resource: &'static Resource, key: &Key) {
    let Some(object) = cluster.get(resource, key) else { return };
    if owners(&object).is_empty() || is_deleting(&object) {
        return;
    }
    let (there, gone): (Vec<&Value>, Vec<&Value>) =
        owners(&object).iter().partition(|owner| cluster.index.is_there(owner));
    let (waiting, solid): (Vec<&Value>, Vec<&Value>) =
        there.into_iter().partition(|owner| waits_for_dependents(cluster, owner));
    if solid.is_empty() {
        let has_own = cluster.index.dependents(uid(&object)).next().is_some();
        let in_order = !waiting.is_empty() && has_own;
        cluster.delete_as(resource, key, if in_order { "Foreground" } else { "Background" });
        return;
    }
    let lost: Vec<String> =
        gone.into_iter().chain(waiting).map(|owner| text(owner, "/uid").to_owned()).collect();
    if !lost.is_empty() {
        cluster.edit(resource, key, |object| forsake(object, &lost));
    }
}

fn waits_for_dependents(cluster: &Cluster, owner: &Value) -> bool {
    let Some((resource, key)) = cluster.index.object(text(owner, "/uid")) else { return false };
    let object = cluster.get(resource, key);
    object.is_some_and(|object| is_deleting(&object) && has_finalizer(&object, FOREGROUND))
}

/// Takes owners out of an object.
fn forsake(object: &mut Value, uids: &[String]) {
    retain(&mut object["metadata"], "ownerReferences", |owner| {
        !uids.iter().any(|uid| owner["uid"] == **uid)
    });
}

fn orphan(cluster: &mut Cluster, owner: &str) {
    let dependents: Vec<Id> = cluster.index.dependents(owner).cloned().collect();
    for (resource, key) in dependents {
        cluster.edit(resource, &key, |object| forsake(object, &[owner.to_owned()]));
    }
}

/// Deletes the dependents; when none is left that blocks, the owner may go.
fn foreground(cluster: &mut Cluster, resource: &'static Resource, key: &Key, owner: &str) {
    let dependents: Vec<Id> = cluster.index.dependents(owner).cloned().collect();
    let mut blocked = false;
    for (resource, key) in dependents {
        as_dependent(cluster, resource, &key);
        let Some(left) = cluster.get(resource, &key) else { continue };
        blocked |= owners(&left)
            .iter()
            .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true);
    }
    if !blocked {
        cluster.edit(resource, key, |object| remove_finalizer(object, FOREGROUND));
    }
}

/// Deletes what is in a namespace that is being deleted, then lets the namespace go.
pub fn empty(cluster: &mut Cluster, key: &Key) {
    let Some(namespace) = cluster.get(&NAMESPACE, key) else { return };
    if !is_deleting(&namespace) {
        return;
    }
    let mut content: Vec<(Id, bool)> = Vec::new();
    for resource in ALL.into_iter().filter(|resource| resource.namespaced) {
        let found = cluster.store.list(resource, Some(&key.1));
        content.extend(found.map(|(key, object)| ((resource, key.clone()), is_deleting(object))));
    }
    if content.is_empty() {
        let by = Writer { subresource: Some("finalize"), ..writer(cluster.manager) };
        // It is there: it was read above.
        let _ = cluster.store.delete(&by, &NAMESPACE, key, &Deletion::default());
    }
    for ((resource, key), deleting) in content {
        if !deleting {
            cluster.delete(resource, &key);
        }
    }
}

#[cfg(test)]
mod tests;

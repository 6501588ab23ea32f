//! Watches: the changes of a kind from a version on, as events.

use serde_json::{Value, json};

use super::{Answer, Context, listing, selector::Filter};
use crate::sim::api::{Change, Refusal, Resource, Store};

/// A watch that was accepted. [`Watch::events`] yields what happened since it was last asked.
#[derive(Debug)]
pub struct Watch {
    resource: &'static Resource,
    api_version: String,
    namespace: String,
    filter: Filter,
    /// The version after which changes are told; none before the present state was told.
    told: Option<u64>,
    bookmarks: bool,
    /// Whether the end of the present state is told by a bookmark.
    initial: bool,
    seconds: Option<u64>,
    ended: bool,
}

/// Accepts a watch.
pub(super) fn start(context: &Context) -> Result<Answer, Refusal> {
    let query = &context.request.query;
    let version = listing::version(query.get("resourceVersion"))?;
    let initial = query.is_set("sendInitialEvents");
    let exact = query.get("resourceVersionMatch");
    if initial && exact != Some("NotOlderThan") {
        let why =
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(options(why));
    }
    if exact.is_some() && query.get("sendInitialEvents").is_none() {
        let why = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return Err(options(why));
    }
    Ok(Answer::Watch(Box::new(Watch {
        resource: context.resource,
        api_version: context.api_version(),
        namespace: context.namespace.to_owned(),
        filter: Filter::of(context)?,
        told: if version == 0 || initial { None } else { Some(version) },
        bookmarks: query.is_set("allowWatchBookmarks"),
        initial,
        seconds: query.number("timeoutSeconds").filter(|seconds| *seconds > 0),
        ended: false,
    })))
}

fn options(why: &str) -> Refusal {
    Refusal::options("ListOptions", "resourceVersionMatch", "FieldValueForbidden", why)
}

impl Watch {
    /// After how many seconds it ends.
    pub fn seconds(&self) -> Option<u64> {
        self.seconds
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// The events since the last call.
    pub fn events(&mut self, store: &Store) -> Vec<Value> {
        if self.ended {
            return Vec::new();
        }
        let Some(told) = self.told else {
            self.told = Some(store.version());
            return self.present(store);
        };
        if told > store.version() {
            return Vec::new();
        }
        let Some(changes) = store.changes_since(told) else {
            self.ended = true;
            let oldest = store.version();
            let message = format!("too old resource version: {told} ({oldest})");
            let refusal = Refusal::new(410, "Expired", message);
            return vec![json!({"type": "ERROR", "object": refusal.body()})];
        };
        let events = changes.filter_map(|change| self.event(change)).collect();
        self.told = Some(store.version());
        events
    }

    /// The last event of a watch that has run its time.
    pub fn last(&mut self) -> Option<Value> {
        self.ended = true;
        let version = self.told.filter(|_| self.bookmarks)?;
        Some(self.bookmark(version, false))
    }

    fn present(&self, store: &Store) -> Vec<Value> {
        let namespace = Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        let mut events: Vec<Value> = store
            .list(self.resource, namespace)
            .filter(|(_, object)| self.filter.passes(object))
            .map(|(_, object)| json!({"type": "ADDED", "object": self.shown(object)}))
            .collect();
        if self.initial && self.bookmarks {
            events.push(self.bookmark(store.version(), true));
        }
        events
    }

    fn event(&self, change: &Change) -> Option<Value> {
        let elsewhere = !self.namespace.is_empty() && change.key.0 != self.namespace;
        if change.resource != self.resource || elsewhere {
            return None;
        }
        let before = change.before.as_ref().filter(|object| self.filter.passes(object));
        let after = change.after.as_ref().filter(|object| self.filter.passes(object));
        let (kind, object) = match (before, after) {
            (None, None) => return None,
            (None, Some(after)) => ("ADDED", self.shown(after)),
            (Some(_), Some(after)) => ("MODIFIED", self.shown(after)),
            (Some(before), None) => {
                // What is told to be gone carries the version at which it went.
                let mut object = self.shown(before);
                object["metadata"]["resourceVersion"] = json!(change.version.to_string());
                ("DELETED", object)
            }
        };
        Some(json!({"type": kind, "object": object}))
    }

    fn shown(&self, object: &Value) -> Value {
        let mut object = object.clone();
        object["apiVersion"] = json!(self.api_version);
        object
    }

    fn bookmark(&self, version: u64, initial: bool) -> Value {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": self.resource.kind, "apiVersion": self.api_version, "metadata": metadata,
        });
        json!({"type": "BOOKMARK", "object": object})
    }
}

//! Records every change in a namespace, in the order in which the API server made them.
//!
//! In: watches. Out: the present objects, for waits; and the whole history, for
//! `sluice::sim::invariants`. Watches of different kinds are not in step with each other, but all
//! objects are in one etcd: resource versions order all changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::StreamExt;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams},
    core::GroupVersionKind,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use sluice::sim::invariants::{Change, Key};
use tokio::{sync::watch, task::JoinSet};

/// A kind: group, version, kind, plural.
pub type Kind = (&'static str, &'static str, &'static str, &'static str);

/// The kinds that are recorded: group, version, kind, plural.
const KINDS: [Kind; 12] = [
    ("sluice.dev", "v1alpha1", "Rollout", "rollouts"),
    ("sluice.dev", "v1alpha1", "AnalysisRun", "analysisruns"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("apps", "v1", "Deployment", "deployments"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Service", "services"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("batch", "v1", "Job", "jobs"),
    ("networking.istio.io", "v1", "VirtualService", "virtualservices"),
    ("networking.istio.io", "v1", "DestinationRule", "destinationrules"),
    ("events.k8s.io", "v1", "Event", "events"),
];

/// All changes seen so far, and what they add up to.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The changes, each kind's in order.
    pub changes: Vec<Change>,
    /// When each of them was seen here.
    pub times: Vec<Instant>,
    /// The present objects.
    pub present: BTreeMap<Key, Arc<Value>>,
    /// The last version at the last action of people.
    pub marked: u64,
    versions: BTreeMap<Key, u64>,
}

impl Seen {
    /// An object by kind and name; null if it is not there.
    pub fn get(&self, kind: &'static str, name: &str) -> &Value {
        self.present.get(&(kind, name.to_owned())).map_or(&Value::Null, |object| &**object)
    }

    /// All present objects of a kind, by name.
    pub fn all(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.present.iter().filter(move |(key, _)| key.0 == kind).map(|(_, object)| &**object)
    }

    /// All states that an object has had, oldest first.
    pub fn history(&self, kind: &'static str, name: &str) -> impl Iterator<Item = &Value> {
        let of_object = move |change: &&Change| change.key.0 == kind && change.key.1 == name;
        self.changes.iter().filter(of_object).filter_map(|change| change.object.as_deref())
    }

    /// All states that an object has had, oldest first, each with the moment when it was seen.
    pub fn timeline(
        &self,
        kind: &'static str,
        name: &str,
    ) -> impl Iterator<Item = (Instant, &Value)> {
        let of_object =
            move |(change, _): &(&Change, &Instant)| change.key.0 == kind && change.key.1 == name;
        let changes = self.changes.iter().zip(&self.times).filter(of_object);
        changes.filter_map(|(change, at)| Some((*at, change.object.as_deref()?)))
    }

    /// The changes in the order in which the API server made them.
    pub fn in_order(&self) -> Vec<Change> {
        let mut changes = self.changes.clone();
        changes.sort_by_key(|change| change.version);
        changes
    }

    /// The same, each with the moment when it was seen.
    pub fn timed(&self) -> (Vec<Change>, Vec<Instant>) {
        let mut all: Vec<_> = self.changes.iter().cloned().zip(self.times.clone()).collect();
        all.sort_by_key(|(change, _)| change.version);
        all.into_iter().unzip()
    }

    /// From here on it is watched how many pods are ready.
    pub fn mark(&mut self) {
        self.marked = self.changes.iter().map(|change| change.version).max().unwrap_or(0);
    }

    /// Texts of the Events about `name` with this reason.
    pub fn events(&self, name: &str, reason: &str) -> Vec<String> {
        let about =
            |event: &&Value| event["regarding"]["name"] == *name && event["reason"] == *reason;
        let texts = self.all("Event").filter(about);
        texts.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn record(&mut self, kind: &'static str, object: &DynamicObject, deleted: bool) {
        let key = (kind, object.metadata.name.clone().unwrap_or_default());
        let version = version_of(object);
        if self.versions.get(&key).is_some_and(|seen| *seen >= version) {
            return;
        }
        self.versions.insert(key.clone(), version);
        let json = || serde_json::to_value(object).expect("it came as JSON");
        let object = (!deleted).then(|| Arc::new(json()));
        match &object {
            Some(object) => self.present.insert(key.clone(), object.clone()),
            None => self.present.remove(&key),
        };
        self.changes.push(Change { key, version, object });
        self.times.push(Instant::now());
    }
}

/// Records a namespace until it is dropped.
pub struct Recorder {
    seen: Arc<Mutex<Seen>>,
    news: watch::Receiver<u64>,
    apis: Vec<(&'static str, Api<DynamicObject>)>,
    _tasks: JoinSet<()>,
}

impl Recorder {
    /// Starts to record.
    pub fn start(client: &Client, namespace: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (told, news) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let mut apis = Vec::new();
        for (group, version, kind, plural) in KINDS {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), namespace, &resource);
            apis.push((kind, api.clone()));
            let (seen, told) = (seen.clone(), told.clone());
            tasks.spawn(async move {
                let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
                while let Some(event) = events.next().await {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    match event {
                        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                            seen.record(kind, &object, false);
                        }
                        Ok(watcher::Event::Delete(object)) => seen.record(kind, &object, true),
                        // The watch is taken up again; a gap would show as a missing change.
                        Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
                    }
                    told.send_modify(|count| *count += 1);
                }
            });
        }
        Self { seen, news, apis, _tasks: tasks }
    }

    /// What has been seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds what it looks for, looking again after each change.
    pub async fn until<T>(&self, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let mut news = self.news.clone();
        loop {
            news.mark_unchanged();
            let found = look(&self.seen());
            if let Some(found) = found {
                return found;
            }
            if news.changed().await.is_err() {
                // The recorder is being dropped with the test that waits.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until everything that the API server shows now has been recorded.
    pub async fn catch_up(&self) {
        for (kind, api) in &self.apis {
            let listed = api.list(&ListParams::default()).await.expect("the API server answers");
            for object in listed.items {
                let name = object.metadata.name.unwrap_or_default();
                let version: u64 =
                    object.metadata.resource_version.unwrap_or_default().parse().unwrap_or(0);
                let key = (*kind, name);
                self.until(|seen| {
                    (seen.versions.get(&key).copied().unwrap_or(0) >= version).then_some(())
                })
                .await;
            }
        }
    }
}

/// Reads back all that happened to the recorded kinds, and to those in `more`, since the resource
/// version `from`: every change, by namespaces. The API server must have no watch cache, so that it
/// asks etcd, and nothing else may happen meanwhile.
pub async fn read_back(client: &Client, from: &str, more: &[Kind]) -> BTreeMap<String, Seen> {
    let mut namespaces: BTreeMap<String, Seen> = BTreeMap::new();
    let oldest: u64 = from.parse().expect("a resource version");
    for (group, version, kind, plural) in KINDS.iter().chain(more).copied() {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let mut listed = api.list(&ListParams::default()).await.expect("the API server answers");
        listed.items.retain(|object| version_of(object) > oldest);
        let mut events = api.watch(&WatchParams::default(), from).await.expect("a watch").boxed();
        // Complete when what happened adds up to what is there.
        while !adds_up(&listed.items, kind, &namespaces) {
            let (object, deleted) = match events.next().await.expect("more events") {
                Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => (object, false),
                Ok(WatchEvent::Deleted(object)) => (object, true),
                Ok(WatchEvent::Bookmark(_)) => continue,
                other => panic!("the history of {plural} cannot be read: {other:?}"),
            };
            let namespace = object.metadata.namespace.clone().unwrap_or_default();
            namespaces.entry(namespace).or_default().record(kind, &object, deleted);
        }
    }
    namespaces
}

/// Whether the objects of a kind that were read back are those that are listed.
fn adds_up(
    listed: &[DynamicObject],
    kind: &'static str,
    namespaces: &BTreeMap<String, Seen>,
) -> bool {
    let read = namespaces.values().map(|seen| seen.all(kind).count()).sum::<usize>();
    read == listed.len()
        && listed.iter().all(|object| {
            let metadata = &object.metadata;
            let key = (kind, metadata.name.clone().unwrap_or_default());
            let seen = namespaces.get(metadata.namespace.as_deref().unwrap_or_default());
            seen.and_then(|seen| seen.versions.get(&key)) == Some(&version_of(object))
        })
}

fn version_of(object: &DynamicObject) -> u64 {
    let version = object.metadata.resource_version.as_deref().unwrap_or_default();
    version.parse().expect("resource versions are numbers in etcd's order")
}

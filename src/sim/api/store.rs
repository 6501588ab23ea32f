//! Objects, their versions, and the log of every change.
//!
//! In: writes that [`super::admission`] has let pass. Out: the objects after them, and a log in the
//! order of the writes, which watches, the cluster's own controllers and transcripts read.

mod parts;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Refusal, Resource, admission, limits,
    managed_fields::{Writer, record},
    resource,
};
pub(super) use parts::expect;
use parts::{add_finalizer, crc, grace_seconds, is_finished, merged, suffix, waits};

/// Namespace (empty for what is in none) and name.
pub type Key = (String, String);

/// Changes that are kept; older ones are gone, and a watch from there is answered 410.
const KEPT_CHANGES: usize = 20_000;

/// The simulated time, in microseconds. Cheap to share.
#[derive(Clone, Debug)]
pub struct Time(Arc<AtomicI64>);

impl Time {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_microsecond())))
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Sets the present; it never goes back.
    pub fn set(&self, now: Timestamp) {
        self.0.fetch_max(now.as_microsecond(), Ordering::Relaxed);
    }
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The kind of object.
    pub resource: &'static Resource,
    /// The object.
    pub key: Key,
    /// The resource version that the change made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// The field manager that wrote.
    pub by: String,
    /// `status` or `scale`, if the write went there.
    pub subresource: Option<String>,
    /// The object before; none if it is new.
    pub before: Option<Arc<Value>>,
    /// The object after; none if it is gone.
    pub after: Option<Arc<Value>>,
}

/// What must hold for a deletion, and how it is done.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// Only this object, not another of the same name.
    pub uid: Option<String>,
    /// Only this version of it.
    pub resource_version: Option<String>,
    /// Seconds that a pod gets; none for its own wish.
    pub grace_period_seconds: Option<i64>,
    /// `Background`, `Foreground` or `Orphan`; none for what the kind does by default.
    pub propagation: Option<String>,
}

/// The objects.
#[derive(Debug)]
pub struct Store {
    time: Time,
    version: u64,
    serial: u64,
    objects: BTreeMap<&'static str, BTreeMap<Key, Arc<Value>>>,
    log: VecDeque<Change>,
    changed: tokio::sync::watch::Sender<u64>,
}

impl Store {
    /// An empty cluster with the namespace `default`.
    pub fn new(time: Time) -> Self {
        let mut store = Self {
            time,
            version: 1,
            serial: 0,
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            changed: tokio::sync::watch::Sender::new(1),
        };
        store.ensure_namespace("default");
        store
    }

    /// The clock.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// Tells the version of each change.
    pub fn changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// A copy without the log, to try a write on.
    #[must_use]
    pub fn scratch(&self) -> Self {
        Self {
            time: self.time.clone(),
            version: self.version,
            serial: self.serial,
            objects: self.objects.clone(),
            log: VecDeque::new(),
            changed: tokio::sync::watch::Sender::new(self.version),
        }
    }

    /// Goes on with the made-up names and uids where a scratch copy has stopped, so that none comes
    /// twice.
    pub fn skip_names_of(&mut self, scratch: &Self) {
        self.serial = scratch.serial;
    }

    /// Forgets the log, as after a compaction: watches from earlier versions are answered 410.
    pub fn compact(&mut self) {
        self.log.clear();
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Creates a namespace unless it is there.
    pub fn ensure_namespace(&mut self, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        // The only refusal is that it exists.
        let _ = self.create(&writer("simulation"), &resource::NAMESPACE, "", object);
    }

    /// An object.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(resource.plural)?.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All objects of a kind in one namespace, or in all, by namespace and name.
    pub fn list<'a>(
        &'a self,
        resource: &Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let all = self.objects.get(resource.plural).into_iter().flatten();
        all.filter(move |(key, _)| namespace.is_none_or(|namespace| key.0 == namespace))
    }

    /// Changes after `version`, oldest first; none if some of them are no longer kept.
    pub fn changes_since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        let oldest = self.log.front().map_or(self.version + 1, |change| change.version);
        if version.saturating_add(1) < oldest && version < self.version {
            return None;
        }
        // Versions are dense: each change has the one after its predecessor's.
        let skip = usize::try_from((version + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        Some(self.log.iter().skip(skip))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// It exists, its namespace does not, or it breaks the rules of its kind.
    pub fn create(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        admission::decodable(resource, &object)?;
        let name = self.name_for(resource, &object)?;
        if resource.namespaced && self.get(&resource::NAMESPACE, "", namespace).is_none() {
            return Err(Refusal::not_found(&resource::NAMESPACE, namespace));
        }
        object["metadata"]["name"] = json!(name);
        object["apiVersion"] = json!(resource.api_version());
        object["kind"] = json!(resource.kind);
        if resource.status && resource.custom {
            object.as_object_mut().map(|fields| fields.remove("status"));
        }
        self.serial += 1;
        let uid = format!("{:08x}-0000-4000-8000-{:012x}", crc(&name), self.serial);
        let metadata = &mut object["metadata"];
        if resource.namespaced {
            metadata["namespace"] = json!(namespace);
        }
        metadata["uid"] = json!(uid);
        metadata["creationTimestamp"] = json!(self.second());
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"] {
            metadata.as_object_mut().map(|fields| fields.remove(field));
        }
        let applies = by.operation == "Apply";
        if !applies {
            metadata.as_object_mut().map(|fields| fields.remove("managedFields"));
        }
        if admission::has_generation(resource) {
            metadata["generation"] = json!(1);
        } else {
            metadata.as_object_mut().map(|fields| fields.remove("generation"));
        }
        admission::admit_with(resource, None, None, &mut object, &|object| {
            limits::complete(self, resource, namespace, object)
        })?;
        if resource == &resource::POD {
            limits::range::judge(self, namespace, &object)?;
        }
        let charged = limits::quota::charged(self, resource, namespace, None, &object)?;
        if self.get(resource, namespace, &name).is_some() {
            return Err(Refusal::already_exists(resource, &name));
        }
        self.charge(charged);
        if resource == &resource::NAMESPACE {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
        }
        if !applies {
            record(&Value::Null, &mut object, by, &self.second());
        }
        Ok(self.commit(by, resource, (namespace.to_owned(), name), None, object))
    }

    /// Writes what quotas are charged.
    fn charge(&mut self, quotas: Vec<(Key, Value)>) {
        let by = status_writer("kube-apiserver");
        for (key, quota) in quotas {
            // They are as they were read a moment ago.
            let _ = self.replace(&by, &resource::RESOURCE_QUOTA, &key, quota);
        }
    }

    /// Replaces an object, or its status or scale, by `new`. A resource version in `new` must be the
    /// present one. A write that changes nothing makes no new version.
    ///
    /// # Errors
    /// It does not exist, has changed since, or would break the rules of its kind.
    pub fn replace(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        key: &Key,
        new: Value,
    ) -> Result<Arc<Value>, Refusal> {
        let (namespace, name) = key;
        let old = self.get(resource, namespace, name).cloned();
        let old = old.ok_or_else(|| Refusal::not_found(resource, name))?;
        // Only people write what cannot be decoded, and they do not write the status.
        if by.subresource.is_none() {
            admission::decodable(resource, &new)?;
        }
        let expected = new["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !expected.is_empty() && old["metadata"]["resourceVersion"] != *expected {
            return Err(Refusal::modified(resource, name));
        }
        let uid = &new["metadata"]["uid"];
        if !uid.is_null() && *uid != old["metadata"]["uid"] {
            let expected = uid.as_str().unwrap_or_default();
            let found = old["metadata"]["uid"].as_str().unwrap_or_default();
            let group = if resource.custom { resource.group } else { "" };
            let place = [group, resource.plural, namespace, name];
            let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {expected}, UID in object meta: {found}",
                place.join("/")
            );
            return Err(Refusal::conflict(resource, name, &why));
        }
        let fields = (by.operation == "Apply").then(|| new["metadata"]["managedFields"].clone());
        let mut new = merged(resource, by.subresource, &old, new);
        if let Some(fields) = fields.clone() {
            new["metadata"]["managedFields"] = fields;
        }
        admission::admit(resource, by.subresource, Some(&old), &mut new)?;
        if admission::has_generation(resource) && admission::differs_in_spec(resource, &old, &new) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
            new["metadata"]["generation"] = json!(generation + 1);
        }
        if new == *old {
            return Ok(old);
        }
        if by.subresource.is_none() {
            let charged = limits::quota::charged(self, resource, namespace, Some(&old), &new)?;
            self.charge(charged);
        }
        if fields.is_none() {
            record(&old, &mut new, by, &self.second());
        }
        if is_finished(&new) {
            self.erase(by, resource, key, old);
            return Ok(Arc::new(new));
        }
        Ok(self.commit(by, resource, key.clone(), Some(old), new))
    }

    /// Deletes an object, or marks it as deleted where something must happen before. Returns the
    /// object, and whether it is gone.
    ///
    /// # Errors
    /// It does not exist, or is not the one that `how` expects.
    pub fn delete(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        key: &Key,
        how: &Deletion,
    ) -> Result<(Arc<Value>, bool), Refusal> {
        let (namespace, name) = key;
        let old = self.get(resource, namespace, name).cloned();
        let old = old.ok_or_else(|| Refusal::not_found(resource, name))?;
        expect(resource, name, &old, how)?;
        let mut new = (*old).clone();
        let finalizer = match how.propagation.as_deref() {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            None if resource == &resource::JOB => Some("orphan"),
            _ => None,
        };
        if let Some(finalizer) = finalizer {
            add_finalizer(&mut new, finalizer);
        }
        let grace = grace_seconds(resource, &old, how);
        if by.subresource == Some("finalize") {
            new["spec"]["finalizers"] = json!([]);
        }
        if grace == 0 && !waits(&new) {
            return Ok((self.erase(by, resource, key, old), true));
        }
        if old["metadata"]["deletionTimestamp"].is_null() {
            let at = self.time.now().checked_add(SignedDuration::from_secs(grace));
            new["metadata"]["deletionTimestamp"] = json!(second(at.unwrap_or_default()));
            if admission::has_generation(resource) {
                let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
                new["metadata"]["generation"] = json!(generation + 1);
            }
        }
        let present = new["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(grace);
        new["metadata"]["deletionGracePeriodSeconds"] = json!(grace.min(present));
        if resource == &resource::NAMESPACE {
            new["status"]["phase"] = json!("Terminating");
        }
        if new == *old {
            return Ok((old, false));
        }
        Ok((self.commit(by, resource, key.clone(), Some(old), new), false))
    }

    fn erase(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        key: &Key,
        old: Arc<Value>,
    ) -> Arc<Value> {
        self.objects.entry(resource.plural).or_default().remove(key);
        self.version += 1;
        let mut last = (*old).clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.note(by, resource, key.clone(), Some(old), None);
        Arc::new(last)
    }

    /// Puts an object into the store as it is, as an older version let it into etcd: nothing is
    /// checked. The present object's uid stays.
    pub fn plant(&mut self, resource: &'static Resource, key: &Key, mut object: Value) {
        let before = self.get(resource, &key.0, &key.1).cloned();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(key.1);
        if resource.namespaced {
            metadata["namespace"] = json!(key.0);
        }
        if let Some(before) = &before {
            metadata["uid"] = before["metadata"]["uid"].clone();
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            metadata["generation"] = json!(generation + 1);
        }
        object["apiVersion"] = json!(resource.api_version());
        object["kind"] = json!(resource.kind);
        self.commit(&writer("etcd"), resource, key.clone(), before, object);
    }

    fn commit(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        key: Key,
        before: Option<Arc<Value>>,
        mut object: Value,
    ) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        self.objects.entry(resource.plural).or_default().insert(key.clone(), object.clone());
        self.note(by, resource, key, before, Some(object.clone()));
        object
    }

    fn note(
        &mut self,
        by: &Writer,
        resource: &'static Resource,
        key: Key,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        if self.log.len() >= KEPT_CHANGES {
            self.log.pop_front();
        }
        self.log.push_back(Change {
            resource,
            key,
            version: self.version,
            at: self.time.now(),
            by: by.manager.to_owned(),
            subresource: by.subresource.map(str::to_owned),
            before,
            after,
        });
        self.changed.send_replace(self.version);
    }

    /// The name in the metadata, or one made from `generateName`.
    fn name_for(&mut self, resource: &Resource, object: &Value) -> Result<String, Refusal> {
        let metadata = &object["metadata"];
        if let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) {
            return Ok(name.to_owned());
        }
        let Some(base) = metadata["generateName"].as_str().filter(|base| !base.is_empty()) else {
            let why = "Required value: name or generateName is required".to_owned();
            let cause = ("metadata.name".to_owned(), "FieldValueRequired", why);
            return Err(Refusal::invalid(resource, "", &[cause]));
        };
        self.serial += 1;
        Ok(format!("{}{}", base.get(..58).unwrap_or(base), suffix(self.serial)))
    }

    fn second(&self) -> String {
        second(self.time.now())
    }
}

/// A plain write by `manager`.
pub fn writer(manager: &str) -> Writer<'_> {
    Writer { manager, operation: "Update", subresource: None }
}

/// A write of a status by `manager`.
pub fn status_writer(manager: &str) -> Writer<'_> {
    Writer { manager, operation: "Update", subresource: Some("status") }
}

/// RFC 3339 to the second, as Kubernetes writes times.
pub fn second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests;

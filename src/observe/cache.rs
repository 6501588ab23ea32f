//! A cache of one kind of object, fed by a watch *and* by the answers to our own writes.
//!
//! kube-runtime's reflector knows no write-through: after a write it shows the old object until the
//! watch catches up, and a decision made in between acts on old facts (lessons 44 and 45). Here an
//! object is replaced by any newer version of it, whichever way it comes; an older one is ignored.
//! Resource versions of one kind are compared as numbers, as Kubernetes has allowed since 1.35
//! (KEP-5504) and etcd has always ordered them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jiff::Timestamp;

/// Namespace (empty for cluster-wide kinds) and name.
pub type Key = (String, String);

/// What a cached value must tell about itself.
pub trait Cached: PartialEq {
    /// The name, in its own namespace, of the object that it belongs to, if it is looked up by that.
    fn group(&self) -> Option<&str> {
        None
    }

    /// Whether `since` of the value before still holds: what it counts from has not changed.
    fn continues(&self, before: &Self) -> bool {
        self == before
    }
}

/// A cached value.
#[derive(Debug)]
pub struct Entry<V> {
    /// The value.
    pub value: Arc<V>,
    /// Its resource version.
    pub version: String,
    /// Since when this process sees it as it is.
    pub since: Timestamp,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), version: self.version.clone(), since: self.since }
    }
}

/// The cached objects of one kind.
#[derive(Debug)]
pub struct Cache<V> {
    inner: RwLock<Inner<V>>,
}

#[derive(Debug)]
struct Inner<V> {
    entries: BTreeMap<Key, Entry<V>>,
    groups: BTreeMap<Key, BTreeSet<Key>>,
    /// Names seen since a listing began; at its end all others are gone.
    listing: Option<BTreeSet<Key>>,
    complete: bool,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        let inner = Inner {
            entries: BTreeMap::new(),
            groups: BTreeMap::new(),
            listing: None,
            complete: false,
        };
        Self { inner: RwLock::new(inner) }
    }
}

impl<V: Cached> Cache<V> {
    /// Takes in what `read` makes of an object, unless this version or a newer one is there already:
    /// each of our own writes comes twice, as its answer and by the watch. Returns whether anything
    /// that we look at has changed.
    pub fn take(
        &self,
        key: Key,
        version: &str,
        now: Timestamp,
        read: impl FnOnce(Option<Arc<V>>) -> V,
    ) -> bool {
        let before = {
            let inner = self.read();
            let before = inner.entries.get(&key);
            let known = |before: &Entry<V>| number(&before.version) >= number(version);
            if inner.listing.is_none() && before.is_some_and(known) {
                return false;
            }
            before.map(|before| before.value.clone())
        };
        self.put(key, version, read(before), now)
    }

    /// Takes in an object. Returns whether anything that we look at has changed.
    fn put(&self, key: Key, version: &str, value: V, now: Timestamp) -> bool {
        let mut inner = self.write();
        if let Some(listing) = &mut inner.listing {
            listing.insert(key.clone());
        }
        let before = inner.entries.get(&key);
        if before.is_some_and(|before| number(&before.version) > number(version)) {
            return false;
        }
        let since = match before {
            Some(before) if value.continues(&before.value) => before.since,
            _ => now,
        };
        let changed = before.is_none_or(|before| *before.value != value);
        let old_group = before.and_then(|before| before.value.group().map(String::from));
        let group = value.group().map(String::from);
        if old_group != group {
            if let Some(old) = old_group {
                inner.ungroup(&key, old);
            }
            if let Some(group) = group {
                inner.groups.entry((key.0.clone(), group)).or_default().insert(key.clone());
            }
        }
        let entry = Entry { value: Arc::new(value), version: version.to_owned(), since };
        inner.entries.insert(key, entry);
        changed
    }

    /// Forgets an object that was deleted at `version`, unless a newer one has taken its name.
    /// Returns what it was.
    pub fn remove(&self, key: &Key, version: &str) -> Option<Arc<V>> {
        let mut inner = self.write();
        let newer = |entry: &Entry<V>| number(&entry.version) > number(version);
        if inner.entries.get(key).is_some_and(newer) {
            return None;
        }
        inner.remove(key)
    }

    /// A listing begins: what it does not name is gone at its end.
    pub fn begin_listing(&self) {
        self.write().listing = Some(BTreeSet::new());
    }

    /// The listing has ended. Returns the objects that are gone.
    pub fn end_listing(&self) -> Vec<(Key, Arc<V>)> {
        let mut inner = self.write();
        inner.complete = true;
        let Some(listed) = inner.listing.take() else { return Vec::new() };
        let gone: Vec<Key> =
            inner.entries.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        gone.into_iter().filter_map(|key| inner.remove(&key).map(|value| (key, value))).collect()
    }

    /// Whether a listing has ever ended.
    pub fn is_complete(&self) -> bool {
        self.read().complete
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Entry<V>> {
        self.read().entries.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The objects that belong to `group`, by name.
    pub fn in_group(&self, namespace: &str, group: &str) -> Vec<(Key, Entry<V>)> {
        let inner = self.read();
        let keys = inner.groups.get(&(namespace.to_owned(), group.to_owned()));
        let found = keys.into_iter().flatten();
        found.filter_map(|key| Some((key.clone(), inner.entries.get(key)?.clone()))).collect()
    }

    /// All objects of a namespace whose names begin with `prefix`.
    pub fn with_prefix(&self, namespace: &str, prefix: &str) -> Vec<(Key, Entry<V>)> {
        let inner = self.read();
        let from = (namespace.to_owned(), prefix.to_owned());
        let matches = |key: &Key| key.0 == namespace && key.1.starts_with(prefix);
        let range = inner.entries.range(from..).take_while(|(key, _)| matches(key));
        range.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }

    /// All objects.
    pub fn all(&self) -> Vec<(Key, Entry<V>)> {
        self.read().entries.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<V>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<V>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Cached> Inner<V> {
    fn remove(&mut self, key: &Key) -> Option<Arc<V>> {
        let entry = self.entries.remove(key)?;
        if let Some(group) = entry.value.group().map(String::from) {
            self.ungroup(key, group);
        }
        Some(entry.value)
    }

    fn ungroup(&mut self, key: &Key, group: String) {
        let group = (key.0.clone(), group);
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(key);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }
}

fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing(&'static str, u8);

    impl Cached for Thing {
        fn group(&self) -> Option<&str> {
            Some(self.0)
        }

        fn continues(&self, before: &Self) -> bool {
            self.1 == before.1
        }
    }

    fn key(name: &str) -> Key {
        ("shop".into(), name.into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let cache = Cache::default();
        assert!(cache.put(key("a"), "10", Thing("g", 2), at(1)), "own write");
        assert!(!cache.put(key("a"), "9", Thing("g", 1), at(2)), "late watch event");
        assert!(!cache.put(key("a"), "10", Thing("g", 2), at(3)), "the watch catches up");
        assert_eq!(cache.get("shop", "a").unwrap().value.1, 2);
    }

    #[test]
    fn what_is_there_already_is_not_read_again() {
        let cache = Cache::default();
        let mut read = 0;
        for version in ["10", "10", "9", "11"] {
            cache.take(key("a"), version, at(1), |_| {
                read += 1;
                Thing("g", read)
            });
        }
        assert_eq!(cache.get("shop", "a").unwrap().value.1, 2, "10 and 11");
        cache.begin_listing();
        cache.take(key("a"), "11", at(1), |_| Thing("g", 2));
        assert!(cache.end_listing().is_empty(), "a listing names what is there already");
    }

    #[test]
    fn since_survives_what_it_does_not_count_from() {
        let cache = Cache::default();
        cache.put(key("a"), "1", Thing("g", 1), at(1));
        cache.put(key("a"), "2", Thing("h", 1), at(2));
        assert_eq!(cache.get("shop", "a").unwrap().since, at(1));
        cache.put(key("a"), "3", Thing("h", 2), at(3));
        assert_eq!(cache.get("shop", "a").unwrap().since, at(3));
    }

    #[test]
    fn groups_follow_the_value() {
        let cache = Cache::default();
        cache.put(key("a"), "1", Thing("g", 1), at(1));
        cache.put(key("a"), "2", Thing("h", 1), at(1));
        assert!(cache.in_group("shop", "g").is_empty());
        assert_eq!(cache.in_group("shop", "h").len(), 1);
        cache.remove(&key("a"), "1");
        assert_eq!(cache.in_group("shop", "h").len(), 1, "a late deletion of an older object");
        cache.remove(&key("a"), "3");
        assert!(cache.in_group("shop", "h").is_empty());
    }

    #[test]
    fn a_listing_ends_what_it_does_not_name() {
        let cache = Cache::default();
        cache.put(key("a"), "1", Thing("g", 1), at(1));
        cache.put(key("b"), "1", Thing("g", 1), at(1));
        cache.begin_listing();
        cache.put(key("b"), "1", Thing("g", 1), at(2));
        cache.put(key("c"), "5", Thing("g", 1), at(2));
        let gone = cache.end_listing();
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].0, key("a"));
        assert!(cache.is_complete());
        assert_eq!(cache.with_prefix("shop", "b").len(), 1);
    }
}

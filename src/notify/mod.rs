//! Tells people of releases: Slack, webhooks, Alertmanager.
//!
//! What happened is taken from the difference between two statuses (`facts`) and stands in an outbox
//! in the status (`outbox`) from the very write that made it happen. What to do about it next is
//! decided purely (`next`); the controller's queue does it, an item of its own for each Rollout and
//! target, so that no pass waits for anybody outside. `clicks` is the way back: buttons in Slack.
//!
//! In: worlds, the ConfigMap and the Secret `sluice-notifications`. Out: requests to others; status
//! and annotations are written by the controller and by `clicks`.

pub mod alert;
pub mod clicks;
pub mod config;
pub mod facts;
pub mod hmac;
pub mod http;
pub mod next;
pub mod outbox;
pub mod slack;
pub mod target;
pub mod webhook;
pub mod words;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, watch};

use crate::{
    api::{Notification, RolloutStatus},
    observe::cache::Key,
    world::World,
};
use config::Config;
use http::Http;
use next::Memo;
use target::{Subscription, subscription};

/// Requests that are under way at once, whatever the number of Rollouts.
const AT_ONCE: usize = 8;

/// The longest pause after a failure.
const LONGEST_PAUSE: i64 = 60;

/// A memo's name: Rollout, target, release.
type Name = (Key, String, String);

/// What the notifier knows.
pub struct Notifier {
    /// The way to those who are told.
    pub http: Http,
    /// Requests that may be under way.
    pub slots: Semaphore,
    config: RwLock<Arc<Config>>,
    known: watch::Sender<bool>,
    memos: Mutex<BTreeMap<Name, Memo>>,
    /// Services that asked us to wait, and until when.
    holds: Mutex<BTreeMap<&'static str, Timestamp>>,
    /// Problems that were told, by Rollout.
    told: Mutex<BTreeMap<Key, BTreeSet<String>>>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            http: Http::default(),
            slots: Semaphore::new(AT_ONCE),
            config: RwLock::default(),
            known: watch::Sender::new(false),
            memos: Mutex::default(),
            holds: Mutex::default(),
            told: Mutex::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notifier {
    /// A notifier that knows nothing yet.
    pub fn new(http: Http) -> Self {
        Self { http, ..Self::default() }
    }

    /// The configuration.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a new configuration. What failed before is tried again at once.
    pub fn set_config(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        for memo in locked(&self.memos).values_mut() {
            memo.not_before = None;
            memo.failures = 0;
        }
        locked(&self.holds).clear();
        locked(&self.told).clear();
        self.set_known();
    }

    /// The configuration is as good as it gets: it was read, or cannot be.
    pub fn set_known(&self) {
        self.known.send_replace(true);
    }

    /// Waits until the configuration is known.
    pub async fn known(&self) {
        // The sender lives as long as we do.
        let _ = self.known.subscribe().wait_for(|known| *known).await;
    }

    /// Who is told of a Rollout's releases.
    pub fn subscription(&self, world: &World) -> Subscription {
        subscription(&self.config(), &world.rollout)
    }

    /// The notifications that belong into the status `after` a pass; none if they are there already.
    pub fn record(&self, world: &World, after: &RolloutStatus) -> Option<Vec<Notification>> {
        let before = &world.rollout.status.notifications;
        let known = *self.known.borrow();
        let config = self.config();
        let targets = subscription(&config, &world.rollout).targets;
        if !known || (targets.is_empty() && before.is_empty()) {
            return None;
        }
        let list = outbox::record(world, after, &targets, &config.words);
        if list == *before {
            return None;
        }
        let key = (world.rollout.namespace.clone(), world.rollout.name.clone());
        let new = list.iter().filter(|entry| !before.iter().any(|old| is_same(old, entry)));
        let mut memos = locked(&self.memos);
        for entry in new {
            // Nobody can have told of it before it stands in the status.
            let memo = Memo::new(&entry.release, true, world.now);
            memos.entry(name(&key, entry)).or_insert(memo);
        }
        Some(list)
    }

    /// What is known of an entry.
    pub fn memo(&self, key: &Key, entry: &Notification, now: Timestamp) -> Memo {
        let mut memos = locked(&self.memos);
        let memo = memos.entry(name(key, entry));
        memo.or_insert_with(|| Memo::new(&entry.release, false, now)).clone()
    }

    /// Changes what is known of an entry.
    pub fn learn(&self, key: &Key, entry: &Notification, change: impl FnOnce(&mut Memo)) {
        if let Some(memo) = locked(&self.memos).get_mut(&name(key, entry)) {
            change(memo);
        }
    }

    /// A failure: nothing is sent for a while, ever longer. Returns until when.
    pub fn pause(&self, key: &Key, entry: &Notification, now: Timestamp) -> Timestamp {
        let mut until = now;
        self.learn(key, entry, |memo| {
            let seconds = (1_i64 << memo.failures.min(6)).min(LONGEST_PAUSE);
            memo.failures = memo.failures.saturating_add(1);
            until = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
            memo.not_before = Some(until);
        });
        until
    }

    /// A service asked to wait, for all of its messages.
    pub fn hold(&self, service: &'static str, until: Timestamp) {
        locked(&self.holds).insert(service, until);
    }

    /// Until when a service is to be left alone.
    pub fn held(&self, service: &'static str, now: Timestamp) -> Option<Timestamp> {
        locked(&self.holds).get(service).copied().filter(|until| *until > now)
    }

    /// Forgets what is known of entries that are no more.
    pub fn keep(&self, key: &Key, entries: &[Notification]) {
        locked(&self.memos).retain(|(of, to, release), _| {
            of != key || entries.iter().any(|entry| entry.to == *to && entry.release == *release)
        });
    }

    /// Those of `problems` that have not been told of this Rollout.
    pub fn news(&self, key: &Key, problems: Vec<String>) -> Vec<String> {
        let mut told = locked(&self.told);
        if problems.is_empty() && !told.contains_key(key) {
            return problems;
        }
        let told = told.entry(key.clone()).or_default();
        problems.into_iter().filter(|problem| told.insert(problem.clone())).collect()
    }

    /// A Rollout is gone.
    pub fn forget(&self, key: &Key) {
        self.keep(key, &[]);
        locked(&self.told).remove(key);
    }
}

fn is_same(a: &Notification, b: &Notification) -> bool {
    a.to == b.to && a.release == b.release
}

fn name(key: &Key, entry: &Notification) -> Name {
    (key.clone(), entry.to.clone(), entry.release.clone())
}

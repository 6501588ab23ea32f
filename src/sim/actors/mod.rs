//! The cluster's own controllers and its kubelet, in virtual time.
//!
//! In: the store's log of changes, and its clock. Out: what the real ones would write, under their
//! real names. All is a function of the store and of [`Settings`]: the same story gives the same
//! log. Each change leads to a few tasks (`routes`); a task looks at one object and does all that
//! is to be done there, so that it does not matter what changed, or how often.
//!
//! Time passes only between calls of [`Actors::settle`]: whoever owns the clock moves it on to
//! [`Actors::next_due`], or to something of its own that comes before.

mod autoscaler;
mod budget;
mod cluster;
mod deployment;
mod endpoints;
mod garbage;
mod index;
mod job;
mod kubelet;
mod object;
mod queue;
mod quota;
mod replica_set;
mod routes;
mod scheduler;
mod selector;
mod settings;

use jiff::Timestamp;

pub use self::settings::{Load, Settings, Version};
use self::{
    autoscaler::Autoscalers,
    cluster::Cluster,
    index::Index,
    job::Jobs,
    kubelet::Kubelet,
    queue::{Actor, Queue, Task},
    replica_set::ReplicaSets,
    routes::{Noticed, Router},
    scheduler::Scheduler,
};
use super::api::{Store, resource};

/// The field manager of all controllers.
const CONTROLLERS: &str = "kube-controller-manager";

/// The actors, and what they remember.
#[derive(Debug, Default)]
pub struct Actors {
    settings: Settings,
    /// The version up to which the log was read.
    seen: u64,
    index: Index,
    queue: Queue,
    scheduler: Scheduler,
    kubelet: Kubelet,
    jobs: Jobs,
    autoscalers: Autoscalers,
    replica_sets: ReplicaSets,
}

impl Actors {
    /// Actors that have seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Changes what pods use from now on.
    pub fn set_load(&mut self, load: Load) {
        self.settings.load = load;
    }

    /// Carries out all that is to be done at the store's present time: reacts to changes since its
    /// last look, fires timers that are due. Returns when nothing is left to do at this instant.
    pub fn settle(&mut self, store: &mut Store) {
        loop {
            self.look(store);
            let tasks = self.queue.take(store.time().now());
            if tasks.is_empty() {
                return;
            }
            for task in tasks {
                let due = self.run(store, &task);
                self.queue.set(task, due);
            }
        }
    }

    /// When something is to be done next, if nothing changes until then.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_due()
    }

    /// Reads the log on from where it was read last.
    fn look(&mut self, store: &Store) {
        if store.version() == self.seen {
            return;
        }
        let Some(changes) = store.changes_since(self.seen) else {
            self.look_at_all(store);
            return;
        };
        for change in changes {
            let (before, after) = (change.before.as_deref(), change.after.as_deref());
            let (resource, key, by) = (change.resource, &change.key, change.by.as_str());
            self.notice(store, &Noticed { resource, key, by, before, after });
        }
        self.seen = store.version();
    }

    /// Starts anew from the objects, where the log does not reach back far enough.
    fn look_at_all(&mut self, store: &Store) {
        self.index = Index::default();
        for resource in resource::ALL {
            for (key, object) in store.list(resource, None) {
                self.index.note(resource, key, None, Some(object));
            }
        }
        for resource in resource::ALL {
            for (key, object) in store.list(resource, None) {
                let after = Some(&**object);
                self.route(store, &Noticed { resource, key, by: "", before: None, after });
            }
        }
        self.seen = store.version();
    }

    fn notice(&mut self, store: &Store, change: &Noticed) {
        self.index.note(change.resource, change.key, change.before, change.after);
        self.route(store, change);
    }

    fn route(&mut self, store: &Store, change: &Noticed) {
        let mut router = Router {
            store,
            index: &self.index,
            settings: &self.settings,
            now: store.time().now(),
            queue: &mut self.queue,
        };
        router.route(change);
    }

    /// Does a task. Returns when it is to be done again.
    fn run(&mut self, store: &mut Store, task: &Task) -> Option<Timestamp> {
        let now = store.time().now();
        let manager = match task.actor {
            Actor::Scheduler => "kube-scheduler",
            Actor::Kubelet => "kubelet",
            _ => CONTROLLERS,
        };
        let cluster =
            &mut Cluster { store, index: &self.index, settings: &self.settings, now, manager };
        let key = &task.key;
        match task.actor {
            Actor::Scheduler => self.scheduler.bind(cluster, key),
            Actor::Kubelet => return self.kubelet.step(cluster, key),
            Actor::Deployments => return deployment::sync(cluster, key),
            Actor::ReplicaSets => return self.replica_sets.sync(cluster, key),
            Actor::Jobs => return self.jobs.sync(cluster, key),
            Actor::JobPods => job::free(cluster, key),
            Actor::Endpoints => endpoints::sync(cluster, key),
            Actor::Budgets => return budget::sync(cluster, key),
            Actor::Autoscalers => return self.autoscalers.sync(cluster, key),
            Actor::Quotas => quota::sync(cluster, key),
            Actor::Garbage => garbage::collect(cluster, task.resource, key),
            Actor::Namespaces => garbage::empty(cluster, key),
        }
        None
    }
}

#[cfg(test)]
mod tests;

//! What is to be done, at once or at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::sim::api::{Key, Resource};

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// Binds pods to nodes.
    Scheduler,
    /// Runs pods.
    Kubelet,
    /// Scales Deployments' ReplicaSets.
    Deployments,
    /// Creates and deletes pods of ReplicaSets.
    ReplicaSets,
    /// Runs Jobs.
    Jobs,
    /// Frees pods of Jobs that are gone.
    JobPods,
    /// Publishes the addresses of pods.
    Endpoints,
    /// Counts what may be disrupted.
    Budgets,
    /// Scales what autoscalers name.
    Autoscalers,
    /// Counts what quotas limit.
    Quotas,
    /// Deletes what belongs to nothing.
    Garbage,
    /// Empties namespaces.
    Namespaces,
}

/// An object that an actor is to look at. It does all that is to be done there, whatever changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// Who.
    pub actor: Actor,
    /// The kind of object.
    pub resource: &'static Resource,
    /// The object.
    pub key: Key,
}

/// The tasks that wait. Each has at most one time.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeSet<Task>,
    times: BTreeMap<Task, Timestamp>,
    timers: BTreeSet<(Timestamp, Task)>,
}

impl Queue {
    /// To be done at once.
    pub fn add(&mut self, task: Task) {
        self.ready.insert(task);
    }

    /// To be done at `at`, unless it is to be done before.
    pub fn add_by(&mut self, task: Task, at: Timestamp) {
        if self.times.get(&task).is_none_or(|known| *known > at) {
            self.set(task, Some(at));
        }
    }

    /// To be done next at `at`, or not before something changes.
    pub fn set(&mut self, task: Task, at: Option<Timestamp>) {
        if let Some(before) = self.times.remove(&task) {
            self.timers.remove(&(before, task.clone()));
        }
        if let Some(at) = at {
            self.times.insert(task.clone(), at);
            self.timers.insert((at, task));
        }
    }

    /// All that is to be done by `now`.
    pub fn take(&mut self, now: Timestamp) -> BTreeSet<Task> {
        while let Some((at, task)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, task));
                break;
            }
            self.times.remove(&task);
            self.ready.insert(task);
        }
        std::mem::take(&mut self.ready)
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }
}

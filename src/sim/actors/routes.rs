//! Who is to look at what after a change.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    CONTROLLERS, Settings,
    index::Index,
    job, object,
    queue::{Actor, Queue, Task},
};
use crate::sim::api::{
    Key, Resource, Store,
    resource::{
        AUTOSCALER, DEPLOYMENT, DISRUPTION_BUDGET, JOB, NAMESPACE, POD, REPLICA_SET,
        RESOURCE_QUOTA, SERVICE,
    },
};

/// One change of one object.
#[derive(Clone, Copy)]
pub struct Noticed<'a> {
    /// The kind of object.
    pub resource: &'static Resource,
    /// The object.
    pub key: &'a Key,
    /// The field manager that wrote.
    pub by: &'a str,
    /// Before; none if it is new.
    pub before: Option<&'a Value>,
    /// After; none if it is gone.
    pub after: Option<&'a Value>,
}

/// Puts the tasks that follow from changes into the queue.
pub struct Router<'a> {
    /// The objects.
    pub store: &'a Store,
    /// Who belongs to whom, with this change.
    pub index: &'a Index,
    /// What was chosen.
    pub settings: &'a Settings,
    /// The present.
    pub now: Timestamp,
    /// Where the tasks go.
    pub queue: &'a mut Queue,
}

impl Router<'_> {
    /// Puts the tasks that follow from one change into the queue.
    pub fn route(&mut self, change: &Noticed) {
        let &Noticed { resource, key, by, before, after } = change;
        match resource.kind {
            "Pod" => self.pod(change),
            "Service" => self.publish(key),
            // What it wrote itself is as it wants it.
            "EndpointSlice" if by == CONTROLLERS && after.is_some() => {}
            "EndpointSlice" => self.of_controller(change, &SERVICE),
            "ReplicaSet" => {
                self.add(Actor::ReplicaSets, &REPLICA_SET, key);
                self.of_controller(change, &DEPLOYMENT);
                for budget in self.budgets_of_set(after.or(before)) {
                    self.add(Actor::Budgets, &DISRUPTION_BUDGET, &budget);
                }
            }
            "Deployment" => self.add(Actor::Deployments, &DEPLOYMENT, key),
            "Job" => self.add(Actor::Jobs, &JOB, key),
            // It looks when its time has come, whatever changes.
            "HorizontalPodAutoscaler" if before.is_none() => {
                let task =
                    Task { actor: Actor::Autoscalers, resource: &AUTOSCALER, key: key.clone() };
                let seconds = super::autoscaler::PERIOD_SECONDS;
                self.queue.add_by(task, object::after(self.now, seconds));
            }
            "ResourceQuota" if after.is_some() => self.add(Actor::Quotas, &RESOURCE_QUOTA, key),
            "PodDisruptionBudget" => self.add(Actor::Budgets, &DISRUPTION_BUDGET, key),
            "Namespace" if self.index.is_closing(&key.1) => {
                self.add(Actor::Namespaces, &NAMESPACE, key);
            }
            _ => {}
        }
        if resource.namespaced && self.index.is_closing(&key.0) {
            self.add(Actor::Namespaces, &NAMESPACE, &(String::new(), key.0.clone()));
        }
        self.quotas(change);
        self.garbage(change);
    }

    /// Quotas from which something is gone.
    fn quotas(&mut self, change: &Noticed) {
        let (resource, key) = (change.resource, change.key);
        let ends = |pod: &Value| resource == &POD && object::has_ended(pod);
        let gone = change.after.is_none_or(|after| ends(after) && !change.before.is_some_and(ends));
        if !gone || !resource.namespaced {
            return;
        }
        for (quota, _) in self.store.list(&RESOURCE_QUOTA, Some(&key.0)) {
            let task = Task { actor: Actor::Quotas, resource: &RESOURCE_QUOTA, key: quota.clone() };
            self.queue.add(task);
        }
    }

    fn add(&mut self, actor: Actor, resource: &'static Resource, key: &Key) {
        self.queue.add(Task { actor, resource, key: key.clone() });
    }

    fn publish(&mut self, service: &Key) {
        let task = Task { actor: Actor::Endpoints, resource: &SERVICE, key: service.clone() };
        self.queue.add_by(task, object::later(self.now, self.settings.publish_after));
    }

    fn pod(&mut self, change: &Noticed) {
        let key = change.key;
        let unbound = |pod: &Value| object::text(pod, "/spec/nodeName").is_empty();
        if change.after.is_some_and(unbound) {
            self.add(Actor::Scheduler, &POD, key);
        } else {
            self.add(Actor::Kubelet, &POD, key);
        }
        self.of_controller(change, &REPLICA_SET);
        self.of_controller(change, &JOB);
        if change.after.is_none() {
            self.of_deployment(change);
        }
        if change.after.is_some_and(|pod| job::is_orphan(self.index, pod)) {
            self.add(Actor::JobPods, &POD, key);
        }
        let sides = || change.before.into_iter().chain(change.after);
        let services: BTreeSet<String> =
            sides().flat_map(|pod| self.index.services(&key.0, pod)).collect();
        for service in services {
            self.publish(&(key.0.clone(), service));
        }
        let budgets: BTreeSet<String> =
            sides().flat_map(|pod| self.index.budgets(&key.0, pod)).collect();
        for budget in budgets {
            self.add(Actor::Budgets, &DISRUPTION_BUDGET, &(key.0.clone(), budget));
        }
    }

    /// The controller of the object, before and after, if it is of this kind.
    fn of_controller(&mut self, change: &Noticed, resource: &'static Resource) {
        for side in change.before.into_iter().chain(change.after) {
            let Some(owner) = object::controller(side).filter(|o| o["kind"] == *resource.kind)
            else {
                continue;
            };
            let owner = (change.key.0.clone(), object::text(owner, "/name").to_owned());
            match resource.kind {
                "Service" => self.publish(&owner),
                "ReplicaSet" => self.add(Actor::ReplicaSets, resource, &owner),
                "Deployment" => self.add(Actor::Deployments, resource, &owner),
                _ => {
                    let task = Task { actor: Actor::Jobs, resource, key: owner };
                    self.queue.add_by(task, object::later(self.now, self.settings.job_batch));
                }
            }
        }
    }

    /// The Deployment of a pod that is gone: `Recreate` waits for that.
    fn of_deployment(&mut self, change: &Noticed) {
        let set = change.before.and_then(object::controller);
        let set = set.and_then(|set| self.index.object(object::text(set, "/uid")));
        let Some((resource, key)) = set.filter(|(kind, _)| *kind == &REPLICA_SET) else { return };
        let set = self.store.get(resource, &key.0, &key.1);
        let owner = set.and_then(|set| object::controller(set));
        let Some(owner) = owner.filter(|owner| owner["kind"] == "Deployment") else { return };
        let owner = (key.0.clone(), object::text(owner, "/name").to_owned());
        self.add(Actor::Deployments, &DEPLOYMENT, &owner);
    }

    /// Budgets that count on the size of a ReplicaSet.
    fn budgets_of_set(&self, set: Option<&Value>) -> Vec<Key> {
        let Some(set) = set else { return Vec::new() };
        let namespace = object::text(set, "/metadata/namespace");
        let names = self.index.budgets(namespace, &set["spec"]["template"]);
        names.into_iter().map(|name| (namespace.to_owned(), name)).collect()
    }

    fn garbage(&mut self, change: &Noticed) {
        let &Noticed { resource, key, before, after, .. } = change;
        if let Some(after) = after {
            let waits = ["foregroundDeletion", "orphan"]
                .iter()
                .any(|finalizer| object::has_finalizer(after, finalizer));
            let lost = object::owners(after).iter().any(|owner| {
                let id = self.index.object(object::text(owner, "/uid"));
                !self.index.is_there(owner) || id.is_some_and(|id| self.is_going(id))
            });
            if object::is_deleting(after) && waits || lost {
                self.add(Actor::Garbage, resource, key);
            }
        }
        let Some(before) = before else { return };
        if after.is_none() {
            let dependents: Vec<_> = self.index.dependents(object::uid(before)).cloned().collect();
            for (resource, key) in dependents {
                self.add(Actor::Garbage, resource, &key);
                if resource == &POD {
                    self.add(Actor::JobPods, &POD, &key);
                }
            }
        }
        for owner in object::owners(before) {
            let id = self.index.object(object::text(owner, "/uid")).cloned();
            if let Some((resource, key)) = id.filter(|id| self.is_going(id)) {
                self.add(Actor::Garbage, resource, &key);
            }
        }
    }

    fn is_going(&self, (resource, key): &(&'static Resource, Key)) -> bool {
        let object = self.store.get(resource, &key.0, &key.1);
        object.is_some_and(|object| object::is_deleting(object))
    }
}

//! One simulated cluster with the controller at work in it, in virtual time.
//!
//! In: objects, and what people do. Out: the same objects later, the story, and what was broken of
//! what always holds. Everything happens on one thread and in one order, so that the same input gives
//! the same story: at each instant first the cluster's own controllers, then one pass of ours, until
//! nobody has anything to do; then the clock moves to whatever is due next.

mod control;
mod view;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::Value;

use super::{
    actors::{self, Actors},
    api::{
        Change, Refusal, Resource, Store,
        http::Server,
        managed_fields::Writer,
        resource,
        store::{Time, writer},
    },
    deliver::Network,
    invariants::{self, Checker, conduct::Conduct},
    mesh::{self, Mesh},
    transcript::Story,
};
pub use control::{Calls, Meets};
use control::{Running, Wire};
pub use view::View;

use crate::{
    apply::Journal,
    controller::{self},
    observe::Touched,
    plan::{Action, FIELD_MANAGER},
};

/// When simulations begin.
pub const START: &str = "2026-01-01T00:00:00Z";

/// Passes at one instant after which the controller goes round in circles.
const MOST_PASSES: usize = 20_000;

/// The simulated cluster.
pub struct Simulation {
    store: Arc<Mutex<Store>>,
    time: Time,
    actors: Actors,
    mesh: Mesh,
    client: Client,
    controller: Option<Running>,
    /// Controllers that lost the lease, and until when they go on.
    former: Vec<(Timestamp, Running)>,
    /// Controllers so far.
    controllers: u32,
    wire: Wire,
    network: Network,
    /// Microseconds by which the controller's clock is wrong.
    wrong: Arc<AtomicI64>,
    crashed: bool,
    passes: usize,
    reasons: Arc<Reasons>,
    told: u64,
    story: Story,
    history: Vec<Change>,
    /// The version at the last action of people.
    marked: u64,
    checkers: BTreeMap<String, Checker>,
    /// The same for what the controller can know: some of it comes late.
    known: BTreeMap<String, Checker>,
    /// Whether `known` begins with what this controller listed.
    knows: bool,
    conduct: Conduct,
    broken: Vec<String>,
}

/// Why each version came to be, where the controller wrote it.
struct Reasons {
    store: Arc<Mutex<Store>>,
    by_version: Mutex<BTreeMap<u64, String>>,
}

impl Journal for Reasons {
    fn writing(&self, action: &Action) {
        // One thread, and nobody writes in between: the write makes the next version.
        let next = locked(&self.store).version() + 1;
        locked(&self.by_version).insert(next, action.why.clone());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Simulation

impl Simulation {
    /// An empty cluster without a controller. To be called in a tokio runtime: the client's
    /// connection to the cluster is a task.
    pub fn new(actors: actors::Settings, users: mesh::Settings) -> Self {
        let start: Timestamp = START.parse().unwrap_or_default();
        let time = Time::new(start);
        let store = Arc::new(Mutex::new(Store::new(time.clone())));
        let client = Server::new(store.clone()).with_user("sluice", FIELD_MANAGER).client();
        let reasons = Arc::new(Reasons { store: store.clone(), by_version: Mutex::default() });
        let told = locked(&store).version();
        Self {
            told,
            store,
            mesh: Mesh::new(users, time.clone()),
            time,
            actors: Actors::new(actors),
            client,
            controller: None,
            former: Vec::new(),
            controllers: 0,
            wire: Wire::default(),
            network: Network::default(),
            wrong: Arc::default(),
            crashed: false,
            passes: 0,
            reasons,
            story: Story::new(start),
            history: Vec::new(),
            marked: 0,
            checkers: BTreeMap::new(),
            known: BTreeMap::new(),
            knows: false,
            conduct: Conduct::default(),
            broken: Vec::new(),
        }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// The objects.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.store)
    }

    /// A client of its API server, as the controller has one.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client of its API server, as a person has one; `program` is their client's name.
    pub fn client_of(&self, user: &str, program: &str) -> Client {
        Server::new(self.store.clone()).with_user(user, program).client()
    }

    /// The story so far.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// What was broken of what always holds.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// The requests of users.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Changes what pods use from now on.
    pub fn set_load(&mut self, load: actors::Load) {
        self.actors.set_load(load);
    }

    /// istiod comes or goes.
    pub fn set_istiod_up(&mut self, up: bool) {
        self.mesh.set_istiod_up(&locked(&self.store), up);
    }

    /// From here on it is watched how many pods are ready.
    pub fn mark(&mut self) {
        self.marked = locked(&self.store).version();
    }

    /// Adds a line to the story.
    pub fn say(&mut self, who: &str, what: &str, text: &str) {
        let now = self.now();
        self.story.say(now, who, what, text);
    }

    /// Somebody creates an object, or merges it over the present one.
    ///
    /// # Errors
    /// As the API server's.
    pub fn apply(
        &mut self,
        by: &str,
        resource: &'static Resource,
        namespace: &str,
        object: &Value,
    ) -> Result<(), Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = if resource.namespaced { namespace } else { "" };
        let mut store = locked(&self.store);
        let present = store.get(resource, namespace, name).cloned();
        let by = writer(by);
        match present {
            None => store.create(&by, resource, namespace, object.clone()).map(drop),
            Some(present) => {
                let mut new = (*present).clone();
                json_patch::merge(&mut new, object);
                write(&mut store, &by, resource, namespace, name, new)
            }
        }
    }

    /// Somebody edits an object.
    ///
    /// # Errors
    /// It does not exist, or the API server refuses the edit.
    pub fn edit(
        &mut self,
        by: &str,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Result<(), Refusal> {
        let namespace = if resource.namespaced { namespace } else { "" };
        let mut store = locked(&self.store);
        let present = store.get(resource, namespace, name).cloned();
        let mut new = (*present.ok_or_else(|| Refusal::not_found(resource, name))?).clone();
        edit(&mut new);
        write(&mut store, &writer(by), resource, namespace, name, new)
    }

    /// An object is in etcd that nobody checked: as [`Store::plant`].
    pub fn plant(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        as_is: Value,
    ) {
        let namespace = if resource.namespaced { namespace } else { "" };
        locked(&self.store).plant(resource, &(namespace.to_owned(), name.to_owned()), as_is);
    }

    /// Lets everything happen that happens at this instant.
    pub async fn settle(&mut self) {
        for _ in 0..MOST_PASSES {
            self.actors.settle(&mut locked(&self.store));
            self.follow();
            self.look_of_former().await;
            self.hear();
            let Some(running) = &mut self.controller else { return };
            let Some(item) = running.queue.take(running.context.clock.now()) else { return };
            let context = running.context.clone();
            self.passes += 1;
            let outcome = controller::look(&context, &item).await;
            controller::looked(&context, &mut running.queue, item, outcome);
            self.fate().await;
        }
        self.broken.push(format!("{MOST_PASSES} passes at one instant, and no end"));
        self.controller = None;
    }

    /// Moves on to the next instant at which something is due, at most to `limit`, and lets happen
    /// what happens then. Returns false when nothing is due before `limit`.
    pub async fn step(&mut self, limit: Timestamp) -> bool {
        let due = [self.actors.next_due(), self.due_of_controllers()];
        let due = due.into_iter().flatten().min();
        let more = due.is_some_and(|due| due < limit);
        let soonest = self.now().checked_add(SignedDuration::from_millis(1)).unwrap_or(limit);
        self.time.set(due.unwrap_or(limit).max(soonest).min(limit));
        self.settle().await;
        more
    }

    /// Lets time pass until `at`.
    pub async fn run_until(&mut self, at: Timestamp) {
        self.settle().await;
        while self.step(at).await {}
    }

    /// Whether all Deployments have the pods that they want.
    pub fn are_deployed(&self) -> bool {
        let store = self.store();
        let mut all = store.list(&resource::DEPLOYMENT, None);
        all.all(|(_, object)| {
            object["status"]["availableReplicas"].as_i64().unwrap_or(0)
                >= object["spec"]["replicas"].as_i64().unwrap_or(1)
        })
    }

    /// Whether a look at every object, though nothing changed, writes nothing.
    pub async fn is_calm(&mut self) -> bool {
        self.settle().await;
        let before = locked(&self.store).version();
        if let Some(Running { context, queue, .. }) = &mut self.controller {
            for (key, _) in context.caches.rollouts.all() {
                controller::enqueue(context, queue, Touched::Rollout(key));
            }
        }
        self.settle().await;
        locked(&self.store).version() == before
    }

    /// Number of writes that the controller has made.
    pub fn writes(&self) -> usize {
        self.history.iter().filter(|change| change.by == FIELD_MANAGER).count()
    }

    /// Takes in what was written since the last look: into the story, the mesh, and the checks.
    fn follow(&mut self) {
        let store = locked(&self.store);
        if store.version() == self.told {
            return;
        }
        let changes: Vec<Change> =
            store.changes_since(self.told).into_iter().flatten().cloned().collect();
        self.told = store.version();
        self.mesh.follow(&store, &changes);
        drop(store);
        let wrong = SignedDuration::from_micros(self.wrong.load(Ordering::Relaxed));
        let clock = self.now().checked_add(wrong).unwrap_or_else(|_| self.now());
        let knows_all = self.controller.as_ref().is_none_or(|running| running.inbox.is_empty());
        let mut reasons = locked(&self.reasons.by_version);
        for change in changes {
            let why = reasons.remove(&change.version).filter(|_| change.by == FIELD_MANAGER);
            self.story.tell(&change, why.as_deref());
            let ours = change.by == FIELD_MANAGER;
            let news = seen(&change);
            let checker = self.checkers.entry(change.key.0.clone()).or_default();
            let mut broken = checker.check(&news);
            let conduct = self.conduct.check(&change, checker.state(), clock);
            if ours {
                let known = self.known.entry(change.key.0.clone()).or_default();
                // What came late is no fault of ours; what was known is.
                if !knows_all && known.clone().check(&news).is_empty() {
                    broken.clear();
                }
                if self.wire.was_told(change.version) {
                    known.learn(&news);
                }
            }
            broken.extend(conduct);
            self.broken.extend(broken);
            self.history.push(change);
        }
    }

    /// The objects of one namespace, for expectations. Nothing may be written while it is held.
    pub fn view(&self, namespace: &str) -> View<'_> {
        let namespace = namespace.to_owned();
        let (mesh, history, marked) = (&self.mesh, &self.history, self.marked);
        View { store: self.store(), mesh, history, marked, namespace }
    }
}

fn write(
    store: &mut Store,
    by: &Writer,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
    new: Value,
) -> Result<(), Refusal> {
    let key = (namespace.to_owned(), name.to_owned());
    store.replace(by, resource, &key, new).map(drop)
}

fn seen(change: &Change) -> invariants::Change {
    invariants::Change {
        key: (change.resource.kind, change.key.1.clone()),
        version: change.version,
        object: change.after.clone(),
    }
}

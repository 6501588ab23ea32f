//! The controllers at work, and what goes wrong around them.
//!
//! In: what is to go wrong, call by call. Out: controllers that meet it, as processes do: one that
//! crashes forgets everything, one that lost the lease still believes what it knows.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use kube::Client;

use super::{Simulation, locked, rival, seen};
use crate::{
    controller::{self, Context, Settings, clock::Clock, lease::LeaseFence, queue::Queue},
    notify::{
        Notifier,
        http::{Answer, Failure, Http, InProcess, Request},
    },
    observe::Touched,
    plan::FIELD_MANAGER,
    server::metrics::Metrics,
    sim::{
        api::{
            Store,
            http::{Fault, Hook, RequestSummary, Server},
            store::Time,
        },
        deliver::{self, Inbox, Network},
        slack::Slack,
    },
};

/// How often a controller asks which version of Istio is served before it goes on without.
const MOST_QUESTIONS: usize = 200;

/// Calls of one controller within a minute, beyond which it goes round in circles.
const MOST_CALLS_A_MINUTE: usize = 300;

/// How long a controller goes on that lost the lease.
const AFTERLIFE: SignedDuration = SignedDuration::from_secs(30);

/// What a call of the controller meets.
#[derive(Clone, Debug)]
pub enum Meets {
    /// A fault of the API server, or of the way to it.
    Fault(Fault),
    /// The end of the controller's process: before the call arrives, or when it was carried out.
    Crash {
        /// Whether it was carried out.
        carried_out: bool,
    },
    /// Another controller takes the lease while the call is under way.
    Deposed,
    /// Somebody else writes to the same object just before.
    Rival,
}

/// Decides what each call meets; none for a call that goes well.
pub type Calls = Box<dyn FnMut(&RequestSummary) -> Option<Meets> + Send>;

/// A controller at work.
pub(super) struct Running {
    pub(super) context: Arc<Context>,
    pub(super) queue: Queue<Touched>,
    pub(super) inbox: Inbox,
}

/// The controller's clock: that of the cluster, and how far it is wrong.
pub(super) struct Simulated(pub(super) Time, pub(super) Arc<AtomicI64>);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        let wrong = SignedDuration::from_micros(self.1.load(Ordering::Relaxed));
        self.0.now().checked_add(wrong).unwrap_or_else(|_| self.0.now())
    }
}

/// What lies between the controllers and the API server.
#[derive(Clone, Default)]
pub(super) struct Wire(Arc<Mutex<Inner>>, Arc<AtomicU64>);

#[derive(Default)]
struct Inner {
    calls: Option<Calls>,
    /// Controllers, by number, that are no more.
    dead: BTreeSet<u32>,
    /// Controllers that lost the lease.
    deposed: BTreeSet<u32>,
    broken: Vec<String>,
    /// Versions whose writer was not told.
    untold: BTreeSet<u64>,
    /// When the calls of the last minute were made.
    minute: VecDeque<Timestamp>,
    /// Whether there were too many of them.
    restless: bool,
}

impl Wire {
    pub(super) fn set_calls(&self, calls: Option<Calls>) {
        locked(&self.0).calls = calls;
    }

    /// Calls of controllers so far.
    pub(super) fn calls(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    pub(super) fn is_dead(&self, controller: u32) -> bool {
        locked(&self.0).dead.contains(&controller)
    }

    pub(super) fn is_deposed(&self, controller: u32) -> bool {
        locked(&self.0).deposed.contains(&controller)
    }

    /// Whether the writer of a version knows of it.
    pub(super) fn was_told(&self, version: u64) -> bool {
        !locked(&self.0).untold.contains(&version)
    }

    /// Whether a controller goes round in circles.
    fn is_restless(&self) -> bool {
        locked(&self.0).restless
    }

    pub(super) fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.0).broken)
    }

    /// The client of one controller, whose fence is this.
    pub(super) fn client(
        &self,
        store: &Arc<Mutex<Store>>,
        controller: u32,
        fence: &Arc<LeaseFence>,
    ) -> Client {
        let (wire, fence, objects) = (self.clone(), fence.clone(), store.clone());
        let hook: Hook = Arc::new(move |request: &RequestSummary| {
            wire.1.fetch_add(1, Ordering::Relaxed);
            let mut objects = locked(&objects);
            locked(&wire.0).meet(controller, &fence, request, &mut objects)
        });
        Server::new(store.clone()).with_hook(hook).with_user("sluice", FIELD_MANAGER).client()
    }
}

impl Inner {
    /// Rule 9: whatever is refused, nobody asks again and again without a pause.
    fn count(&mut self, now: Timestamp, request: &RequestSummary) {
        if request.resource.is_none() {
            return; // Which versions are served is asked until it is answered.
        }
        let minute = SignedDuration::from_mins(1);
        while self.minute.front().is_some_and(|first| now.duration_since(*first) > minute) {
            self.minute.pop_front();
        }
        self.minute.push_back(now);
        if !self.restless && self.minute.len() > MOST_CALLS_A_MINUTE {
            let (calls, verb, name) = (self.minute.len(), request.verb, &request.name);
            self.broken.push(format!("{calls} calls within a minute, the last: {verb} {name}"));
            self.restless = true;
        }
    }

    fn meet(
        &mut self,
        controller: u32,
        fence: &LeaseFence,
        request: &RequestSummary,
        objects: &mut Store,
    ) -> Option<Fault> {
        self.count(objects.time().now(), request);
        if self.dead.contains(&controller) {
            return Some(Fault::Lose);
        }
        let reads = matches!(request.verb, "get" | "list" | "watch");
        if self.deposed.contains(&controller) && !reads {
            let kind = request.resource.map_or("", |resource| resource.kind);
            let (verb, name) = (request.verb, &request.name);
            self.broken.push(format!("{verb} {kind} {name}: written after the lease was lost"));
        }
        let met = self.calls.as_mut().and_then(|calls| calls(request))?;
        let fault = match met {
            Meets::Fault(fault) => fault,
            Meets::Crash { carried_out } => {
                self.dead.insert(controller);
                if carried_out { Fault::LoseAnswer } else { Fault::Lose }
            }
            Meets::Deposed => {
                self.deposed.insert(controller);
                fence.close();
                return None;
            }
            Meets::Rival => {
                rival::write(objects, request);
                return None;
            }
        };
        if matches!(fault, Fault::LoseAnswer) {
            self.untold.insert(objects.version() + 1);
        }
        Some(fault)
    }
}

/// The way of one controller to those who are told.
struct Line {
    slack: Slack,
    wire: Wire,
    controller: u32,
    time: Time,
}

impl InProcess for Line {
    fn answer(&self, request: &Request) -> Result<Answer, Failure> {
        let lost = || Err(Failure::Unknown("this process is no more".to_owned()));
        if self.wire.is_dead(self.controller) {
            return lost();
        }
        if self.wire.is_deposed(self.controller) {
            let what = format!("{}: said after the lease was lost", request.url.path());
            locked(&self.wire.0).broken.push(what);
        }
        let answer = self.slack.answer(request, self.time.now());
        if self.slack.take_crash() {
            locked(&self.wire.0).dead.insert(self.controller);
            return lost();
        }
        answer
    }
}

// === impl Simulation

impl Simulation {
    /// Starts a controller that knows nothing of what was before.
    pub async fn start_controller(&mut self) {
        self.controllers += 1;
        let fence = Arc::new(LeaseFence::always_open());
        let mut context = Context::new(
            self.wire.client(&self.store, self.controllers, &fence),
            Box::new(Simulated(self.time.clone(), self.wrong.clone())),
            fence,
            Arc::new(Metrics::default()),
            Settings {
                prometheus_url: Some("http://prometheus".to_owned()),
                ..Settings::default()
            },
        );
        context.journal = Some(self.reasons.clone());
        context.http = self.mesh.prometheus();
        context.notifier = self.notifier();
        let context = Arc::new(context);
        // The watches ask until they are answered.
        for _ in 0..MOST_QUESTIONS {
            if context.find_istio().await.is_some() {
                break;
            }
        }
        let mut queue = Queue::default();
        let inbox = {
            let store = locked(&self.store);
            deliver::list(&store, &context.caches, context.clock.now());
            Inbox::from(&store)
        };
        self.knows = false;
        for (key, _) in context.caches.rollouts.all() {
            controller::enqueue(&context, &mut queue, Touched::Rollout(key));
        }
        for (key, _) in context.caches.runs.all() {
            controller::enqueue(&context, &mut queue, Touched::Run(key));
        }
        self.crashed = false;
        self.controller = Some(Running { context, queue, inbox });
    }

    fn notifier(&self) -> Arc<Notifier> {
        let Some((slack, config)) = &self.people else { return Arc::default() };
        let line = Line {
            slack: slack.clone(),
            wire: self.wire.clone(),
            controller: self.controllers,
            time: self.time.clone(),
        };
        let notifier = Notifier::new(Http::InProcess(Arc::new(line)));
        notifier.set_config(config.clone());
        Arc::new(notifier)
    }

    /// The controller is gone, whatever it was about to do.
    pub fn stop_controller(&mut self) {
        self.controller = None;
    }

    /// Lets `calls` decide what each call of the controller meets from now on.
    pub fn set_calls(&mut self, calls: Option<Calls>) {
        self.wire.set_calls(calls);
    }

    /// Calls of the controller so far.
    pub fn calls(&self) -> u64 {
        self.wire.calls()
    }

    /// Looks of the controller at objects so far.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// How news travels from now on.
    pub fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// Sets the controller's clock by this much before or behind that of the cluster.
    pub fn set_clock_wrong(&mut self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or_default();
        self.wrong.store(micros, Ordering::Relaxed);
    }

    /// Whether the controller has crashed and nobody has started another.
    pub fn has_crashed(&self) -> bool {
        self.crashed
    }

    /// The controller is told what is due.
    pub(super) fn hear(&mut self) {
        let Some(running) = &mut self.controller else { return };
        if !self.knows {
            self.known = self.checkers.clone();
            self.knows = true;
        }
        let store = locked(&self.store);
        let news = running.hear(&store, &self.network);
        for change in &news.changes {
            let checker = self.known.entry(change.key.0.clone()).or_default();
            checker.learn(&seen(change));
        }
        if !news.listed.is_empty() {
            drop(store);
            self.known = self.checkers.clone();
        }
    }

    /// What became of the controller in its last look.
    pub(super) async fn fate(&mut self) {
        let number = self.controllers;
        if self.wire.is_restless() {
            self.controller = None; // Nothing else would end this.
        } else if self.wire.is_dead(number) {
            self.say("world", "controller", "crashed");
            self.controller = None;
            self.crashed = true;
        } else if self.wire.is_deposed(number) {
            self.say("world", "controller", "lost the lease to another");
            let until = self.now().checked_add(AFTERLIFE).unwrap_or_else(|_| self.now());
            self.former.extend(self.controller.take().map(|former| (until, former)));
            self.start_controller().await;
        }
        self.broken.extend(self.wire.take_broken());
    }

    /// Controllers without the lease go on looking.
    pub(super) async fn look_of_former(&mut self) {
        let now = self.now();
        self.former.retain(|(until, _)| *until > now);
        let mut former = std::mem::take(&mut self.former);
        for (_, running) in &mut former {
            running.hear(&locked(&self.store), &self.network);
            while let Some(item) = running.queue.take(running.context.clock.now()) {
                let context = running.context.clone();
                let outcome = controller::look(&context, &item).await;
                controller::looked(&context, &mut running.queue, item, outcome);
                self.broken.extend(self.wire.take_broken());
            }
        }
        self.former = former;
    }

    /// When a controller has something to do next, by the cluster's clock.
    pub(super) fn due_of_controllers(&self) -> Option<Timestamp> {
        let wrong = SignedDuration::from_micros(self.wrong.load(Ordering::Relaxed));
        let former = self.former.iter().map(|(_, running)| running);
        let due = former.chain(&self.controller).flat_map(|running| {
            let queued = running.queue.next_due();
            let queued = queued.map(|due| due.checked_sub(wrong).unwrap_or(due));
            [queued, running.inbox.next_due()]
        });
        due.flatten().min()
    }
}

// === impl Running

impl Running {
    /// Takes in what is due of the news.
    fn hear(&mut self, store: &Store, network: &Network) -> deliver::News {
        let clock = self.context.clock.now();
        let news = self.inbox.deliver(store, network, &self.context.caches, clock);
        for touched in &news.touched {
            controller::enqueue(&self.context, &mut self.queue, touched.clone());
        }
        news
    }
}

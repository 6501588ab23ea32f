//! The shell: watches, queue, lease, and one pass after the other. It decides nothing about
//! Rollouts: `reconcile` is observe → plan → apply.

mod analysis_run;
pub mod clock;
mod drain;
mod events;
pub mod lease;
mod notices;
mod notify_config;
pub mod queue;
pub mod reconcile;
mod refusals;
mod watches;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use tokio::{
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::JoinSet,
};

use tracing::Instrument;

use crate::{
    analysis::provider::prometheus::HttpClients,
    api::{GROUP, Note, Verdict},
    apply::{self, Applier, Journal},
    notify::{Notifier, clicks},
    observe::{Caches, Touched, cache::Key},
    plan::Action,
    server::{
        health::{self, Health},
        metrics::Metrics,
    },
    world::{WorkloadKind, World},
};
use clock::Clock;
use lease::{Candidate, LeaseFence};
use queue::{Priority, Queue};
use refusals::Refusals;
use watches::Report;

/// Passes that may be under way at once.
const WORKERS: usize = 16;

/// Time that passes get to end before the lease is given away.
const DRAIN: Duration = Duration::from_millis(500);

/// Time that the configuration of the notifications gets to arrive before the first pass.
const CONFIGURED: Duration = Duration::from_secs(3);

/// Passes under way.
type Passes = JoinSet<(Touched, reconcile::Outcome)>;

/// What the controller is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Only this namespace; none for all.
    pub namespace: Option<String>,
    /// Only Rollouts with this label `sluice.dev/instance`; empty for those without one.
    pub instance: String,
    /// Address of Prometheus for metrics that name none.
    pub prometheus_url: Option<String>,
    /// Where the ConfigMap and the Secret of the notifications are; none for nowhere.
    pub own_namespace: Option<String>,
}

/// What a pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What is known.
    pub caches: Caches,
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// The lease.
    pub fence: Arc<LeaseFence>,
    /// Settings.
    pub settings: Settings,
    /// HTTP clients of the metric providers.
    pub http: HttpClients,
    /// The controller's own metrics.
    pub metrics: Arc<Metrics>,
    /// Who wants to know of each write and its reason.
    pub journal: Option<Arc<dyn Journal>>,
    /// Who is told of releases.
    pub notifier: Arc<Notifier>,
    /// Is told when a Rollout has changed: it may name a kind that is not watched yet.
    rollouts_changed: Notify,
    refusals: Refusals,
    questions: drain::Questions,
    istio_version: RwLock<String>,
}

impl Context {
    /// A context with empty caches.
    pub fn new(
        client: Client,
        clock: Box<dyn Clock>,
        fence: Arc<LeaseFence>,
        metrics: Arc<Metrics>,
        settings: Settings,
    ) -> Self {
        let caches = Caches::default();
        caches.set_has_metrics(settings.prometheus_url.as_ref().is_some_and(|url| !url.is_empty()));
        caches.set_confined(settings.namespace.is_some());
        Self {
            client,
            caches,
            clock,
            fence,
            settings,
            http: HttpClients::new(),
            metrics,
            journal: None,
            notifier: Arc::default(),
            rollouts_changed: Notify::new(),
            refusals: Refusals::default(),
            questions: drain::Questions::default(),
            istio_version: RwLock::new(String::new()),
        }
    }

    /// The version of Istio's networking group that the cluster serves.
    pub fn istio_version(&self) -> String {
        self.istio_version.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds out at which version the cluster serves Istio's kinds. Returns none while it does not.
    pub async fn find_istio(&self) -> Option<String> {
        let version = watches::istio_version(&self.client).await?;
        let mut present = self.istio_version.write().unwrap_or_else(PoisonError::into_inner);
        present.clone_from(&version);
        self.caches.set_istio_served(true);
        Some(version)
    }

    /// Carries out writes for one Rollout, and publishes `notes` when all of them are done.
    async fn apply(
        &self,
        world: &World,
        actions: &[Action],
        notes: &[Note],
    ) -> Result<BTreeSet<Touched>, (BTreeSet<Touched>, apply::Error)> {
        let applier = Applier {
            client: &self.client,
            caches: &self.caches,
            fence: &*self.fence,
            istio_version: &self.istio_version(),
            now: &|| self.clock.now(),
            journal: self.journal.as_deref(),
        };
        let touched = applier.run(world, actions).await?;
        events::publish(self, world, notes).await;
        Ok(touched)
    }

    fn rollouts(&self, namespace: &str) -> Api<DynamicObject> {
        self.own(namespace, "Rollout")
    }

    fn own(&self, namespace: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Whether this controller serves the object: namespace and instance are its own.
    fn serves(&self, touched: &Touched) -> bool {
        let instance = match touched {
            Touched::Rollout(key) | Touched::Drain(key) | Touched::Notice(key, _) => {
                self.instance_of(key)
            }
            Touched::Run(key) => {
                let run = self.caches.runs.get(&key.0, &key.1);
                let rollout = run.map(|run| run.value.rollout.clone()).unwrap_or_default();
                self.instance_of(&(key.0.clone(), rollout))
            }
        };
        instance.unwrap_or_default() == self.settings.instance
    }

    fn instance_of(&self, key: &Key) -> Option<String> {
        Some(self.caches.rollouts.get(&key.0, &key.1)?.value.instance.clone())
    }

    /// A command or a failed analysis may have to move traffic at once.
    fn priority(&self, touched: &Touched) -> Priority {
        let Touched::Rollout(key) = touched else { return Priority::Normal };
        let command = self.caches.rollouts.get(&key.0, &key.1);
        if command.is_some_and(|entry| entry.value.command.is_some()) {
            return Priority::Urgent;
        }
        let bad = |run: &crate::api::AnalysisRun| {
            let phase = run.status.as_ref().map(|status| status.phase);
            matches!(phase, Some(Verdict::Failed | Verdict::Error))
        };
        let runs = self.caches.runs.in_group(&key.0, &key.1);
        let failed = runs.iter().any(|(_, entry)| entry.value.run.as_ref().is_ok_and(|r| bad(r)));
        if failed { Priority::Urgent } else { Priority::Normal }
    }
}

impl clicks::Known for Context {
    fn caches(&self) -> &Caches {
        &self.caches
    }

    fn serves(&self, namespace: &str, name: &str) -> bool {
        self.serves(&Touched::Rollout((namespace.to_owned(), name.to_owned())))
    }
}

/// Runs the controller until `stop` resolves, or until it cannot go on.
///
/// # Errors
/// If the lease is lost or a task ends that must not: the process should end and start anew.
pub async fn run(
    context: Arc<Context>,
    candidate: Option<Candidate>,
    health: Arc<Health>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (sender, mut reports) = unbounded_channel();
    let mut tasks = JoinSet::new();
    watches::start(&context, &mut tasks, &sender);
    tasks.spawn(watches::istio(context.clone(), sender.clone()));
    for kind in [WorkloadKind::Deployment, WorkloadKind::ReplicaSet, WorkloadKind::PodTemplate] {
        tasks.spawn(watches::workloads(context.clone(), kind, sender.clone()));
    }
    tasks.spawn(notify_config::follow(context.clone(), sender.clone()));
    tokio::pin!(stop);

    let mut queue = Queue::default();
    // Caches fill, and a candidate waits, before anything is decided.
    let acquire = async {
        match &candidate {
            Some(candidate) => candidate.acquire(&context.fence).await,
            None => Ok(()),
        }
    };
    tokio::pin!(acquire);
    let mut listed = BTreeSet::new();
    let mut leading = false;
    while !leading || !watches::is_complete(&listed) {
        tokio::select! {
            () = &mut stop => return end(candidate.as_ref(), &context, tasks).await,
            acquired = &mut acquire, if !leading => {
                acquired?;
                leading = true;
                tracing::info!("leading");
            }
            report = reports.recv() => match report {
                Some(Report::Listed(kind)) => {
                    listed.insert(kind);
                    health.set_ready(watches::is_complete(&listed));
                }
                Some(Report::Touched(_)) => {}
                None => anyhow::bail!("all watches ended"),
            },
            Some(ended) = tasks.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
        }
    }
    // A release that begins now is told of, if it is to be.
    let _ = tokio::time::timeout(CONFIGURED, context.notifier.known()).await;
    context.notifier.set_known();
    for (key, _) in context.caches.rollouts.all() {
        enqueue(&context, &mut queue, Touched::Rollout(key));
    }
    for (key, _) in context.caches.runs.all() {
        enqueue(&context, &mut queue, Touched::Run(key));
    }
    let mut passes = Passes::new();
    let work = work(&context, &mut queue, &mut passes, &mut reports, &health);
    let keep = async {
        match &candidate {
            Some(candidate) => candidate.keep(&context.fence).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut stop => {}
        () = keep => anyhow::bail!("the lease is lost"),
        error = work => return error,
        Some(ended) = tasks.join_next() => anyhow::bail!("a watch ended: {ended:?}"),
    }
    // What has begun may end, so that no write of ours arrives after the lease is given away.
    let drained = async { while passes.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("passes were cut off");
    }
    end(candidate.as_ref(), &context, tasks).await
}

async fn end(
    candidate: Option<&Candidate>,
    context: &Context,
    mut tasks: JoinSet<()>,
) -> anyhow::Result<()> {
    tasks.abort_all();
    if let Some(candidate) = candidate {
        candidate.release(&context.fence).await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Asks for a look at an object, if this controller serves it.
pub fn enqueue(context: &Context, queue: &mut Queue<Touched>, touched: Touched) {
    if context.serves(&touched) {
        let priority = context.priority(&touched);
        queue.add(touched, priority);
    }
}

/// One pass over one object.
pub async fn look(context: &Context, touched: &Touched) -> reconcile::Outcome {
    match touched {
        Touched::Rollout(key) => reconcile::rollout(context, key).await,
        Touched::Run(key) => analysis_run::reconcile(context, key).await,
        Touched::Drain(key) => drain::look(context, key).await,
        Touched::Notice(key, to) => notices::look(context, key, to).await,
    }
}

/// Takes in what a pass left behind.
pub fn looked(
    context: &Context,
    queue: &mut Queue<Touched>,
    item: Touched,
    outcome: reconcile::Outcome,
) {
    queue.done(&item);
    if let Some(at) = outcome.next_check {
        queue.add_at(item, at);
    }
    for touched in outcome.touched {
        enqueue(context, queue, touched);
    }
}

/// Passes that may begin beside these. Looks at metrics, and what is said to people, wait for somebody
/// else, and must not keep an abort waiting.
fn room<'t>(working: impl Iterator<Item = &'t Touched>) -> usize {
    WORKERS.saturating_sub(working.filter(|item| takes_room(item)).count())
}

fn takes_room(item: &Touched) -> bool {
    !matches!(item, Touched::Drain(_) | Touched::Notice(..))
}

/// One pass after the other, several objects at once, none twice at once.
async fn work(
    context: &Arc<Context>,
    queue: &mut Queue<Touched>,
    passes: &mut Passes,
    reports: &mut UnboundedReceiver<Report>,
    health: &Health,
) -> anyhow::Result<()> {
    let mut working: BTreeMap<tokio::task::Id, Touched> = BTreeMap::new();
    loop {
        health.beat();
        let now = context.clock.now();
        let mut room = room(working.values());
        while room > 0 {
            let Some(item) = queue.take(now) else { break };
            room -= usize::from(takes_room(&item));
            let (context, task) = (context.clone(), item.clone());
            let handle = passes.spawn(async move {
                let (kind, (namespace, name)) = match &task {
                    Touched::Rollout(key) => ("Rollout", key),
                    Touched::Run(key) => ("AnalysisRun", key),
                    Touched::Drain(key) => ("Drain", key),
                    Touched::Notice(key, _) => ("Notice", key),
                };
                let span = tracing::info_span!("reconcile", kind, namespace, name);
                let outcome = look(&context, &task).instrument(span).await;
                (task, outcome)
            });
            working.insert(handle.id(), item);
        }
        context.metrics.queue.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        let due = queue.next_due().map(|due| {
            let wait = due.duration_since(context.clock.now()).max(jiff::SignedDuration::ZERO);
            // A whole millisecond more, so that the timer never fires just before it is due.
            wait.unsigned_abs() + Duration::from_millis(1)
        });
        // The health check wants a sign of life even when nothing happens.
        let nap = due.unwrap_or(health::BEAT).min(health::BEAT);
        tokio::select! {
            report = reports.recv() => match report {
                Some(Report::Touched(touched)) => {
                    for touched in touched {
                        enqueue(context, queue, touched);
                    }
                }
                Some(Report::Listed(_)) => {}
                None => anyhow::bail!("all watches ended"),
            },
            Some(done) = passes.join_next_with_id() => {
                finish(context, queue, &mut working, done);
            }
            () = tokio::time::sleep(nap) => {}
        }
    }
}

/// A panic in one pass is a bug; it does not disturb the others, and the object is tried again.
fn finish(
    context: &Context,
    queue: &mut Queue<Touched>,
    working: &mut BTreeMap<tokio::task::Id, Touched>,
    done: Result<(tokio::task::Id, (Touched, reconcile::Outcome)), tokio::task::JoinError>,
) {
    match done {
        Ok((id, (item, outcome))) => {
            working.remove(&id);
            looked(context, queue, item, outcome);
        }
        Err(error) => {
            context.metrics.panics.inc();
            tracing::error!(%error, "a pass ended by a panic");
            if let Some(item) = working.remove(&error.id()) {
                queue.done(&item);
                let now = context.clock.now();
                let later = now.checked_add(jiff::SignedDuration::from_secs(30)).unwrap_or(now);
                queue.add_at(item, later);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_metrics_that_wait_for_prometheus_keep_no_release_waiting() {
        let key = |number: usize| ("shop".to_owned(), format!("web-{number}"));
        let looks: Vec<Touched> = (0..100).map(|number| Touched::Drain(key(number))).collect();
        assert_eq!(room(looks.iter()), WORKERS);
        let passes: Vec<Touched> =
            (0..WORKERS).map(|number| Touched::Rollout(key(number))).collect();
        assert_eq!(room(looks.iter().chain(&passes)), 0);
    }
}

//! `get rollout NAME --watch`: the tree, redrawn in place on a terminal; else a line per change.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use futures::{
    FutureExt, StreamExt,
    stream::{BoxStream, select_all},
};
use k8s_openapi::api::{apps::v1::ReplicaSet, batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::DynamicObject,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::de::DeserializeOwned;

use crate::api::{AnalysisRun, Rollout};

use super::{
    exit::{Exit, Failure},
    session::Session,
    snapshot::{Selectors, Snapshot},
    state, tree, watch,
    workload::Holder,
};

/// How often the ages on the screen are renewed.
const REDRAW: Duration = Duration::from_secs(1);

/// What the object is called that `workloadRef` names.
const WORKLOAD: &str = "workload";

/// Clears the screen.
const CLEAR: &str = "\u{1b}[2J";

/// Goes to the top left corner of the screen.
const HOME: &str = "\u{1b}[H";

/// Clears the rest of the line and ends it. Drawing over the old text flickers less than clearing
/// the screen each time.
const END_OF_LINE: &str = "\u{1b}[K\n";

/// Clears what is below.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Shows the Rollout until it is deleted or the user has seen enough.
pub async fn run(session: &mut Session<'_>, name: &str) -> Result<Exit, Failure> {
    let rollout = session.fetch(name).await?;
    if session.terminal.interactive {
        draw(session, rollout).await
    } else {
        lines(session, name).await
    }
}

fn deleted(name: &str) -> Failure {
    let text = format!("the Rollout `{name}` was deleted while it was watched");
    Failure::new(Exit::NotFound, text)
}

/// A plain line per change, with the time.
async fn lines(session: &mut Session<'_>, name: &str) -> Result<Exit, Failure> {
    let mut states = watch::follow(session.rollouts(), name);
    let mut shown = String::new();
    while let Some(state) = states.next().await {
        let rollout = state?.ok_or_else(|| deleted(name))?;
        let line = state::line(&rollout);
        if line != shown {
            let time = (session.clock)().strftime("%Y-%m-%dT%H:%M:%SZ");
            session.say(&format!("{time} {line}"))?;
            shown = line;
        }
    }
    Err(Failure::plain("the watch ended; try again"))
}

/// One change of what is on the screen.
enum Change {
    Rollout(Result<Option<Box<Rollout>>, Failure>),
    ReplicaSet(Box<Event<ReplicaSet>>),
    Pod(Box<Event<Pod>>),
    Run(Box<Event<AnalysisRun>>),
    Job(Box<Event<Job>>),
    Workload(Option<Box<DynamicObject>>),
    Trouble(&'static str, String),
}

/// The objects of one kind, as the watch tells of them.
struct Store<K> {
    shown: BTreeMap<String, K>,
    listing: BTreeMap<String, K>,
}

impl<K: ResourceExt + Clone> Store<K> {
    fn new() -> Self {
        Self { shown: BTreeMap::new(), listing: BTreeMap::new() }
    }

    fn take(&mut self, event: Event<K>) {
        match event {
            Event::Apply(object) => {
                self.shown.insert(object.name_any(), object);
            }
            Event::Delete(object) => {
                self.shown.remove(&object.name_any());
            }
            Event::Init => self.listing.clear(),
            Event::InitApply(object) => {
                self.listing.insert(object.name_any(), object);
            }
            Event::InitDone => self.shown = std::mem::take(&mut self.listing),
        }
    }

    fn all(&self) -> Vec<K> {
        self.shown.values().cloned().collect()
    }
}

/// What is on the screen.
struct Screen {
    rollout: Rollout,
    replica_sets: Store<ReplicaSet>,
    pods: Store<Pod>,
    runs: Store<AnalysisRun>,
    jobs: Store<Job>,
    workload: Option<DynamicObject>,
    trouble: BTreeMap<&'static str, String>,
}

impl Screen {
    fn take(&mut self, change: Change) -> Result<(), Failure> {
        match change {
            Change::Rollout(Ok(Some(rollout))) => self.rollout = *rollout,
            Change::Rollout(Ok(None)) => return Err(deleted(&self.rollout.name_any())),
            Change::Rollout(Err(failure)) => return Err(failure),
            Change::ReplicaSet(event) => self.heard("ReplicaSets").replica_sets.take(*event),
            Change::Pod(event) => self.heard("pods").pods.take(*event),
            Change::Run(event) => self.heard("AnalysisRuns").runs.take(*event),
            Change::Job(event) => self.heard("Jobs").jobs.take(*event),
            Change::Workload(object) => {
                self.heard(WORKLOAD).workload = object.map(|object| *object);
            }
            Change::Trouble(kind, note) => {
                self.trouble.insert(kind, note);
            }
        }
        Ok(())
    }

    /// The watch of this kind works (again).
    fn heard(&mut self, kind: &str) -> &mut Self {
        self.trouble.remove(kind);
        self
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            rollout: self.rollout.clone(),
            replica_sets: self.replica_sets.all(),
            pods: self.pods.all(),
            runs: self.runs.all(),
            jobs: self.jobs.all(),
            workload: self.workload.clone(),
            notes: self.trouble.values().cloned().collect(),
        }
        .owned()
    }
}

async fn draw(session: &mut Session<'_>, rollout: Rollout) -> Result<Exit, Failure> {
    let mut changes = select_all(changes(session, &rollout));
    let mut screen = Screen {
        rollout,
        replica_sets: Store::new(),
        pods: Store::new(),
        runs: Store::new(),
        jobs: Store::new(),
        workload: None,
        trouble: BTreeMap::new(),
    };
    let mut clock = tokio::time::interval(REDRAW);
    session.print(CLEAR)?;
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => screen.take(change)?,
                None => return Err(Failure::plain("the watches ended; try again")),
            },
            _ = clock.tick() => {}
        }
        // What has come meanwhile goes into the same drawing.
        while let Some(Some(change)) = changes.next().now_or_never() {
            screen.take(change)?;
        }
        let now = (session.clock)();
        let text = tree::tree(&screen.snapshot(), now, session.terminal.style);
        let footer = format!("\n{} (Ctrl-C ends)\n", now.strftime("%H:%M:%S UTC"));
        let drawing = format!("{text}{footer}").replace('\n', END_OF_LINE);
        session.print(&format!("{HOME}{drawing}{CLEAR_BELOW}"))?;
    }
}

fn changes(session: &Session<'_>, rollout: &Rollout) -> Vec<BoxStream<'static, Change>> {
    let selectors = Selectors::of(rollout);
    let (client, namespace) = (&session.client, session.namespace.as_str());
    let own = watch::follow(session.rollouts(), &rollout.name_any())
        .map(|state| Change::Rollout(state.map(|rollout| rollout.map(Box::new))))
        .boxed();
    let reference = rollout.spec.workload_ref.as_ref();
    let named = reference.and_then(Holder::of_workload);
    let mut changes = vec![
        own,
        kind(client, namespace, &selectors.pods, "ReplicaSets", Change::ReplicaSet),
        kind(client, namespace, &selectors.pods, "pods", Change::Pod),
        kind(client, namespace, &selectors.analysis, "AnalysisRuns", Change::Run),
        kind(client, namespace, &selectors.analysis, "Jobs", Change::Job),
    ];
    changes.extend(named.map(|holder| workload(client, namespace, &holder)));
    changes
}

fn workload(client: &Client, namespace: &str, holder: &Holder) -> BoxStream<'static, Change> {
    watcher::watch_object(holder.api(client, namespace), &holder.name)
        .default_backoff()
        .map(|state| match state {
            Ok(object) => Change::Workload(object.map(Box::new)),
            Err(error) => {
                let doing = format!("follow the {WORKLOAD}");
                Change::Trouble(WORKLOAD, watch::failure(&error, &doing).text)
            }
        })
        .boxed()
}

fn kind<K>(
    client: &Client,
    namespace: &str,
    labels: &str,
    name: &'static str,
    wrap: fn(Box<Event<K>>) -> Change,
) -> BoxStream<'static, Change>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let objects: Api<K> = Api::namespaced(client.clone(), namespace);
    watcher(objects, watcher::Config::default().labels(labels))
        .default_backoff()
        .map(move |event| match event {
            Ok(event) => wrap(Box::new(event)),
            Err(error) => {
                let doing = format!("follow the {name}");
                Change::Trouble(name, watch::failure(&error, &doing).text)
            }
        })
        .boxed()
}

//! One test: a namespace of the shared control plane, what happens there, and what users do.

use std::{
    any::Any,
    fmt::Write,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::LazyLock,
    time::Duration,
};

use futures::FutureExt;
use kube::Client;
use serde_json::Value;
use sluice::sim::invariants;
use tokio::{runtime::Runtime, sync::OnceCell, time::timeout};

use crate::{
    app::App,
    recorder::{Recorder, Seen},
    support::{
        audit,
        cluster::Cluster,
        controller::{Controller, Options},
        folder,
        kubectl::User,
        prometheus::Prometheus,
        wait::until,
    },
};

/// The longest time that a test waits for one thing, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
static HOUSE: OnceCell<House> = OnceCell::const_new();

/// What all tests share.
struct House {
    cluster: Cluster,
    prometheus: OnceCell<Prometheus>,
    /// Serves the Rollouts without an instance label.
    _controller: Controller,
}

impl House {
    async fn open() -> Self {
        let cluster = Cluster::start(folder("e2e")).await;
        let options = Options { name: "controller".into(), ..Options::default() };
        let controller = Controller::start(&cluster, &options).await;
        Self { cluster, prometheus: OnceCell::new(), _controller: controller }
    }
}

/// A test and its namespace.
pub struct Scenario {
    house: &'static House,
    /// The namespace.
    pub namespace: String,
    /// A user who may do everything in it.
    pub user: User,
    recorder: Recorder,
    began: u64,
}

/// Runs a test in a namespace named after it, and checks afterwards what always holds.
pub fn scenario(name: &str, body: impl AsyncFnOnce(&Scenario)) {
    scenario_in(name, name, body);
}

/// The same, in a namespace that the test's manifests already name.
pub fn scenario_in(name: &str, namespace: &str, body: impl AsyncFnOnce(&Scenario)) {
    on_runtime(async {
        if let Err(panic) = Scenario::open(namespace).await.told(name, body).await {
            resume_unwind(panic);
        }
    });
}

/// Runs what must not end before the runtime that all tests share.
pub fn on_runtime<T>(body: impl Future<Output = T>) -> T {
    RUNTIME.block_on(body)
}

/// Runs a test on a control plane of its own, in the namespace `default`.
pub fn apart(name: &str, body: impl AsyncFnOnce(&Cluster, &User)) {
    RUNTIME.block_on(async {
        let cluster = Cluster::start(folder(&format!("e2e-{name}"))).await;
        let user = cluster.user("default");
        body(&cluster, &user).await;
        cluster.stop().await;
    });
}

impl Scenario {
    /// Runs `body`, and checks afterwards what always holds.
    ///
    /// # Errors
    /// The panic of the body or of the checks.
    pub async fn told(
        &self,
        name: &str,
        body: impl AsyncFnOnce(&Self),
    ) -> Result<(), Box<dyn Any + Send>> {
        let ran = async {
            body(self).await;
            self.recorder.catch_up().await;
            let broken = invariants::broken(&self.recorder.seen().in_order());
            assert!(broken.is_empty(), "what always holds was broken:\n  {}", broken.join("\n  "));
        };
        let ended = AssertUnwindSafe(ran).catch_unwind().await;
        if ended.is_err() {
            eprintln!("--- {name} failed; namespace {}:\n{}", self.namespace, self.report());
        }
        ended
    }

    /// Makes a namespace and begins to record it.
    pub async fn open(namespace: &str) -> Self {
        let house = HOUSE.get_or_init(House::open).await;
        let user = house.cluster.user(namespace);
        let line = format!("create namespace {namespace}");
        house.cluster.admin.kubectl(&line, "").await.expect("the namespace is new");
        let recorder = Recorder::start(&house.cluster.client, namespace);
        let began = audit::end(&house.cluster.audit_log);
        Self { house, namespace: namespace.to_owned(), user, recorder, began }
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.house.cluster.client.clone()
    }

    /// The Prometheus of all tests, started by the first that needs it.
    pub async fn prometheus(&self) -> &'static Prometheus {
        let start = || Prometheus::start(&self.house.cluster.folder);
        self.house.prometheus.get_or_init(start).await
    }

    /// Starts a controller for this test alone; it serves Rollouts of the instance `instance`.
    pub async fn controller(&self, name: &str, instance: &str, flags: &[&str]) -> Controller {
        let name = format!("{}-{name}", self.namespace);
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let options = Options { name, instance: instance.to_owned(), flags };
        Controller::start(&self.house.cluster, &options).await
    }

    /// Requests in this namespace since the test began, in the order of their answers.
    pub fn calls(&self) -> Vec<audit::Call> {
        let mut calls = audit::calls_since(&self.house.cluster.audit_log, self.began);
        calls.retain(|call| call.object().0 == self.namespace);
        calls
    }

    /// What has been seen so far.
    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.recorder.seen()
    }

    /// Waits until `look` finds what it looks for, looking after each change in the namespace.
    pub async fn until<T>(&self, what: &str, look: impl FnMut(&Seen) -> Option<T>) -> T {
        let found = self.in_time(look).await;
        found.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
    }

    /// The same; none if it waited in vain.
    pub async fn in_time<T>(&self, look: impl FnMut(&Seen) -> Option<T>) -> Option<T> {
        timeout(PATIENCE, self.recorder.until(look)).await.ok()
    }

    /// Waits until the Rollout's present spec has been looked at and its status satisfies `is`.
    pub async fn until_status(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{what} of Rollout {name}");
        self.until(&what, |seen| {
            let rollout = seen.get("Rollout", name);
            let status = &rollout["status"];
            let observed = status["observedGeneration"] == rollout["metadata"]["generation"];
            (!rollout.is_null() && observed && is(status)).then(|| status.clone())
        })
        .await
    }

    /// Waits until the spec's revision is stable and everything has settled.
    pub async fn until_released(&self, name: &str) -> Value {
        self.until_status(name, "the end of the release", |status| {
            status["phase"] == "Healthy"
                && status["history"][0]["outcome"] == "Promoted"
                && status["stableRevision"] == status["currentRevision"]
        })
        .await
    }

    /// Waits until the canary has this weight in the routes, as the status shows it.
    pub async fn until_weight(&self, name: &str, weight: i64) -> Value {
        let what = format!("canary weight {weight}");
        self.until_status(name, &what, |status| status["weights"]["canary"] == weight).await
    }

    /// Waits until the release waits in the step with this number, counted from 1.
    pub async fn until_paused_at(&self, name: &str, step: i64) -> Value {
        let what = format!("a pause at step {step}");
        self.until_status(name, &what, |status| {
            status["phase"] == "Paused" && status["step"]["index"] == step - 1
        })
        .await
    }

    /// Waits until the release was rolled back: aborted, no weight, no pods of the canary.
    pub async fn until_rolled_back(&self, name: &str) -> Value {
        let aborted = self
            .until_status(name, "the rollback", |status| {
                status["phase"] == "Degraded"
                    && !status["abort"].is_null()
                    && status["weights"]["canary"] == 0
                    && status["updatedReplicas"] == 0
            })
            .await;
        let stable = aborted["stableRevision"].as_str().unwrap_or_default().to_owned();
        for role in ["stable", "canary"] {
            let what = format!("the {role} Service to select stable again");
            let service = format!("{name}-{role}");
            self.until(&what, |seen| {
                let service = seen.get("Service", &service);
                let selects = &service["spec"]["selector"]["sluice.dev/revision"];
                (service.is_null() || *selects == *stable).then_some(())
            })
            .await;
        }
        aborted
    }

    /// Creates an app and waits until its first revision is stable.
    pub async fn deploy(&self, app: &App) -> Value {
        self.user.apply(&app.manifests()).await;
        self.until_released(&app.name).await
    }

    /// Releases another image and waits until the controller has seen it.
    pub async fn release(&self, app: &App, image: &str) -> Value {
        self.user.apply(&app.clone().image(image).rollout()).await;
        self.until_status(&app.name, "the new revision", |_| true).await
    }

    /// Waits for an Event about `name` with this reason. Returns its text.
    pub async fn until_event(&self, name: &str, reason: &str) -> String {
        let what = format!("an Event {reason} about {name}");
        self.until(&what, |seen| seen.events(name, reason).pop()).await
    }

    /// Looks until `look` finds what it looks for, where no watch shows it.
    pub async fn poll<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        until(what, PATIENCE, look).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The states of the Rollouts and the last Events, for a test that failed.
    fn report(&self) -> String {
        let seen = self.recorder.seen();
        let mut text = String::new();
        for kind in ["Rollout", "AnalysisRun"] {
            for object in seen.all(kind) {
                let name = &object["metadata"]["name"];
                let status = serde_json::to_string_pretty(&object["status"]).unwrap_or_default();
                let _ = writeln!(text, "{kind} {name}: {status}");
            }
        }
        for event in seen.all("Event") {
            let _ = writeln!(text, "Event {} {}", event["reason"], event["note"]);
        }
        text
    }
}

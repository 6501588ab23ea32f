//! One test: a namespace of the shared control plane, what happens there, and what users do.

use std::{any::Any, ops::Deref, panic::resume_unwind, sync::LazyLock};

use kube::Client;
use serde_json::Value;
use tokio::{runtime::Runtime, sync::OnceCell};

use crate::{
    app::App,
    support::{
        audit,
        cluster::Cluster,
        controller::{Controller, Options},
        folder,
        kubectl::User,
        namespace::Namespace,
        prometheus::Prometheus,
    },
};

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
    place: Namespace,
    began: u64,
}

impl Deref for Scenario {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.place
    }
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
        self.place.told(name, body(self)).await
    }

    /// Makes a namespace and begins to record it.
    pub async fn open(namespace: &str) -> Self {
        let house = HOUSE.get_or_init(House::open).await;
        let place = Namespace::open(&house.cluster, namespace).await;
        let began = audit::end(&house.cluster.audit_log);
        Self { house, place, began }
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
        let options = Options { name, instance: instance.to_owned(), flags, account: None };
        Controller::start(&self.house.cluster, &options).await
    }

    /// The control plane of all tests.
    pub fn cluster(&self) -> &'static Cluster {
        &self.house.cluster
    }

    /// A service account of this namespace with these ClusterRoles in it.
    pub async fn account(&self, name: &str, roles: &[&str]) -> User {
        let user = self.house.cluster.account(&self.namespace, name).await;
        for role in roles {
            let line = format!(
                "create rolebinding {name}-{role} --clusterrole={role} --serviceaccount={}:{name}",
                self.namespace
            );
            self.user.kubectl(&line, "").await.expect("a new binding");
        }
        user
    }

    /// Requests in this namespace since the test began, in the order of their answers.
    pub fn calls(&self) -> Vec<audit::Call> {
        let mut calls = audit::calls_since(&self.house.cluster.audit_log, self.began);
        calls.retain(|call| call.object().0 == self.namespace);
        calls
    }

    /// Creates an app and waits until its first revision is stable.
    pub async fn deploy(&self, app: &App) -> Value {
        self.user.apply(&app.manifests()).await;
        self.until_released(&app.name).await
    }

    /// Releases another image and waits until the controller has seen it.
    pub async fn release(&self, app: &App, image: &str) -> Value {
        self.user.apply(&app.clone().image(image).rollout()).await;
        self.until_asked_for(&app.name, image).await
    }
}

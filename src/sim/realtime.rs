//! The simulated cluster in real time, for real clients.
//!
//! In: a clock, and requests over HTTP. Out: the API server and the Prometheus, with the cluster's
//! own controllers and the users at work behind them. The controller is not in it: it is a client.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    actors::{self, Actors},
    api::{
        Change, Refusal, Resource, Store,
        http::{Hook, Server},
        resource,
        store::{Time, writer},
    },
    mesh::{self, Mesh},
};
use crate::{controller::clock::Clock, plan::FIELD_MANAGER};

/// The longest sleep of the cluster: users go on sending requests though nothing is due.
const NAP: Duration = Duration::from_secs(1);

/// The simulated cluster in real time. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    store: Arc<Mutex<Store>>,
    time: Time,
    clock: Arc<dyn Clock>,
    mesh: Mesh,
}

impl Cluster {
    /// An empty cluster.
    pub fn new(users: mesh::Settings, clock: Arc<dyn Clock>) -> Self {
        let time = Time::new(clock.now());
        let store = Arc::new(Mutex::new(Store::new(time.clone())));
        Self { store, mesh: Mesh::new(users, time.clone()), time, clock }
    }

    /// The objects.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests of users.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Creates an object in its namespace.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn create(&self, object: &Value) -> Result<(), Refusal> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let resource = resource::of_kind(version, kind)
            .ok_or_else(|| Refusal::bad_request(format!("there is no {kind} in {version}")))?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        self.time.set(self.clock.now());
        let mut store = self.store();
        store.ensure_namespace(namespace);
        let namespace = if resource.namespaced { namespace } else { "" };
        store.create(&writer("kubectl"), resource, namespace, object.clone()).map(drop)
    }

    /// An object in the namespace `default`; null if it is not there.
    pub fn get(&self, resource: &Resource, name: &str) -> Value {
        self.store().get(resource, "default", name).map_or(Value::Null, |object| (**object).clone())
    }

    /// Names of a kind's objects.
    pub fn names(&self, resource: &Resource) -> Vec<String> {
        self.store().list(resource, None).map(|((_, name), _)| name.clone()).collect()
    }

    /// The API server, which tells the time of each request.
    fn server(&self) -> Server {
        self.server_with(Arc::new(|_| None))
    }

    fn server_with(&self, faults: Hook) -> Server {
        let (time, clock) = (self.time.clone(), self.clock.clone());
        let hook: Hook = Arc::new(move |request| {
            time.set(clock.now());
            faults(request)
        });
        Server::new(self.store.clone()).with_hook(hook)
    }

    /// The same as [`Cluster::client`], for requests that may meet these faults.
    pub fn client_with(&self, faults: Hook) -> Client {
        self.server_with(faults).with_user("sluice", FIELD_MANAGER).client()
    }

    /// A client for the controller, without a network.
    pub fn client(&self) -> Client {
        self.server().with_user("sluice", FIELD_MANAGER).client()
    }

    /// Serves the API to real clients; who they are is not asked.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(&self, listener: TcpListener, user: &str) -> io::Result<()> {
        self.server().with_user(user, "kubectl").serve(listener).await
    }

    /// Serves the HTTP API of Prometheus.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve_prometheus(&self, listener: TcpListener) -> io::Result<()> {
        let cluster = self.clone();
        let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let cluster = cluster.clone();
            async move { cluster.answer_prometheus(request).await }
        });
        axum::serve(listener, router).await
    }

    async fn answer_prometheus(
        &self,
        request: axum::extract::Request,
    ) -> (http::StatusCode, [(http::HeaderName, &'static str); 1], String) {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        self.time.set(self.clock.now());
        let query = parts.uri.query().unwrap_or_default();
        let (status, text) =
            self.mesh.answer_http(parts.method.as_str(), parts.uri.path(), query, &body);
        let status =
            http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(http::header::CONTENT_TYPE, "application/json")], text)
    }

    /// Lets the cluster's own controllers and the users live, for ever.
    pub async fn live(&self, settings: actors::Settings) {
        let mut actors = Actors::new(settings);
        let mut told = 0;
        let mut news = self.store().changed();
        loop {
            let due = {
                let now = self.clock.now();
                self.time.set(now);
                let mut store = self.store();
                actors.settle(&mut store);
                let changes: Vec<Change> =
                    store.changes_since(told).into_iter().flatten().cloned().collect();
                told = store.version();
                self.mesh.follow(&store, &changes);
                news.mark_unchanged();
                actors.next_due()
            };
            let nap = due.map_or(NAP, |due| until(due, self.clock.now())).min(NAP);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                // The store lives as long as the cluster.
                _ = news.changed() => {}
            }
        }
    }
}

/// The time until `due`, and a millisecond more, so that it is really due then.
fn until(due: Timestamp, now: Timestamp) -> Duration {
    let span = due.duration_since(now).max(jiff::SignedDuration::ZERO);
    span.unsigned_abs() + Duration::from_millis(1)
}

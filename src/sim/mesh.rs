//! Users' requests, and the Prometheus that counts them, as parts of one simulation.
//!
//! In: the store's changes, and the time. Out: an answer to each query of the controller, over the
//! Prometheus HTTP API, and what became of the requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{
    api::{Change, Resource, Store, resource, store::Time},
    prometheus::{Database, http},
    scenario::{Scenario, Users},
    traffic::{self, Objects, Totals, Traffic},
};
use crate::analysis::provider::prometheus::{HttpClients, InProcess, Request};

pub use super::traffic::{Incident, Settings};

/// Requests and their metrics. Cheap to share.
#[derive(Clone)]
pub struct Mesh(Arc<Mutex<Inner>>);

struct Inner {
    time: Time,
    traffic: Traffic,
    database: Database,
    up: bool,
    /// Services that users reach without a `VirtualService`.
    services: Vec<String>,
    /// Whether users have come: they do once a pod can answer them.
    begun: bool,
}

/// The kinds that decide where requests go.
const ROUTING: [&Resource; 5] = [
    &resource::VIRTUAL_SERVICE,
    &resource::DESTINATION_RULE,
    &resource::SERVICE,
    &resource::ENDPOINT_SLICE,
    &resource::POD,
];

impl Mesh {
    /// A mesh with these users, who come once a route leads to a pod: an app is announced when it is
    /// there.
    pub fn new(settings: Settings, time: Time) -> Self {
        let services = settings.services.clone();
        let traffic = Traffic::new(settings, time.now());
        let database = Database::new();
        Self(Arc::new(Mutex::new(Inner {
            time,
            traffic,
            database,
            up: true,
            services,
            begun: false,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in changes of the store.
    pub(super) fn follow(&self, store: &Store, changes: &[Change]) {
        if !changes.iter().any(|change| ROUTING.contains(&change.resource)) {
            return;
        }
        self.observe(store);
    }

    /// istiod comes or goes. Without it the proxies keep the routes and the endpoints that they had.
    pub(super) fn set_istiod_up(&self, store: &Store, up: bool) {
        self.inner().traffic.set_told(up);
        self.observe(store);
    }

    fn observe(&self, store: &Store) {
        let [routes, rules, services, slices, pods] = ROUTING.map(|resource| {
            store.list(resource, None).map(|(_, object)| &**object).collect::<Vec<&Value>>()
        });
        let services_reached = self.inner().services.clone();
        let objects = Objects {
            virtual_services: &routes,
            destination_rules: &rules,
            services: &services,
            endpoint_slices: &slices,
            pods: &pods,
            direct: &services_reached,
        };
        let inner = &mut *self.inner();
        if !inner.begun {
            let to_pod = |split: traffic::Split| {
                split.shares.iter().any(|share| matches!(share.to, traffic::To::Pod(_)))
            };
            inner.begun = traffic::shares(&objects).into_iter().any(to_pod);
            if !inner.begun {
                return;
            }
        }
        let now = inner.time.now();
        // Samples are refused only where somebody else wrote later ones; nobody does.
        let _ = inner.traffic.observe(now, &objects, &mut inner.database);
    }

    /// Whether Prometheus answers.
    pub fn set_prometheus_up(&self, up: bool) {
        self.inner().up = up;
    }

    /// Answers a request to Prometheus: status and body.
    pub fn answer_http(&self, method: &str, path: &str, query: &str, body: &str) -> (u16, String) {
        let inner = &mut *self.inner();
        inner.advance();
        let now = inner.time.now();
        let (status, answer) = http::answer(method, path, query, body, &inner.database, now);
        (status, answer.to_string())
    }

    /// Clients whose requests this Prometheus answers.
    pub(super) fn prometheus(&self) -> HttpClients {
        HttpClients::in_process(Arc::new(self.clone()))
    }

    /// Adds a time, counted from now, at which all versions have errors.
    pub fn add_incident(&self, incident: Incident) {
        let inner = &mut *self.inner();
        let now = inner.time.now();
        // As in `follow`.
        let _ = inner.traffic.add_incident(now, incident, &mut inner.database);
    }

    /// What became of the requests until now.
    pub fn totals(&self) -> Totals {
        let inner = &mut *self.inner();
        inner.advance();
        inner.traffic.totals().clone()
    }

    /// Looks at the samples taken until now.
    pub fn with_samples<T>(&self, look: impl FnOnce(&Database) -> T) -> T {
        let inner = &mut *self.inner();
        inner.advance();
        look(&inner.database)
    }
}

impl Inner {
    fn advance(&mut self) {
        // As in `follow`.
        let _ = self.traffic.advance(self.time.now(), &mut self.database);
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mesh")
    }
}

impl InProcess for Mesh {
    fn answer(&self, request: &Request) -> (u16, Vec<u8>) {
        let inner = &mut *self.inner();
        if !inner.up {
            return (503, b"Service Unavailable".to_vec());
        }
        inner.advance();
        let mut form = reqwest::Url::parse("http://form").ok();
        if let Some(form) = &mut form {
            form.query_pairs_mut().extend_pairs(&request.form);
        }
        let body = form.as_ref().and_then(|form| form.query()).unwrap_or_default();
        let query = request.url.query().unwrap_or_default();
        let (path, now) = (request.url.path(), inner.time.now());
        let (status, body) = http::answer("POST", path, query, body, &inner.database, now);
        (status, body.to_string().into_bytes())
    }
}

impl Settings {
    /// What a scenario says of its users and versions. Without `traffic` there are no requests.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        let Some(users) = &scenario.traffic else {
            return Self { requests_per_minute: 0.0, seed, ..Self::default() };
        };
        let defaults = Self::default();
        let Users { requests_per_minute, errors, incidents, headers, share, services, metrics } =
            users;
        Self {
            requests_per_minute: requests_per_minute.unwrap_or(defaults.requests_per_minute),
            base_errors: errors.map_or(defaults.base_errors, |errors| errors.0),
            services: services.clone(),
            counters: metrics.clone(),
            seed,
            headers: headers.clone(),
            share_with_headers: share.map_or(1.0, |share| share.0),
            versions: scenario
                .versions
                .iter()
                .map(|(image, version)| traffic::Version {
                    image: image.clone(),
                    errors: version.errors.map_or(0.0, |errors| errors.0),
                    latency: version.latency.unwrap_or(1.0),
                    error_after: version.errors_after.map(|after| after.0),
                })
                .collect(),
            incidents: incidents
                .iter()
                .map(|incident| Incident {
                    from: incident.from.0,
                    to: incident.to.0,
                    errors: incident.errors.0,
                })
                .collect(),
            ..defaults
        }
    }
}

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

/// How Prometheus answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// As it should.
    #[default]
    Well,
    /// It is down.
    Unavailable,
    /// With an error of its own.
    Error,
    /// Something in between gives up on it.
    TooLate,
    /// Something in between answers in its place, with a page.
    Page,
    /// That there is nothing.
    Empty,
    /// With `NaN` for all numbers.
    NaN,
}

struct Inner {
    time: Time,
    traffic: Traffic,
    database: Database,
    answers: Answers,
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
            answers: Answers::Well,
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
        self.set_prometheus(if up { Answers::Well } else { Answers::Unavailable });
    }

    /// How Prometheus answers the controller from now on.
    pub fn set_prometheus(&self, answers: Answers) {
        self.inner().answers = answers;
    }

    /// All proxies begin to count anew, as if they had been restarted.
    pub fn reset_counters(&self) {
        let inner = &mut *self.inner();
        inner.advance();
        inner.traffic.reset_counters();
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
        let said = match inner.answers {
            Answers::Well | Answers::NaN => None,
            Answers::Unavailable => Some((503, "Service Unavailable")),
            Answers::Error => {
                Some((500, r#"{"status":"error","errorType":"internal","error":"!"}"#))
            }
            Answers::TooLate => Some((504, "upstream request timeout")),
            Answers::Page => Some((200, "<html>Please log in</html>")),
            Answers::Empty => {
                Some((200, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#))
            }
        };
        if let Some((status, text)) = said {
            return (status, text.as_bytes().to_vec());
        }
        inner.advance();
        let mut form = reqwest::Url::parse("http://form").ok();
        if let Some(form) = &mut form {
            form.query_pairs_mut().extend_pairs(&request.form);
        }
        let body = form.as_ref().and_then(|form| form.query()).unwrap_or_default();
        let query = request.url.query().unwrap_or_default();
        let (path, now) = (request.url.path(), inner.time.now());
        let (status, mut body) = http::answer("POST", path, query, body, &inner.database, now);
        if inner.answers == Answers::NaN {
            blot(&mut body["data"]["result"]);
        }
        (status, body.to_string().into_bytes())
    }
}

/// Makes all values of a result `NaN`.
fn blot(result: &mut Value) {
    match result {
        Value::Array(items) => match items.as_mut_slice() {
            [Value::Number(_), value @ Value::String(_)] => *value = "NaN".into(),
            items => items.iter_mut().for_each(blot),
        },
        Value::Object(fields) => {
            for field in ["value", "values"] {
                fields.get_mut(field).map(blot);
            }
        }
        _ => {}
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
                    latency: incident.latency.unwrap_or(1.0),
                })
                .collect(),
            ..defaults
        }
    }
}

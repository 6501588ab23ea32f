//! What users and versions do.
//!
//! In: what the person who simulates says. Out: rates, shares of errors and latencies.

use std::{collections::BTreeMap, time::Duration};

/// How many requests there are, and what becomes of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Requests to each `VirtualService` in a minute.
    pub requests_per_minute: f64,
    /// Headers that a share of the requests has, by names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The fraction of requests that has them.
    pub share_with_headers: f64,
    /// The fraction of requests that any version answers with an error.
    pub base_errors: f64,
    /// The mean latency of any version in milliseconds; latencies are distributed exponentially.
    pub base_latency_ms: f64,
    /// Time between two scrapes.
    pub scrape_interval: Duration,
    /// Time until the proxies know of a change.
    pub mesh_delay: Duration,
    /// What chance is made of: the same seed gives the same samples.
    pub seed: u64,
    /// Versions that behave unlike the others; the first that fits a pod counts.
    pub versions: Vec<Version>,
    /// Times at which all versions have errors.
    pub incidents: Vec<Incident>,
    /// Names of Services that users reach without a `VirtualService`.
    pub services: Vec<String>,
    /// Metrics of requests that the applications have themselves.
    pub counters: Vec<String>,
}

/// Users whose requests look alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowd {
    /// The headers of their requests, by names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Their share of all requests.
    pub fraction: f64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { headers: BTreeMap::new(), fraction: 1.0 }
    }
}

/// How a version behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The image of one of its containers, or only the tag of it.
    pub image: String,
    /// The fraction of requests that it answers with 500, beside the base.
    pub errors: f64,
    /// Its latency, as a multiple of the base.
    pub latency: f64,
    /// How long after a pod became ready its errors begin; at once without it.
    pub error_after: Option<Duration>,
}

/// A time at which all versions have errors, or are slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// When it begins, after the start of the simulation.
    pub from: Duration,
    /// When it ends, after the start of the simulation.
    pub to: Duration,
    /// The fraction of requests that are answered with 500, beside the base.
    pub errors: f64,
    /// The latency of all versions, as a multiple of theirs.
    pub latency: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests_per_minute: 600.0,
            headers: BTreeMap::new(),
            share_with_headers: 0.0,
            base_errors: 0.001,
            base_latency_ms: 50.0,
            scrape_interval: Duration::from_secs(15),
            mesh_delay: Duration::from_secs(1),
            seed: 0,
            versions: Vec::new(),
            incidents: Vec::new(),
            services: Vec::new(),
            counters: Vec::new(),
        }
    }
}

// === impl Settings ===

impl Settings {
    /// The kinds of users, by what their requests look like.
    pub(super) fn crowds(&self) -> Vec<Crowd> {
        let share = if self.headers.is_empty() { 0.0 } else { self.share_with_headers };
        let with = Crowd { headers: self.headers.clone(), fraction: share };
        let plain = Crowd { headers: BTreeMap::new(), fraction: 1.0 - share };
        [plain, with].into_iter().filter(|crowd| crowd.fraction > 0.0).collect()
    }
}

// === impl Version ===

impl Version {
    /// Whether a container of this image is of the version.
    pub(super) fn is(&self, image: &str) -> bool {
        let name = image.split('@').next().unwrap_or_default();
        let last = name.rsplit('/').next().unwrap_or_default();
        let tag = last.split_once(':').map(|(_, tag)| tag);
        image == self.image || name == self.image || tag == Some(&self.image)
    }
}

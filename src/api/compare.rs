//! Comparing canary and stable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Duration;

/// Compares the failed requests of canary and stable over the same minutes, at every look. `{}` is
/// enough with Istio's metrics.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.errors) || has(self.requests)").message("compare: errors needs requests"))]
pub struct Compare {
    /// Counter of requests, as a selector without a range and a function. Default: Istio's requests
    /// to the two revisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub requests: Option<String>,
    /// Counter of the failed ones. Default: those of `requests` with a `response_code` of 5xx or a
    /// `grpc_response_status` of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub errors: Option<String>,
    /// Label whose value tells the revisions apart. Default `destination_canonical_revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"))]
    pub label: Option<String>,
    /// Its value for the canary. Default: the newest revision's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub canary: Option<String>,
    /// Its value for stable. Default: the stable revision's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub stable: Option<String>,
    /// How much worse the canary may be.
    #[serde(default)]
    pub tolerate: Tolerate,
    /// Share of healthy releases that may be rolled back, such as 1% (the default); the comparisons
    /// of one run share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?%?$"))]
    pub false_alarms: Option<String>,
    /// Requests of each revision without which the canary cannot pass. Default 100. A bad one fails
    /// earlier.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub min_requests: i32,
    /// How long a release takes, roughly: evidence fades over that time. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Duration>,
    /// Share of failed requests from which on it is an incident: if canary and stable both have it
    /// and the canary is no worse, the release is held. Default 5%; 100% never holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(\.[0-9]+)?%?$"))]
    pub incident: Option<String>,
}

/// How much worse than stable the canary may be: `ratio` times its share of errors, plus `absolute`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Tolerate {
    /// Times stable's share of errors. Default 1.1.
    #[serde(default = "a_tenth_more")]
    #[schemars(range(min = 1, max = 10))]
    pub ratio: f64,
    /// A share of requests on top of that, such as 0.001. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 0.5))]
    pub absolute: f64,
}

impl Default for Tolerate {
    fn default() -> Self {
        Self { ratio: a_tenth_more(), absolute: 0.0 }
    }
}

/// What a comparison has found so far.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What it says.
    #[serde(default)]
    pub finding: ComparisonFinding,
    /// What was counted of the canary since the run began.
    #[serde(default)]
    pub canary: ComparedRequests,
    /// What was counted of stable meanwhile.
    #[serde(default)]
    pub stable: ComparedRequests,
    /// Requests of each without which the canary cannot pass.
    #[serde(default)]
    pub min_requests: u64,
    /// Whether the evidence speaks against the canary, without being enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// Distance of two scrapes, as found in the samples.
    #[serde(default)]
    pub scrape_interval: Duration,
    /// Up to when samples were read; none is read twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub read_until: Option<Timestamp>,
    /// When the canary was last seen to get a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub canary_seen: Option<Timestamp>,
    /// Seconds of samples that were read, those before the run included.
    #[serde(default)]
    pub read_seconds: f64,
    /// Whose count it is, by the label `reporter`; empty where there is no such label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reporter: String,
    /// What the judge remembers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "super::open_schema")]
    pub memory: BTreeMap<String, Value>,
}

/// What a comparison says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum ComparisonFinding {
    /// Fewer requests than `minRequests`, or none of late.
    #[default]
    NotEnoughData,
    /// Enough requests, and nothing shows that the canary is worse.
    NotWorse,
    /// Canary and stable both fail: the release is held, and nobody is blamed.
    SharedIncident,
    /// The canary is worse than tolerated.
    Worse,
}

/// Requests of one revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ComparedRequests {
    /// All of them.
    #[serde(default)]
    pub requests: u64,
    /// The failed ones.
    #[serde(default)]
    pub errors: u64,
}

fn hundred() -> i32 {
    100
}

fn a_tenth_more() -> f64 {
    1.1
}

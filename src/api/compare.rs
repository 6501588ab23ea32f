//! Comparing canary and stable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Duration;

/// Compares the failed requests of canary and stable over the same minutes, at every look, or what
/// else is said. `{}` is enough with Istio's metrics.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.errors) || has(self.requests)").message("compare: errors needs requests"))]
pub struct Compare {
    /// Compares how many requests are slow, in place of those that failed. At most one of `latency`,
    /// `slo`, `mannWhitney` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<CompareLatency>,
    /// Watches an objective of the canary, in place of comparing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// Compares the values of `query` for canary and stable, once, as Kayenta does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mann_whitney: Option<MannWhitney>,
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
    /// Share of healthy releases that may be rolled back, such as 1% (the default); all comparisons
    /// of a release share it.
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

/// Slow requests: those above each of some bounds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CompareLatency {
    /// Histogram, as a selector without `_bucket`. Default: Istio's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub histogram: Option<String>,
    /// Bounds of its buckets. Default 50ms, 100ms, 250ms, 500ms, 1s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub bounds: Vec<Duration>,
}

/// An objective.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Slo {
    /// Share of requests that must not fail, such as 99.9%. In a template also `"{{args.NAME}}"`.
    #[schemars(length(max = 128))]
    pub objective: String,
    /// How many times too fast its error budget may burn, up to 1000. Default 14.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<f64>,
    /// Window over which it burns, and a fifth of it. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Duration>,
}

/// Kayenta's judge.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MannWhitney {
    /// Which difference is bad. Default increase.
    #[serde(default)]
    pub direction: Direction,
    /// Part of the likely shift that does not count. Default 0.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Values of each revision, one an interval, without which it says nothing. Default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1000))]
    pub values: Option<i32>,
    /// Percent of the series without a bad difference at which it passes. Default 95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub pass: Option<i32>,
    /// Percent at which it is inconclusive instead of failed. Default 75.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub marginal: Option<i32>,
}

/// Which difference is bad.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The canary is higher.
    #[default]
    Increase,
    /// The canary is lower.
    Decrease,
    /// Both.
    Either,
}

/// How much worse than stable the canary may be: `ratio` times its share of errors, plus `absolute`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Tolerate {
    /// Times stable's share of errors. Default 1.1; of latency, where odds are compared, 1.2; of
    /// mannWhitney, where it is means, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub ratio: Option<f64>,
    /// A share of requests on top of that, such as 0.001. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 0.5))]
    pub absolute: f64,
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
    /// The canary is worse than tolerated, or burns its budget alone.
    Worse,
}

/// Requests of one revision.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ComparedRequests {
    /// All of them.
    #[serde(default)]
    pub requests: u64,
    /// The bad ones: failed, or above the bound that tells most.
    #[serde(default)]
    pub errors: u64,
}

fn hundred() -> i32 {
    100
}

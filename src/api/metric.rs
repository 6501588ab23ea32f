//! Metrics and their providers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Compare, Count, Duration, SecretKeyRef};

/// One metric: what to measure, how often, and what counts as good or bad.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.count) || self.count == 1 || has(self.interval)").message("a metric with count above 1 needs an interval"))]
#[x_kube(validation = Rule::new("!(has(self.provider.prometheus) && has(self.provider.prometheus.compare)) || !(has(self.threshold) || has(self.successCondition) || has(self.failureCondition))").message("a comparison has neither a threshold nor conditions"))]
#[x_kube(validation = Rule::new("!(has(self.threshold) && (has(self.successCondition) || has(self.failureCondition)))").message("a metric has a threshold or conditions, not both"))]
pub struct Metric {
    /// Its name, one of a kind in a run.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Time between the end of a measurement and the start of the next. Without it the metric is
    /// measured once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Time before the first measurement. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<Duration>,
    /// Number of measurements to take; errors and missing data do not count. Default: 1 without an
    /// interval, endless with one. In a template also `"{{args.NAME}}"`; the value 0 is endless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
    /// CEL expression over `result` that must hold: `result[0] >= 0.95`. `result` is a number for a
    /// scalar and a list of numbers for a vector; `isNaN(x)`, `isInf(x)` and `default(x, y)` help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub success_condition: Option<String>,
    /// CEL expression over `result` that must not hold. It wins over `successCondition`; when
    /// neither holds, the measurement is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub failure_condition: Option<String>,
    /// Bounds, in place of conditions: every value must lie within them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// Failed measurements that are tolerated. Default 0: the first one fails the metric.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub failure_limit: i32,
    /// Inconclusive measurements that are tolerated. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000))]
    pub inconclusive_limit: i32,
    /// Errors in a row that are tolerated (the provider could not be asked). Default 4.
    #[serde(default = "four")]
    #[schemars(range(min = 0, max = 100_000))]
    pub consecutive_error_limit: i32,
    /// Successes in a row that end the metric as Successful. Default: no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub consecutive_success_limit: Option<i32>,
    /// What a measurement without data means: `wait` asks again after the interval, `pass` and
    /// `fail` count as a success or failure, `pause` is inconclusive and asks a person. Default wait.
    #[serde(default)]
    pub on_no_data: OnNoData,
    /// Where the numbers come from.
    pub provider: Provider,
}

/// Bounds that every value must lie within.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.min) || has(self.max)").message("threshold needs min, max or both"))]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)").message("threshold: min is greater than max"))]
pub struct Threshold {
    /// The lowest good value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The highest good value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// What a measurement without data means.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum OnNoData {
    /// Ask again later; it counts neither way.
    #[default]
    Wait,
    /// A success.
    Pass,
    /// A failure.
    Fail,
    /// Inconclusive: a person decides.
    Pause,
}

/// Where the numbers come from. Exactly one field is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.prometheus) != has(self.job)").message("a provider is exactly one of prometheus, job"))]
pub struct Provider {
    /// A PromQL query or a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusProvider>,
    /// A Kubernetes Job: it passes when the Job succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobProvider>,
}

/// A PromQL query, or a comparison of canary and stable, by the Prometheus HTTP API.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.query) == (!has(self.compare) || has(self.compare.mannWhitney))").message("prometheus has exactly one of query, compare; mannWhitney compares a query"))]
#[x_kube(validation = Rule::new("!(has(self.range) && has(self.compare))").message("range belongs to a query, not to compare"))]
pub struct PrometheusProvider {
    /// Base address, such as `http://prometheus.monitoring:9090`. Default: the controller's
    /// `--prometheus-url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub address: Option<String>,
    /// The query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
    /// Compares canary and stable, in place of conditions and a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Compare>,
    /// Asks for a range instead of an instant; `result` is then the list of all values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<QueryRange>,
    /// Time that an answer may take. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Further HTTP headers, such as `X-Scope-OrgID`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub headers: Vec<Header>,
    /// How to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// How to check the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsOptions>,
}

/// A range query that ends at the time of the measurement.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QueryRange {
    /// How far back it starts.
    pub lookback: Duration,
    /// Distance of the points.
    pub step: Duration,
}

/// An HTTP header.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secretKeyRef)").message("a header has exactly one of value, secretKeyRef"))]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Its value, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// How to log in. Exactly one field is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bearer) != has(self.basic)").message("authentication is exactly one of bearer, basic"))]
pub struct Authentication {
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretKeyRef>,
    /// User name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
}

/// User name and password, each from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The user name.
    pub username: SecretKeyRef,
    /// The password.
    pub password: SecretKeyRef,
}

/// How to check the server's certificate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TlsOptions {
    /// True accepts any certificate. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verify: bool,
    /// Certificates (PEM) of further authorities to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKeyRef>,
}

/// A Job that passes when it succeeds.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct JobProvider {
    /// Labels and annotations of the Job.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "super::open_schema")]
    pub metadata: Map<String, Value>,
    /// The JobSpec. Without `activeDeadlineSeconds` the Job gets 600 seconds, and without
    /// `backoffLimit` none: a smoke test that fails has failed.
    #[schemars(schema_with = "super::open_schema")]
    pub spec: Map<String, Value>,
}

fn four() -> i32 {
    4
}

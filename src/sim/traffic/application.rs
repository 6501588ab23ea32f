//! What applications count themselves: the metrics that teams have without a mesh.
//!
//! In: names of metrics that somebody asks for, and the answers of each pod. Out: samples. By the
//! usual endings of names: `…requests_total` counts answers by `code` and `status`, `…errors_total`
//! those with an error, and a histogram's `…_seconds_bucket` their latency. Each pod is a target with
//! its labels on every series, as Prometheus' usual `labelmap` has it.

use std::collections::BTreeMap;

use super::flow::Outcome;
use super::meter::{BOUNDS_MS, Latencies};
use super::number;
use super::pod::Pod;
use crate::sim::prometheus::{AppendError, Database, Labels, NAME, SeriesId};

/// Metrics of other exporters: no application has them.
const FOREIGN: [&str; 6] = ["istio_", "envoy_", "kube_", "container_", "apiserver_", "node_"];

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counts {
    Requests,
    Errors,
    Latency { per_second: bool },
}

/// The metrics that are asked for, and what pods show of them.
pub(super) struct Application {
    metrics: BTreeMap<String, Counts>,
    pods: BTreeMap<usize, Target>,
}

struct Target {
    labels: Labels,
    up: SeriesId,
    ended: bool,
    /// By the code that was answered.
    requests: BTreeMap<&'static str, (Vec<SeriesId>, u64)>,
    errors: (Vec<SeriesId>, u64),
    latencies: Latencies,
    histograms: Vec<(bool, Histogram)>,
}

struct Histogram {
    buckets: Vec<SeriesId>,
    sum: SeriesId,
    count: SeriesId,
}

/// Whether a name is one of an application's own metrics of requests.
pub fn is_known(name: &str) -> bool {
    counts(name).is_some()
}

fn counts(name: &str) -> Option<(String, Counts)> {
    if FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
        return None;
    }
    if name.ends_with("requests_total") {
        return Some((name.to_owned(), Counts::Requests));
    }
    if name.ends_with("errors_total") || name.ends_with("failures_total") {
        return Some((name.to_owned(), Counts::Errors));
    }
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part))?;
    let of_requests = ["request", "response", "latency"].iter().any(|word| part.contains(word));
    let per_second = part.ends_with("_seconds");
    let is_time = per_second || part.ends_with("_milliseconds");
    (of_requests && is_time).then(|| (part.to_owned(), Counts::Latency { per_second }))
}

// === impl Application ===

impl Application {
    pub(super) fn new(names: &[String]) -> Self {
        let metrics = names.iter().filter_map(|name| counts(name)).collect();
        Self { metrics, pods: BTreeMap::new() }
    }

    /// Takes note that a pod is there.
    pub(super) fn begin(&mut self, place: usize, pod: &Pod, database: &mut Database) {
        let alive = self.pods.get(&place).is_some_and(|target| !target.ended);
        if self.metrics.is_empty() || alive {
            return;
        }
        let labels = labels(pod);
        let id = |database: &mut Database, name: &str| database.series_id(&labels.with(NAME, name));
        let mut errors = Vec::new();
        let mut histograms = Vec::new();
        for (name, counts) in &self.metrics {
            match counts {
                Counts::Requests => {}
                Counts::Errors => errors.push(id(database, name)),
                Counts::Latency { per_second } => {
                    let bucket = labels.with(NAME, &format!("{name}_bucket"));
                    let buckets = bounds(*per_second);
                    let buckets = buckets.map(|le| database.series_id(&bucket.with("le", &le)));
                    let histogram = Histogram {
                        buckets: buckets.collect(),
                        sum: id(database, &format!("{name}_sum")),
                        count: id(database, &format!("{name}_count")),
                    };
                    histograms.push((*per_second, histogram));
                }
            }
        }
        let up = id(database, "up");
        let target = Target {
            up,
            labels,
            ended: false,
            requests: BTreeMap::new(),
            errors: (errors, 0),
            latencies: Latencies::default(),
            histograms,
        };
        self.pods.insert(place, target);
    }

    /// Takes note that a pod is gone: its series are marked so at this scrape.
    pub(super) fn end(
        &mut self,
        place: usize,
        database: &mut Database,
        at_ms: i64,
    ) -> Result<(), AppendError> {
        let Some(target) = self.pods.get_mut(&place).filter(|target| !target.ended) else {
            return Ok(());
        };
        target.ended = true;
        let codes = target.requests.values().flat_map(|(series, _)| series);
        let histograms = target.histograms.iter().flat_map(|(_, histogram)| {
            histogram.buckets.iter().chain([&histogram.sum, &histogram.count])
        });
        let all = codes.chain(&target.errors.0).chain(histograms).chain([&target.up]);
        for id in all {
            database.push_stale(*id, at_ms)?;
        }
        Ok(())
    }

    /// A pod has answered.
    pub(super) fn count(
        &mut self,
        place: usize,
        outcome: Outcome,
        requests: u64,
        latencies: &Latencies,
        database: &mut Database,
    ) {
        let code = match outcome {
            Outcome::Answered => "200",
            Outcome::Error => "500",
            Outcome::Lost => return,
        };
        let Some(target) = self.pods.get_mut(&place).filter(|target| !target.ended) else { return };
        let names = self.metrics.iter().filter(|(_, counts)| **counts == Counts::Requests);
        let labels = &target.labels;
        let found = target.requests.entry(code).or_insert_with(|| {
            let series = names.map(|(name, _)| {
                let labels = labels.with("code", code).with("status", code);
                database.series_id(&labels.with(NAME, name))
            });
            (series.collect(), 0)
        });
        found.1 += requests;
        if outcome == Outcome::Error {
            target.errors.1 += requests;
        }
        target.latencies.add(latencies);
    }

    /// Writes what all pods show now.
    pub(super) fn scrape(&self, database: &mut Database, at_ms: i64) -> Result<(), AppendError> {
        for target in self.pods.values().filter(|target| !target.ended) {
            database.push(target.up, at_ms, 1.0)?;
            for (series, count) in target.requests.values().chain([&target.errors]) {
                for id in series {
                    database.push(*id, at_ms, number(*count))?;
                }
            }
            for (per_second, histogram) in &target.histograms {
                let mut count = 0;
                for (id, more) in histogram.buckets.iter().zip(target.latencies.counts) {
                    count += more;
                    database.push(*id, at_ms, number(count))?;
                }
                let unit = if *per_second { 1000.0 } else { 1.0 };
                database.push(histogram.sum, at_ms, target.latencies.sum_ms / unit)?;
                database.push(histogram.count, at_ms, number(count))?;
            }
        }
        Ok(())
    }
}

/// The values of `le`, as Prometheus 3 stores them.
fn bounds(per_second: bool) -> impl Iterator<Item = String> {
    let unit = if per_second { 1000.0 } else { 1.0 };
    let bounds = BOUNDS_MS.into_iter().map(move |bound| format!("{:?}", bound / unit));
    bounds.chain(["+Inf".to_owned()])
}

fn labels(pod: &Pod) -> Labels {
    let own = [
        ("job", "kubernetes-pods"),
        ("instance", &*pod.address),
        ("namespace", &*pod.namespace),
        ("pod", &*pod.name),
        ("kubernetes_namespace", &*pod.namespace),
        ("kubernetes_pod_name", &*pod.name),
    ];
    let mapped = pod.labels.iter().map(|(name, value)| (label(name), value.clone()));
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Labels::new(mapped.chain(own))
}

/// A pod's label as the name of a label in Prometheus.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_they_count() {
        for (name, expected) in [
            ("http_requests_total", Some(Counts::Requests)),
            ("agent_errors_total", Some(Counts::Errors)),
            ("agent_request_duration_seconds_bucket", Some(Counts::Latency { per_second: true })),
            ("http_response_milliseconds_sum", Some(Counts::Latency { per_second: false })),
            ("istio_requests_total", None),
            ("container_cpu_usage_seconds_total", None),
            ("kube_pod_container_status_restarts_total", None),
            ("job_duration_seconds_bucket", None),
            ("up", None),
        ] {
            assert_eq!(counts(name).map(|(_, counts)| counts), expected, "{name}");
        }
    }
}

//! The simulated Prometheus is honest: the same samples and queries give the same answers as the
//! real one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sluice::sim::{
    prometheus::{http, openmetrics},
    simulation::START,
};

use crate::{
    scenario::on_runtime,
    support::{fleet, folder, prometheus::Prometheus},
};

/// Queries as users write them in analysis templates, and each function that they may use.
const QUERIES: [&str; 40] = [
    "istio_requests_total",
    r#"istio_requests_total{reporter="source"}"#,
    r#"istio_requests_total{response_code!="200"}"#,
    r#"istio_requests_total{response_code=~"5..|4.."}"#,
    r#"istio_requests_total{response_code!~"5.."} offset 2m"#,
    "rate(istio_requests_total[1m])",
    "rate(istio_requests_total[5m])",
    "irate(istio_requests_total[1m])",
    "increase(istio_requests_total[3m])",
    "delta(istio_requests_total[2m])",
    "idelta(istio_requests_total[2m])",
    "resets(istio_requests_total[10m])",
    "changes(istio_requests_total[10m])",
    "sum(rate(istio_requests_total[1m]))",
    "sum by (destination_canonical_revision) (rate(istio_requests_total[1m]))",
    "sum without (pod, instance, job, namespace) (rate(istio_requests_total[2m]))",
    r#"sum(rate(istio_requests_total{response_code!~"5.."}[1m])) / sum(rate(istio_requests_total[1m]))"#,
    r#"sum by (pod) (rate(istio_requests_total{response_code!~"5..",reporter="destination"}[2m])) / on (pod) group_left sum by (pod) (rate(istio_requests_total{reporter="destination"}[2m]))"#,
    "avg(rate(istio_requests_total[1m]))",
    "min(rate(istio_requests_total[1m])) or vector(0)",
    "max by (reporter) (rate(istio_requests_total[1m]))",
    "count by (response_code) (istio_requests_total)",
    "stddev(rate(istio_requests_total[2m]))",
    "topk(2, rate(istio_requests_total[2m]))",
    "quantile(0.9, rate(istio_requests_total[2m]))",
    "histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket[1m])))",
    r#"histogram_quantile(0.5, sum by (le, destination_canonical_revision) (rate(istio_request_duration_milliseconds_bucket{reporter="destination"}[2m])))"#,
    "rate(istio_request_duration_milliseconds_sum[1m]) / rate(istio_request_duration_milliseconds_count[1m])",
    "sum(rate(istio_requests_total[1m])) > 5",
    "sum(rate(istio_requests_total[1m])) > bool 5",
    "istio_requests_total and on (pod) istio_request_duration_milliseconds_count",
    "istio_requests_total unless istio_requests_total{reporter=\"source\"}",
    "avg_over_time(up[5m])",
    "max_over_time(istio_requests_total[2m])",
    "count_over_time(up[5m])",
    "quantile_over_time(0.5, istio_requests_total[5m])",
    "absent(nothing_at_all)",
    "scalar(sum(istio_requests_total)) * 2",
    "-sum(istio_requests_total) % 7",
    "max_over_time(sum(rate(istio_requests_total[1m]))[5m:30s])",
];

/// Minutes after the start. The simulation is a Prometheus 3, and Debian's a 2, which differ in two
/// things that are avoided here: 3 leaves the left end of a range out, so no time is on a scrape; and
/// 3 extrapolates less far where a counter has just begun, so no time is soon after the first requests.
const MINUTES: [i64; 3] = [9, 17, 30];

#[test]
fn the_simulated_prometheus_answers_as_the_real_one() {
    let played = fleet::released(1, 3);
    assert!(played.failure.is_none(), "the release is promoted");
    let mesh = played.simulation.mesh().clone();
    let samples = mesh.with_samples(openmetrics);
    let start: Timestamp = START.parse().expect("a time");
    on_runtime(async {
        let real = Prometheus::over(&folder("e2e-promql"), &samples).await;
        let mut differences = Vec::new();
        let mut compared = 0;
        for query in QUERIES {
            for minute in MINUTES {
                let at = start
                    + SignedDuration::from_secs(minute * 60)
                    + SignedDuration::from_millis(7321);
                let (time, begin) =
                    (at.to_string(), (at - SignedDuration::from_mins(3)).to_string());
                let instant = [("query", query), ("time", &time)];
                let range = [("query", query), ("start", &begin), ("end", &time), ("step", "17")];
                for (kind, fields) in [("query", &instant[..]), ("query_range", &range[..])] {
                    let expected = real.answer(kind, fields).await.expect("Prometheus answers");
                    let found = simulated(&mesh, kind, fields, at);
                    compared += 1;
                    if let Some(text) = difference(&expected, &found) {
                        differences.push(format!("{kind} {query} at {time}: {text}"));
                    }
                }
            }
        }
        assert_eq!(compared, 2 * MINUTES.len() * QUERIES.len());
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}

fn simulated(
    mesh: &sluice::sim::mesh::Mesh,
    kind: &str,
    fields: &[(&str, &str)],
    now: Timestamp,
) -> Value {
    let mut form = reqwest::Url::parse("http://form").expect("an address");
    form.query_pairs_mut().extend_pairs(fields);
    let (path, body) = (format!("/api/v1/{kind}"), form.query().unwrap_or_default());
    mesh.with_samples(|database| http::answer("POST", &path, "", body, database, now)).1
}

/// Compares two answers, whatever the order of their series.
fn difference(expected: &Value, found: &Value) -> Option<String> {
    for field in ["/status", "/data/resultType"] {
        if expected.pointer(field) != found.pointer(field) {
            return Some(format!("expected {expected}, found {found}"));
        }
    }
    let (expected, found) = (series(expected), series(found));
    if expected.len() != found.len() {
        return Some(format!("expected {} series, found {}", expected.len(), found.len()));
    }
    for (labels, wanted) in &expected {
        let Some(values) = found.get(labels) else { return Some(format!("no series {labels}")) };
        let same = wanted.len() == values.len()
            && wanted.iter().zip(values).all(|(a, b)| a.0 == b.0 && close(a.1, b.1));
        if !same {
            return Some(format!("{labels}: expected {wanted:?}, found {values:?}"));
        }
    }
    None
}

/// Values with their times in milliseconds, by labels.
fn series(answer: &Value) -> BTreeMap<String, Vec<(i64, f64)>> {
    let point = |point: &Value| {
        let millis = (point[0].as_f64().unwrap_or(-1.0) * 1000.0).round();
        let value = point[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this age")]
        (millis as i64, value)
    };
    let result = &answer["data"]["result"];
    let Some(all) = result.as_array() else { return BTreeMap::new() };
    if answer["data"]["resultType"] == "scalar" {
        return BTreeMap::from([(String::new(), vec![point(result)])]);
    }
    let values = |one: &Value| match one["values"].as_array() {
        Some(values) => values.iter().map(point).collect(),
        None => vec![point(&one["value"])],
    };
    all.iter().map(|one| (one["metric"].to_string(), values(one))).collect()
}

fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

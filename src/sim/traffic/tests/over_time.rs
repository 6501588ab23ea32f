//! Requests, scrapes and totals over time.

use std::time::Duration;

use super::*;
use crate::sim::prometheus::{Database, Query, Value as Answer, openmetrics};
use crate::sim::traffic::{Incident, Settings, Traffic, Version, number};

/// The canary answers every fifth request with an error, and is twice as slow.
fn settings() -> Settings {
    let bad = Version { image: "canary".to_owned(), errors: 0.2, latency: 2.0, error_after: None };
    Settings {
        requests_per_minute: 6000.0,
        base_errors: 0.01,
        seed: 7,
        versions: vec![bad],
        ..Settings::default()
    }
}

/// Runs these states of the cluster, each from its second on, up to `end`.
fn run(settings: Settings, states: &[(i64, Cluster)], end: i64) -> (Traffic, Database) {
    let (mut traffic, mut database) = (Traffic::new(settings, at(0)), Database::new());
    for (second, cluster) in states {
        cluster.look(|objects| traffic.observe(at(*second), objects, &mut database)).unwrap();
    }
    traffic.advance(at(end), &mut database).unwrap();
    (traffic, database)
}

/// The sum of the answer; none if it is empty.
fn ask(database: &Database, second: i64, query: &str) -> Option<f64> {
    match Query::parse(query).unwrap().instant(database, at(second)).unwrap() {
        Answer::Scalar(value) => Some(value),
        Answer::Vector(samples) if samples.is_empty() => None,
        Answer::Vector(samples) => Some(samples.iter().map(|sample| sample.value).sum()),
        other => panic!("{query}: {other:?}"),
    }
}

fn near(found: Option<f64>, expected: f64, tolerance: f64) {
    let found = found.expect("an answer");
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
}

const RATE: &str = "sum(rate(istio_requests_total{reporter=\"source\",\
                    destination_service_namespace=\"shop\",destination_canonical_service=\"web\"";

#[test]
fn queries_find_the_rates_that_were_set() {
    let (traffic, database) = run(settings(), &[(0, canary(75, 25))], 900);
    near(ask(&database, 900, &format!("{RATE}}}[5m]))")), 100.0, 3.0);
    let canary = format!("{RATE},destination_canonical_revision=\"canary\"");
    near(ask(&database, 900, &format!("{canary}}}[5m]))")), 25.0, 1.5);
    let good = format!("{canary},response_code!~\"5..\"}}[5m])) / {canary}}}[5m]))");
    near(ask(&database, 900, &good), 0.79, 0.02);
    let stable = canary.replace("\"canary\"", "\"stable\"");
    let good = format!("{stable},response_code!~\"5..\"}}[5m])) / {stable}}}[5m]))");
    near(ask(&database, 900, &good), 0.99, 0.005);
    // An exponential distribution of mean 100 ms has its median at 69 ms; buckets are coarse.
    let median = "histogram_quantile(0.5, sum by (le) (rate(\
                  istio_request_duration_milliseconds_bucket{destination_workload=\"web-canary\",\
                  reporter=\"destination\"}[5m])))";
    near(ask(&database, 900, median), 73.0, 6.0);
    let mean = |part: &str| {
        format!(
            "sum(rate(istio_request_duration_milliseconds_{part}{{reporter=\"source\",\
             destination_version=\"stable\"}}[5m]))"
        )
    };
    near(ask(&database, 900, &format!("{} / {}", mean("sum"), mean("count"))), 50.0, 1.5);
    let all = traffic.totals().all();
    assert_eq!(all.lost, 0);
    let canary = traffic.totals().sum(|whose| whose.revision == "canary");
    assert!(canary.errors * 5 > all.errors * 4, "{canary:?} of {all:?}");
    assert_eq!(ask(&database, 900, "sum(up)"), Some(4.0));
}

#[test]
fn both_reporters_agree_and_buckets_add_up() {
    let (_, database) = run(settings(), &[(0, canary(75, 25))], 300);
    let equal = [
        (
            "sum(istio_requests_total{reporter=\"source\"})",
            "sum(istio_requests_total{reporter=\"destination\"})",
        ),
        (
            "sum(istio_requests_total)",
            "sum(istio_request_duration_milliseconds_bucket{le=\"+Inf\"})",
        ),
        ("sum(istio_requests_total)", "sum(istio_request_duration_milliseconds_count)"),
    ];
    for (left, right) in equal {
        assert_eq!(ask(&database, 300, left), ask(&database, 300, right), "{left} and {right}");
    }
}

#[test]
fn the_same_seed_gives_the_same_samples_however_often_it_is_called() {
    let states = [(0, canary(100, 0)), (100, canary(50, 50)), (200, canary(0, 100))];
    let (mut traffic, mut database) = run(settings(), &states, 200);
    for second in 200..=400 {
        traffic.advance(at(second), &mut database).unwrap();
        // What did not change is not noticed.
        states[2].1.look(|objects| traffic.observe(at(second), objects, &mut database)).unwrap();
    }
    let (_, once) = run(settings(), &states, 400);
    assert_eq!(openmetrics(&database), openmetrics(&once));
    let (_, other) = run(Settings { seed: 8, ..settings() }, &states, 400);
    assert_ne!(openmetrics(&database), openmetrics(&other));
}

#[test]
fn one_more_pod_shifts_no_other_numbers() {
    let more = canary(75, 25).with_service("more", &["more-1"]).with_routes(&json!([]));
    let (_, alone) = run(settings(), &[(0, canary(75, 25))], 300);
    let (_, with_more) = run(settings(), &[(0, more)], 300);
    let lines = |database: &Database| {
        let text = openmetrics(database);
        let lines = text.lines().filter(|line| !line.contains("more-1"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&alone), lines(&with_more));
}

#[test]
fn counters_rise_until_the_pod_is_gone() {
    let mut gone = canary(100, 0);
    gone.endpoint_slices.remove(1);
    gone.pods.retain(|pod| pod["metadata"]["name"] != "canary-1");
    let states = [(0, canary(50, 50)), (300, gone)];
    let (_, database) = run(settings(), &states, 400);
    for series in database.all() {
        let points: Vec<_> = series.points().iter().filter(|point| !point.is_stale()).collect();
        assert!(points.is_sorted_by(|a, b| a.value <= b.value), "{}", series.labels());
        assert!(points.iter().all(|point| point.at_ms % 15_000 == 5_000));
        let ended = series.labels().get("pod") == "canary-1";
        assert_eq!(series.points().last().unwrap().is_stale(), ended, "{}", series.labels());
    }
    let canary = "sum(istio_requests_total{pod=\"canary-1\"})";
    assert!(ask(&database, 300, canary).is_some());
    // The scrape at 305 s marks the end.
    assert_eq!(ask(&database, 306, canary), None);
    // The gateway still counts what it saw.
    assert!(
        ask(&database, 400, "sum(istio_requests_total{destination_version=\"canary\"})").is_some()
    );
}

#[test]
fn a_pod_that_is_gone_before_the_mesh_knows_loses_requests() {
    let mut gone = canary(50, 50);
    gone.endpoint_slices[1]["endpoints"] = json!([]);
    gone.pods.retain(|pod| pod["metadata"]["name"] != "canary-1");
    let settings = Settings { mesh_delay: Duration::from_secs(3), ..settings() };
    let (traffic, database) = run(settings, &[(0, canary(50, 50)), (300, gone)], 306);
    // Half of 100 requests a second for 3 s to the dead pod, and for 2 s to no endpoint at all.
    let lost = |flag: &str| {
        let query =
            format!("sum(istio_requests_total{{response_code=\"503\",response_flags=\"{flag}\"}})");
        ask(&database, 306, &query)
    };
    near(lost("UF"), 150.0, 40.0);
    near(lost("UH"), 100.0, 35.0);
    let totals = traffic.totals();
    // Before the mesh knew of anything, requests went nowhere and are not counted.
    assert!(totals.sum(|whose| whose.revision == "canary").lost > 0);
    let counted = lost("UF").unwrap() + lost("UH").unwrap();
    near(Some(counted), number(totals.all().lost), 0.0);
}

#[test]
fn a_pod_on_its_way_out_serves_and_a_crashed_one_does_not() {
    let mut leaving = canary(50, 50);
    leaving.pod("canary-1")["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:05:00Z");
    leaving.pod("canary-1")["status"]["conditions"][0]["status"] = json!("False");
    let (traffic, _) = run(settings(), &[(0, canary(50, 50)), (300, leaving)], 400);
    assert_eq!(traffic.totals().all().lost, 0);
    let mut crashed = canary(50, 50);
    crashed.pod("canary-1")["status"]["conditions"][0]["status"] = json!("False");
    let (traffic, _) = run(settings(), &[(0, canary(50, 50)), (300, crashed)], 400);
    assert!(traffic.totals().all().lost > 1000);
}

#[test]
fn the_mesh_learns_late() {
    let settings = Settings { mesh_delay: Duration::from_mins(1), ..settings() };
    let states = [(0, canary(100, 0)), (100, canary(0, 100))];
    let (traffic, _) = run(settings, &states, 155);
    assert_eq!(traffic.totals().sum(|whose| whose.revision == "canary").sent, 0);
    // From 60 s on, up to the scrape at 155 s.
    let sent = traffic.totals().all().sent;
    assert!((9000..10_000).contains(&sent), "{sent}");
}

#[test]
fn errors_begin_and_end_when_they_should() {
    let late = Version {
        image: "registry:5000/web:canary".to_owned(),
        errors: 1.0,
        latency: 1.0,
        error_after: Some(Duration::from_secs(125)),
    };
    let incident = Incident {
        from: Duration::from_secs(305),
        to: Duration::from_secs(335),
        errors: 1.0,
        latency: 1.0,
    };
    let settings = Settings {
        base_errors: 0.0,
        versions: vec![late],
        incidents: vec![incident],
        ..settings()
    };
    let (mut traffic, mut database) = run(settings, &[(0, canary(50, 50))], 125);
    assert_eq!(traffic.totals().all().errors, 0);
    traffic.advance(at(305), &mut database).unwrap();
    assert_eq!(traffic.totals().sum(|whose| whose.revision == "stable").errors, 0);
    let canary = traffic.totals().sum(|whose| whose.image.ends_with(":canary"));
    assert!((8500..9500).contains(&canary.errors), "{canary:?}");
    traffic.advance(at(400), &mut database).unwrap();
    let stable = traffic.totals().sum(|whose| whose.revision == "stable");
    assert!((1300..1700).contains(&stable.errors), "{stable:?}");
}

#[test]
fn connections_show_in_no_metric() {
    let mut cluster = Cluster::default().with_service("db", &["db-1"]);
    cluster.virtual_services.push(json!({
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"tcp": [
            {"route": [{"destination": {"host": "db"}}]},
            {"route": [{"destination": {"host": "gone"}}]},
        ]},
    }));
    let (traffic, database) = run(settings(), &[(0, cluster)], 65);
    let all = traffic.totals().all();
    assert!(all.lost > 2000 && all.sent > 5000 && all.errors == 0, "{all:?}");
    assert!(!database.has("istio_requests_total"));
}

#[test]
fn istio_names_are_those_of_its_documentation() {
    let (_, database) = run(settings(), &[(0, canary(0, 100))], 65);
    let names: Vec<&str> = database.names().collect();
    assert_eq!(
        names,
        [
            "istio_request_duration_milliseconds_bucket",
            "istio_request_duration_milliseconds_count",
            "istio_request_duration_milliseconds_sum",
            "istio_requests_total",
            "up",
        ]
    );
    let is_meant = |labels: &crate::sim::prometheus::Labels| {
        labels.name() == "istio_requests_total"
            && labels.get("reporter") == "destination"
            && labels.get("response_code") == "200"
    };
    let series = database.all().find(|series| is_meant(series.labels())).unwrap();
    assert_eq!(
        series.labels().to_string(),
        "istio_requests_total{connection_security_policy=\"mutual_tls\", destination_app=\"web\", \
         destination_canonical_revision=\"canary\", destination_canonical_service=\"web\", \
         destination_cluster=\"Kubernetes\", \
         destination_principal=\"spiffe://cluster.local/ns/shop/sa/default\", \
         destination_service=\"canary.shop.svc.cluster.local\", \
         destination_service_name=\"canary\", destination_service_namespace=\"shop\", \
         destination_version=\"canary\", destination_workload=\"web-canary\", \
         destination_workload_namespace=\"shop\", instance=\"10.0.0.1:15020\", \
         job=\"kubernetes-pods\", namespace=\"shop\", pod=\"canary-1\", reporter=\"destination\", \
         request_protocol=\"http\", response_code=\"200\", response_flags=\"-\", \
         source_app=\"istio-ingressgateway\", source_canonical_revision=\"latest\", \
         source_canonical_service=\"istio-ingressgateway\", source_cluster=\"Kubernetes\", \
         source_principal=\"spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account\", \
         source_version=\"unknown\", source_workload=\"istio-ingressgateway\", \
         source_workload_namespace=\"istio-system\"}"
    );
}

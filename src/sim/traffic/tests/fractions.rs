//! Shares of objects as they are.

use super::*;
use crate::sim::traffic::{
    Crowd,
    shares::{Protocol, To, shares, shares_of},
};

/// Each share of the first `VirtualService` as `25% to shop/web: pod web-1`.
fn lines(cluster: &Cluster) -> Vec<String> {
    let splits = cluster.look(shares);
    let lines = splits[0].shares.iter().map(|share| {
        let to = match &share.to {
            To::Pod(name) => name.clone(),
            other => format!("{other:?}"),
        };
        let percent = (share.fraction * 1e6).round() / 1e4;
        format!("{percent}% {}/{}: {to}", share.namespace, share.service)
    });
    lines.collect()
}

#[test]
fn weights_go_evenly_to_the_pods() {
    assert_eq!(
        lines(&canary(80, 20)),
        ["40% shop/stable: stable-1", "40% shop/stable: stable-2", "20% shop/canary: canary-1"]
    );
    // A weight of 0 is no share, and other sums than 100 are normalised.
    assert_eq!(lines(&canary(0, 5)), ["100% shop/canary: canary-1"]);
    assert_eq!(lines(&canary(1, 1))[2], "50% shop/canary: canary-1");
}

#[test]
fn a_single_destination_gets_all() {
    let routes = json!([{"route": [{"destination": {"host": "stable"}}]}]);
    let cluster = Cluster::default().with_routes(&routes).with_service("stable", &["a-1"]);
    assert_eq!(lines(&cluster), ["100% shop/stable: a-1"]);
}

#[test]
fn users_take_only_routes_without_special_demands() {
    let to = |host: &str| json!([{"destination": {"host": host}}]);
    let cluster = Cluster::default()
        .with_routes(&json!([
            {"match": [{"headers": {"x-canary": {"exact": "1"}}}], "route": to("canary")},
            {"match": [{"uri": {"prefix": "/a"}}, {"headers": {"x-any": {}}}], "route": to("stable")},
            {"match": [{"method": {"exact": "POST"}}], "route": to("canary")},
            {"match": [{"sourceLabels": {"app": "x"}}], "route": to("canary")},
            {"match": [{"method": {"exact": "GET"}, "uri": {"prefix": "/b"}}], "route": to("canary")},
            {"match": [{"uri": {"prefix": "/b"}}], "route": to("canary")},
            {"match": [{"method": {"exact": "GET"}}], "route": to("stable")},
            {"route": to("canary")},
            {"match": [{"uri": {"exact": "/never"}}], "route": to("canary")},
        ]))
        .with_service("stable", &["stable-1"])
        .with_service("canary", &["canary-1"]);
    assert_eq!(
        lines(&cluster),
        ["66.6667% shop/stable: stable-1", "33.3333% shop/canary: canary-1"]
    );
}

#[test]
fn users_with_a_header_take_its_route_and_copies_go_beside() {
    let to = |host: &str| json!([{"destination": {"host": host}}]);
    let cluster = Cluster::default()
        .with_routes(&json!([
            {"match": [{"headers": {"x-canary": {"regex": "t.*"}}}], "route": to("canary")},
            {
                "match": [{"withoutHeaders": {"lang": {}}}], "route": to("stable"),
                "mirror": {"host": "canary"}, "mirrorPercentage": {"value": 25},
            },
            {"route": to("canary")},
        ]))
        .with_service("stable", &["stable-1"])
        .with_service("canary", &["canary-1"]);
    let headers = [("x-canary".to_owned(), "true".to_owned())].into();
    let plain = Crowd { fraction: 0.8, ..Crowd::default() };
    let crowds = [plain, Crowd { headers, fraction: 0.2 }];
    let splits = cluster.look(|objects| shares_of(objects, &crowds));
    let found: Vec<(String, f64, bool)> = splits[0]
        .shares
        .iter()
        .map(|share| (share.service.clone(), (share.fraction * 1e6).round() / 1e4, share.copies))
        .collect();
    let wanted = [("stable", 80.0, false), ("canary", 20.0, true), ("canary", 20.0, false)];
    assert_eq!(found, wanted.map(|(to, share, copies)| (to.to_owned(), share, copies)));
}

#[test]
fn what_has_no_endpoint_or_is_not_there_goes_to_nothing() {
    let mut cluster = canary(50, 50);
    cluster.endpoint_slices[1]["endpoints"][0]["conditions"]["ready"] = json!(false);
    assert_eq!(lines(&cluster)[2], "50% shop/canary: NoEndpoint");
    cluster.services.pop();
    assert_eq!(lines(&cluster)[2], "50% shop/canary: NoCluster");
}

#[test]
fn subsets_take_the_pods_with_their_labels() {
    let routes = json!([{"route": [
        {"destination": {"host": "web", "subset": "stable"}, "weight": 90},
        {"destination": {"host": "web", "subset": "canary"}, "weight": 5},
        {"destination": {"host": "web", "subset": "none"}, "weight": 5},
    ]}]);
    let mut cluster = Cluster::default()
        .with_routes(&routes)
        .with_service("web", &["stable-1", "stable-2", "canary-1"]);
    cluster.destination_rules.push(json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"host": "web.shop.svc.cluster.local", "subsets": [
            {"name": "stable", "labels": {"version": "stable"}},
            {"name": "canary", "labels": {"version": "canary"}},
        ]},
    }));
    assert_eq!(
        lines(&cluster),
        [
            "45% shop/web: stable-1",
            "45% shop/web: stable-2",
            "5% shop/web: canary-1",
            "5% shop/web: NoCluster",
        ]
    );
}

#[test]
fn connections_go_evenly_over_the_routes() {
    let mut cluster = Cluster::default().with_service("db", &["db-1"]);
    cluster.virtual_services.push(json!({
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {
            "tls": [{"match": [{"port": 443}], "route": [{"destination": {"host": "db"}}]}],
            "tcp": [{"route": [{"destination": {"host": "gone"}}]}],
        },
    }));
    assert_eq!(lines(&cluster), ["50% shop/db: db-1", "50% shop/gone: NoCluster"]);
    assert_eq!(cluster.look(shares)[0].protocol, Protocol::Tcp);
}

/// The seeds' objects, with a Service of one pod for each of these hosts.
fn seed(folder: &str, hosts: &[(&str, &[&str])]) -> Cluster {
    let read = |file: &str| -> Option<Value> {
        let path = format!("{}/tests/seeds/{folder}/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).ok()?;
        Some(serde_yaml::from_str(&text).unwrap())
    };
    let mut cluster = Cluster::default();
    for (host, pods) in hosts {
        cluster = cluster.with_service(host, pods);
    }
    cluster.virtual_services.extend(read("virtual-service.yaml"));
    cluster.destination_rules.extend(read("destination-rule.yaml"));
    let namespace = cluster.virtual_services[0]["metadata"]["namespace"].clone();
    for objects in [&mut cluster.services, &mut cluster.endpoint_slices, &mut cluster.pods] {
        for object in objects {
            object["metadata"]["namespace"] = namespace.clone();
        }
    }
    cluster
}

#[test]
fn the_seeds_split_as_they_say() {
    let mut web = seed("brownbear-web", &[("brownbear-web", &["old-1", "new-1"])]);
    web.pod("old-1")["metadata"]["labels"]["version"] = json!("v1.0.0");
    web.pod("new-1")["metadata"]["labels"]["version"] = json!("v2.0.0");
    assert_eq!(
        lines(&web),
        [
            "90% brownbear-production/brownbear-web: old-1",
            "10% brownbear-production/brownbear-web: new-1",
        ]
    );
    let planner = seed(
        "planner-mcp-server",
        &[("planner-mcp-server", &["a-1", "a-2"]), ("planner-mcp-server-canary", &[])],
    );
    assert_eq!(
        lines(&planner),
        [
            "45% production/planner-mcp-server: a-1",
            "45% production/planner-mcp-server: a-2",
            "10% production/planner-mcp-server-canary: NoEndpoint",
        ]
    );
    let npa = seed("npa-service", &[("npa-service", &["a-1"]), ("npa-service-canary", &["b-1"])]);
    let namespace = "progressive-framework-prod";
    assert_eq!(
        lines(&npa),
        [
            // Two of four routes lead to the main application, which is not there.
            format!("50% {namespace}/progressive-framework-v5-service: NoCluster"),
            format!("25% {namespace}/mca-service: NoCluster"),
            format!("22.5% {namespace}/npa-service: a-1"),
            format!("2.5% {namespace}/npa-service-canary: b-1"),
        ]
    );
}

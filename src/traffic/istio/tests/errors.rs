//! Which routes are managed, and the sentence of every error.

use serde_json::{Value, json};

use super::{hosts, reference, subsets, target, virtual_service, yaml};
use crate::api::Weights;
use crate::traffic::istio::{
    Split,
    virtual_service::{validate_istio, weights, with_canary_weight},
};

const WEB: &str = "{destination: {host: web}, weight: 100}";
const CANARY: &str = "{destination: {host: web-canary}, weight: 0}";

fn split() -> Split {
    hosts("web", "web-canary")
}

fn error_of(object: &Value, named: &str, split: &Split) -> String {
    let reference = reference(&format!("{{name: web, {named}}}"));
    let target = target(&reference, split);
    let error = weights(object, target).expect_err("an error");
    let same = with_canary_weight(object, target, 20, &[]).expect_err("an error");
    assert_eq!(error, same, "reading and writing agree");
    error.to_string()
}

fn error(spec: &str, named: &str) -> String {
    error_of(&virtual_service(spec), named, &split())
}

/// Names of the managed routes and their canary weights after 30 was set.
fn managed(object: &Value, named: &str, split: &Split) -> Vec<(String, i32)> {
    let reference = reference(&format!("{{name: web, {named}}}"));
    let target = target(&reference, split);
    let edited = with_canary_weight(object, target, 30, &[]).expect("an edit");
    validate_istio(&edited).expect("what Istio takes");
    let found = weights(&edited, target).expect("weights");
    found.into_iter().map(|route| (route.route, route.weights.canary)).collect()
}

#[test]
fn named_routes_of_all_kinds_are_managed_and_no_other() {
    let object = virtual_service(&format!(
        "{{http: [{{name: other, route: [{WEB}, {CANARY}]}}, {{name: primary, route: [{CANARY}, {WEB}]}}],
          tls: [{{match: [{{port: 443, sniHosts: [b.example.com, a.example.com]}}], route: [{WEB}, {CANARY}]}},
                {{match: [{{port: 443, sniHosts: [a.example.com]}}], route: [{WEB}, {CANARY}]}}],
          tcp: [{{match: [{{port: 5432}}], route: [{WEB}, {CANARY}]}}, {{route: [{WEB}, {CANARY}]}}]}}"
    ));
    let named = "routes: [primary, primary], tlsRoutes: [{port: 443, sniHosts: [a.example.com, b.example.com]}], tcpRoutes: [{port: 5432}]";
    let wanted = [
        ("http route \"primary\"", 30),
        ("tls route port 443 for b.example.com, a.example.com", 30),
        ("tcp route port 5432", 30),
    ];
    assert_eq!(
        managed(&object, named, &split()),
        wanted.map(|(name, weight)| (name.to_owned(), weight))
    );
    let reference = reference(&format!("{{name: web, {named}}}"));
    let split = split();
    let edited = with_canary_weight(&object, target(&reference, &split), 30, &[]).expect("an edit");
    for untouched in ["/spec/http/0", "/spec/tls/1", "/spec/tcp/1"] {
        assert_eq!(edited.pointer(untouched), object.pointer(untouched));
    }
    let order = json!([{"destination": {"host": "web-canary"}, "weight": 30}, {"destination": {"host": "web"}, "weight": 70}]);
    assert_eq!(edited["spec"]["http"][1]["route"], order, "the order stays");
}

#[test]
fn without_a_name_the_one_split_of_any_kind_is_managed() {
    for (spec, name) in [
        (format!("http: [{{route: [{WEB}, {CANARY}]}}]"), "http route 0 (any request)"),
        (
            format!("tls: [{{match: [{{port: 443}}], route: [{WEB}, {CANARY}]}}]"),
            "tls route port 443",
        ),
        (
            format!("tls: [{{match: [{{sniHosts: [a.b]}}], route: [{WEB}, {CANARY}]}}]"),
            "tls route for a.b",
        ),
        (format!("tcp: [{{route: [{WEB}, {CANARY}]}}]"), "tcp route 0"),
        (
            format!(
                "{{http: [{{route: [{CANARY}]}}, {{match: [{{headers: {{x: {{exact: a}}}}}}], route: [{WEB}, {CANARY}]}}], tcp: [{{route: [{WEB}]}}]}}"
            ),
            "http route 1 (match on headers)",
        ),
    ] {
        let found = managed(&virtual_service(&spec), "", &split());
        assert_eq!(found, [(name.to_owned(), 30)]);
    }
}

#[test]
fn a_missing_weight_is_0_and_is_written_only_when_it_changes() {
    let object = virtual_service(
        "http: [{route: [{destination: {host: web}}, {destination: {host: web-canary}}]}]",
    );
    let reference = reference("name: web");
    let split = split();
    let target = target(&reference, &split);
    let found = weights(&object, target).expect("weights");
    assert_eq!(found[0].weights, Weights { stable: 0, canary: 0 });
    let edited = with_canary_weight(&object, target, 0, &[]).expect("an edit");
    let wanted = "[{destination: {host: web}, weight: 100}, {destination: {host: web-canary}}]";
    assert_eq!(edited["spec"]["http"][0]["route"], yaml(wanted));
    validate_istio(&edited).expect("what Istio takes");
}

#[test]
fn a_third_destination_without_weight_is_left_alone() {
    for third in ["{destination: {host: beta}}", "{destination: {host: beta}, weight: 0}"] {
        let object = virtual_service(&format!("http: [{{route: [{third}, {WEB}, {CANARY}]}}]"));
        managed(&object, "", &split());
        let reference = reference("name: web");
        let split = split();
        let edited = with_canary_weight(&object, target(&reference, &split), 30, &[]);
        assert_eq!(edited.expect("an edit")["spec"]["http"][0]["route"][0], yaml(third));
    }
}

#[test]
fn hosts_in_another_namespace_must_say_which_service_they_mean() {
    let mut object = virtual_service(&format!("http: [{{route: [{WEB}, {CANARY}]}}]"));
    object["metadata"]["namespace"] = "mesh".into();
    assert_eq!(
        error_of(&object, "namespace: mesh", &split()),
        "VirtualService mesh/web: no route has both destinations (web.shop.svc.cluster.local is in no route; web-canary.shop.svc.cluster.local is in no route); write both into the route to be split: `route: [{destination: {host: web.shop.svc.cluster.local}, weight: 100}, {destination: {host: web-canary.shop.svc.cluster.local}, weight: 0}]`"
    );
    for (at, host) in [(0, "web.shop"), (1, "web-canary.shop.svc.cluster.local")] {
        object["spec"]["http"][0]["route"][at]["destination"]["host"] = host.into();
    }
    assert_eq!(managed(&object, "namespace: mesh", &split()).len(), 1);
}

#[test]
fn subsets_are_told_apart_by_host_and_subset() {
    let object = virtual_service(
        "http: [{route: [{destination: {host: other, subset: stable}}, {destination: {host: web.shop, subset: stable}, weight: 5}, {destination: {host: web, subset: canary}, weight: 7}]}]",
    );
    assert_eq!(managed(&object, "", &subsets("web")).len(), 1);
    assert_eq!(
        error_of(
            &virtual_service("http: [{route: [{destination: {host: web}}]}]"),
            "",
            &subsets("web")
        ),
        "VirtualService shop/web: no route has both destinations (web subset stable is in no route; web subset canary is in no route); write both into the route to be split: `route: [{destination: {host: web, subset: stable}, weight: 100}, {destination: {host: web, subset: canary}, weight: 0}]`"
    );
}

#[test]
fn no_split_says_where_each_side_is() {
    assert_eq!(
        error(&format!("http: [{{name: a, route: [{WEB}]}}, {{route: [{WEB}]}}]"), ""),
        "VirtualService shop/web: no route has both destinations (web is in http route \"a\", http route 1 (any request); web-canary is in no route); write both into the route to be split: `route: [{destination: {host: web}, weight: 100}, {destination: {host: web-canary}, weight: 0}]`"
    );
    assert!(error("hosts: [web]", "").contains("web is in no route"));
}

#[test]
fn several_splits_are_ambiguous() {
    let both = format!("route: [{WEB}, {CANARY}]");
    assert_eq!(
        error(&format!("http: [{{name: a, {both}}}, {{name: b, {both}}}]"), ""),
        "VirtualService shop/web: ambiguous, http route \"a\", http route \"b\" all split between stable and canary; name those to manage in spec.strategy.canary.traffic.istio.virtualServices[].routes"
    );
    assert_eq!(
        error(
            &format!("{{http: [{{match: [{{uri: {{exact: /a}}}}], {both}}}], tcp: [{{{both}}}]}}"),
            ""
        ),
        "VirtualService shop/web: ambiguous, http route 0 (exact /a), tcp route 0 all split between stable and canary; name those to manage in spec.strategy.canary.traffic.istio.virtualServices[].routes and tcpRoutes, and give a `name` to each http route that has none"
    );
}

#[test]
fn a_named_http_route_must_be_there_once() {
    let spec = format!("http: [{{name: a, route: [{WEB}]}}, {{name: a, route: [{WEB}]}}]");
    assert_eq!(
        error(&spec, "routes: [primary]"),
        "VirtualService shop/web: spec.http has no route named `primary` (found: http route \"a\", http route \"a\"); give the route that splits between stable and canary that `name`, or correct spec.strategy.canary.traffic.istio.virtualServices[].routes"
    );
    assert_eq!(
        error(&spec, "routes: [a]"),
        "VirtualService shop/web: several routes in spec.http are named `a` (indices 0, 1); give each its own `name`"
    );
}

#[test]
fn a_named_tls_or_tcp_route_must_be_there_once() {
    let both = format!("route: [{WEB}, {CANARY}]");
    let spec = format!(
        "tls: [{{match: [{{port: 443, sniHosts: [a.b]}}], {both}}}, {{match: [{{port: 443, sniHosts: [c.d]}}], {both}}}]"
    );
    assert_eq!(
        error(&spec, "tlsRoutes: [{port: 8443, sniHosts: [a.b]}]"),
        "VirtualService shop/web: no match fits the tls route port 8443 for a.b (found: tls route port 443 for a.b, tls route port 443 for c.d); correct spec.strategy.canary.traffic.istio.virtualServices[].tlsRoutes"
    );
    assert_eq!(
        error(&spec, "tlsRoutes: [{port: 443}]"),
        "VirtualService shop/web: the tls route port 443 may be any of 2 routes (tls route port 443 for a.b, tls route port 443 for c.d); say which by another port or by sniHosts in spec.strategy.canary.traffic.istio.virtualServices[].tlsRoutes"
    );
    assert_eq!(
        managed(&virtual_service(&spec), "tlsRoutes: [{sniHosts: [c.d]}]", &split()).len(),
        1
    );
    assert!(
        error(&spec, "tcpRoutes: [{port: 443}]")
            .contains("tcp route port 443 (found: none); correct")
    );
}

#[test]
fn a_route_without_destinations_cannot_be_managed() {
    for action in ["redirect", "directResponse", "delegate"] {
        assert_eq!(
            error(&format!("http: [{{name: a, {action}: {{x: 1}}}}]"), "routes: [a]"),
            format!(
                "VirtualService shop/web: http route \"a\" has `{action}` and so no destinations to put weights on; name a route whose `route` lists stable and canary"
            )
        );
    }
}

#[test]
fn a_named_route_must_have_both_destinations() {
    assert_eq!(
        error(&format!("http: [{{name: a, route: [{WEB}]}}]"), "routes: [a]"),
        "VirtualService shop/web: http route \"a\" has no destination web-canary; add to its `route` list: {destination: {host: web-canary}, weight: 0}"
    );
    assert_eq!(
        error("http: [{name: a}]", "routes: [a]"),
        "VirtualService shop/web: http route \"a\" has no destination web and no destination web-canary; add to its `route` list: {destination: {host: web}, weight: 100}, {destination: {host: web-canary}, weight: 0}"
    );
}

#[test]
fn a_destination_that_stands_twice_is_refused() {
    assert_eq!(
        error(
            &format!(
                "http: [{{route: [{WEB}, {CANARY}, {{destination: {{host: web-canary.shop}}}}]}}]"
            ),
            ""
        ),
        "VirtualService shop/web: http route 0 (any request) has the destination web-canary more than once; keep one of them, so that its weight is one number"
    );
}

#[test]
fn a_third_destination_with_weight_is_refused() {
    assert_eq!(
        error(
            &format!(
                "http: [{{route: [{WEB}, {CANARY}, {{destination: {{host: beta, subset: v3}}, weight: 20}}]}}]"
            ),
            ""
        ),
        "VirtualService shop/web: http route 0 (any request) also sends weight 20 to beta subset v3, but stable and canary must share 100 percent; set that weight to 0, or give that destination a route of its own"
    );
}

#[test]
fn a_weight_that_is_no_number_is_refused() {
    for weight in ["\"10\"", "-1", "1.5", "5000000000"] {
        let spec = format!(
            "http: [{{route: [{WEB}, {{destination: {{host: web-canary}}, weight: {weight}}}]}}]"
        );
        let text = format!(
            "VirtualService shop/web: http route 0 (any request) has weight {weight} for web-canary; write a whole number from 0 to 100"
        );
        assert_eq!(error(&spec, ""), text);
        let refused = validate_istio(&virtual_service(&spec)).expect_err("a refusal");
        assert_eq!(refused.to_string(), text);
    }
}

#[test]
fn istio_refuses_a_sum_of_0_and_takes_other_sums() {
    let zero = virtual_service(
        "tls: [{route: [{destination: {host: web}}, {destination: {host: web-canary}}]}]",
    );
    assert_eq!(
        validate_istio(&zero).expect_err("a refusal").to_string(),
        "VirtualService shop/web: tls route 0 has several destinations and the sum of their weights is 0, which Istio refuses; write weights that sum to 100"
    );
    for spec in [
        "http: [{route: [{destination: {host: web}, weight: 9}, {destination: {host: b}, weight: 1}]}]",
        "http: [{route: [{destination: {host: web}}]}, {redirect: {uri: /}}]",
        "{hosts: [web], tcp: [{route: [{destination: {host: web}}]}]}",
    ] {
        validate_istio(&virtual_service(spec)).expect("what Istio takes");
    }
}

#[test]
fn a_weight_beyond_100_is_never_written() {
    let object = virtual_service(&format!("http: [{{route: [{WEB}, {CANARY}]}}]"));
    let reference = reference("name: web");
    let split = split();
    for canary in [-1, 101, i32::MAX, i32::MIN] {
        let error = with_canary_weight(&object, target(&reference, &split), canary, &[]);
        assert_eq!(
            error.expect_err("an error").to_string(),
            format!(
                "a canary weight of {canary} was asked for; it must be a whole number from 0 to 100"
            )
        );
    }
}

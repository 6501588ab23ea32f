//! Routes for some requests: what they are made of, and that nothing else changes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{hosts, reference, seed, subsets, virtual_service, yaml};
use crate::api::{ManagedRoute, VirtualServiceRef};
use crate::traffic::istio::{
    MatchRoute, RouteTarget, Split,
    virtual_service::{
        check_match_route, match_routes, validate_istio, weights, with_canary_weight,
    },
};

const ROUTE: &str = "route: [{destination: {host: web}, weight: 80}, {destination: {host: web-canary, port: {number: 80}}, weight: 20, headers: {response: {set: {x: y}}}}]";

/// What a test needs to name a target.
struct Names {
    reference: VirtualServiceRef,
    split: Split,
    managed: Vec<ManagedRoute>,
    former: Vec<String>,
}

impl Names {
    fn new(named: &str, managed: &[&str]) -> Self {
        Self {
            reference: reference(&format!("{{name: web, {named}}}")),
            split: hosts("web", "web-canary"),
            managed: managed.iter().map(|name| ManagedRoute { name: (*name).into() }).collect(),
            former: Vec::new(),
        }
    }

    fn target(&self) -> RouteTarget<'_> {
        RouteTarget {
            reference: &self.reference,
            split: &self.split,
            namespace: "shop",
            total: 100,
            managed: &self.managed,
            former: &self.former,
        }
    }

    fn edit(&self, object: &Value, canary: i32, extra: &[MatchRoute]) -> Value {
        let edited = with_canary_weight(object, self.target(), canary, extra).expect("an edit");
        validate_istio(&edited).expect("what Istio takes");
        let again = with_canary_weight(&edited, self.target(), canary, extra).expect("an edit");
        assert_eq!(again, edited, "the same again is no change");
        edited
    }

    fn error(&self, object: &Value, route: &MatchRoute) -> String {
        check_match_route(object, self.target(), route).expect_err("an error").to_string()
    }
}

fn header(text: &str) -> MatchRoute {
    MatchRoute::Header(serde_yaml::from_str(text).expect("the test's setHeaderRoute"))
}

fn mirror(text: &str) -> MatchRoute {
    MatchRoute::Mirror(serde_yaml::from_str(text).expect("the test's setMirrorRoute"))
}

fn testers() -> MatchRoute {
    header("{name: testers, match: [{headerName: X-Canary, headerValue: {exact: 'true'}}]}")
}

#[test]
fn a_header_route_stands_first_and_sends_all_to_the_canary() {
    let names = Names::new("routes: [web]", &["testers"]);
    let object = virtual_service(&format!(
        "{{http: [{{name: other, match: [{{uri: {{prefix: /other}}}}], route: [{{destination: {{host: other}}}}]}},
           {{name: web, match: [{{uri: {{prefix: /a}}, authority: {{exact: a}}}}, {{uri: {{exact: /b}}, headers: {{lang: {{prefix: de}}}}}}],
             timeout: 3s, retries: {{attempts: 2}}, fault: {{abort: {{percentage: {{value: 1}}}}}}, mirror: {{host: audit}}, mirrorPercentage: {{value: 10}}, corsPolicy: {{allowMethods: [GET]}}, {ROUTE}}}]}}"
    ));
    let edited = names.edit(&object, 20, &[testers()]);
    let wanted = yaml(
        "{name: testers, match: [{uri: {prefix: /a}, authority: {exact: a}, headers: {x-canary: {exact: 'true'}}}, {uri: {exact: /b}, headers: {lang: {prefix: de}, x-canary: {exact: 'true'}}}],
          timeout: 3s, retries: {attempts: 2}, fault: {abort: {percentage: {value: 1}}}, corsPolicy: {allowMethods: [GET]},
          route: [{destination: {host: web-canary, port: {number: 80}}, weight: 100, headers: {response: {set: {x: y}}}}]}",
    );
    assert_eq!(edited["spec"]["http"][0], wanted);
    assert_eq!(edited["spec"]["http"].as_array().map(|routes| &routes[1..]), {
        object["spec"]["http"].as_array().map(Vec::as_slice)
    });
    assert_eq!(weights(&edited, names.target()).map(|found| found.len()), Ok(1));
    assert_eq!(match_routes(&edited, names.target()), ["testers"]);
    assert_eq!(names.edit(&edited, 20, &[]), object, "removal restores the object");
}

#[test]
fn a_mirror_route_has_the_weights_and_copies_to_the_canary() {
    let names = Names::new("", &["copy"]);
    let object = virtual_service(&format!("{{http: [{{{ROUTE}}}]}}"));
    let copy = mirror(
        "{name: copy, percentage: 80, match: [{method: {exact: GET}, path: {prefix: /a}}, {headers: {X-Test: {regex: '.+'}}}]}",
    );
    for canary in [0, 35] {
        let edited = names.edit(&object, canary, std::slice::from_ref(&copy));
        let http = &edited["spec"]["http"];
        let wanted =
            yaml("[{method: {exact: GET}, uri: {prefix: /a}}, {headers: {x-test: {regex: '.+'}}}]");
        assert_eq!(http[0]["match"], wanted);
        assert_eq!(http[0]["route"], http[1]["route"], "weights follow setWeight");
        assert_eq!(http[0]["route"][1]["weight"], canary);
        assert_eq!(http[0]["mirror"], json!({"host": "web-canary", "port": {"number": 80}}));
        assert_eq!(http[0]["mirrorPercentage"], json!({"value": 80}));
    }
}

#[test]
fn copies_that_the_user_sends_elsewhere_still_go_there() {
    let names = Names::new("", &["copy"]);
    let copy = mirror("{name: copy, match: [{method: {exact: GET}}], percentage: 100}");
    for (own, entry) in [
        (
            "mirror: {host: audit}, mirrorPercentage: {value: 10}",
            "{destination: {host: audit}, percentage: {value: 10}}",
        ),
        ("mirror: {host: audit}", "{destination: {host: audit}}"),
        ("mirrors: [{destination: {host: audit}}]", "{destination: {host: audit}}"),
    ] {
        let object = virtual_service(&format!("{{http: [{{{own}, {ROUTE}}}]}}"));
        let edited = names.edit(&object, 20, std::slice::from_ref(&copy));
        let ours = json!({"destination": {"host": "web-canary", "port": {"number": 80}}, "percentage": {"value": 100}});
        assert_eq!(edited["spec"]["http"][0]["mirrors"], json!([yaml(entry), ours]), "{own}");
        assert_eq!(edited["spec"]["http"][0].get("mirror"), None);
        assert_eq!(names.edit(&edited, 20, &[]), object);
    }
}

#[test]
fn routes_stand_in_the_order_of_managed_routes_and_once_for_each_base() {
    let names = Names::new("routes: [b, a]", &["first", "second", "third"]);
    let object = virtual_service(&format!(
        "{{http: [{{name: a, match: [{{uri: {{prefix: /a}}}}], {ROUTE}}}, {{name: b, {ROUTE}}}]}}"
    ));
    let of = |name: &str| {
        header(&format!("{{name: {name}, match: [{{headerName: h, headerValue: {{exact: v}}}}]}}"))
    };
    let in_order = |object: &Value| -> Vec<String> {
        let http = object["spec"]["http"].as_array().cloned().unwrap_or_default();
        http.iter().filter_map(|route| route["name"].as_str().map(str::to_owned)).collect()
    };
    let edited = names.edit(&object, 20, &[of("third"), of("first")]);
    assert_eq!(in_order(&edited), ["first", "first", "third", "third", "a", "b"]);
    assert_eq!(edited["spec"]["http"][0]["match"][0]["uri"]["prefix"], "/a");
    assert_eq!(edited["spec"]["http"][1]["match"][0].get("uri"), None);
    // Another order, a copy by somebody else, and one at the end: all of them are ours.
    let mut strewn = edited.clone();
    let list = strewn["spec"]["http"].as_array_mut().expect("routes");
    list.reverse();
    list.push(edited["spec"]["http"][0].clone());
    let mended = names.edit(&strewn, 20, &[of("second")]);
    assert_eq!(in_order(&mended), ["second", "second", "b", "a"]);
}

#[test]
fn two_that_share_an_object_do_not_push_each_other_back() {
    let object = virtual_service(&format!(
        "{{http: [{{name: other, route: [{{destination: {{host: other}}}}, {{destination: {{host: other-canary}}, weight: 100}}]}}, {{name: web, {ROUTE}}}]}}"
    ));
    let ours = Names::new("routes: [web]", &["testers"]);
    let mut theirs = Names::new("routes: [other]", &["staff"]);
    theirs.split = hosts("other", "other-canary");
    let staff = header("{name: staff, match: [{headerName: staff, headerValue: {exact: '1'}}]}");
    let first = ours.edit(&object, 20, &[testers()]);
    let both = theirs.edit(&first, 100, std::slice::from_ref(&staff));
    assert_eq!(ours.edit(&both, 20, &[testers()]), both);
    assert_eq!(theirs.edit(&both, 100, &[staff]), both);
    assert_eq!(theirs.edit(&ours.edit(&both, 20, &[]), 100, &[]), theirs.edit(&object, 100, &[]));
    // Behind the route that it is made of it would be no route at all.
    let mut behind = first.clone();
    behind["spec"]["http"].as_array_mut().expect("routes").rotate_left(1);
    assert_eq!(ours.edit(&behind, 20, &[testers()])["spec"]["http"][0]["name"], "testers");
}

#[test]
fn a_route_that_the_spec_does_not_list_any_more_is_still_removed() {
    let mut names = Names::new("", &["testers"]);
    let object = virtual_service(&format!("{{http: [{{{ROUTE}}}]}}"));
    let edited = names.edit(&object, 20, &[testers()]);
    names.managed.clear();
    names.former = vec!["testers".into()];
    assert_eq!(names.edit(&edited, 20, &[testers()]), object);
}

#[test]
fn weights_of_a_thousand_and_a_subset_split() {
    let mut names = Names::new("", &["testers"]);
    names.split = subsets("web");
    let object = virtual_service(
        "{http: [{route: [{destination: {host: web, subset: stable}, weight: 1000}, {destination: {host: web, subset: canary}}]}]}",
    );
    let target = RouteTarget { total: 1000, ..names.target() };
    let edited = with_canary_weight(&object, target, 5, &[testers()]).expect("an edit");
    let http = &edited["spec"]["http"];
    let canary = json!([{"destination": {"host": "web", "subset": "canary"}, "weight": 1000}]);
    assert_eq!(http[0]["route"], canary);
    assert_eq!([&http[1]["route"][0]["weight"], &http[1]["route"][1]["weight"]], [995, 5]);
    let beyond = with_canary_weight(&object, target, 1001, &[]).expect_err("an error");
    assert!(beyond.to_string().contains("from 0 to 1000"), "{beyond}");
}

#[test]
fn two_conditions_on_one_thing_become_the_narrower_one() {
    let names = Names::new("", &["copy"]);
    for (base, path, wanted) in [
        ("prefix: /a", "prefix: /a/b", Some("prefix: /a/b")),
        ("prefix: /a/b", "prefix: /a", Some("prefix: /a/b")),
        ("prefix: /a", "exact: /a/b", Some("exact: /a/b")),
        ("exact: /a/b", "prefix: /a", Some("exact: /a/b")),
        ("regex: /a.*", "regex: /a.*", Some("regex: /a.*")),
        ("prefix: /a", "exact: /b", None),
        ("exact: /a", "exact: /b", None),
        ("prefix: /a", "prefix: /b", None),
    ] {
        let object =
            virtual_service(&format!("{{http: [{{match: [{{uri: {{{base}}}}}], {ROUTE}}}]}}"));
        let copy = mirror(&format!("{{name: copy, percentage: 1, match: [{{path: {{{path}}}}}]}}"));
        match wanted {
            Some(wanted) => {
                let edited = names.edit(&object, 20, &[copy]);
                let found = &edited["spec"]["http"][0]["match"][0]["uri"];
                assert_eq!(*found, yaml(&format!("{{{wanted}}}")), "{base} and {path}");
            }
            None => assert_eq!(
                names.error(&object, &copy),
                format!(
                    "VirtualService shop/web: no request that `copy` means is for http route 0 ({}); correct its match",
                    base.replace(':', "")
                )
            ),
        }
    }
}

#[test]
fn what_cannot_be_made_says_why() {
    let names = Names::new("", &["testers", "copy"]);
    let of = |base: &str| virtual_service(&format!("{{http: [{{{base} {ROUTE}}}]}}"));
    let object = of("match: [{headers: {X-Canary: {regex: t.*}}}],");
    assert_eq!(
        names.error(&object, &testers()),
        "VirtualService shop/web: http route 0 (match on headers) already takes only requests with header X-Canary (regex t.*), and `testers` asks for header X-Canary (exact true); Istio cannot ask for both, so ask for another header, or for `exact` or `prefix` instead of `regex`"
    );
    let twice = header(
        "{name: testers, match: [{headerName: a, headerValue: {regex: x}}, {headerName: A, headerValue: {exact: x}}]}",
    );
    assert!(names.error(&of(""), &twice).contains("header a (regex x)"));
    let object = of("match: [{uri: {prefix: /api/}}], rewrite: {uri: /},");
    let copy = mirror("{name: copy, percentage: 1, match: [{path: {prefix: /api/a}}]}");
    assert!(names.error(&object, &copy).contains("rewrites the path that it matches"));
    check_match_route(&object, names.target(), &testers()).expect("headers change no path");
    let object = virtual_service(&format!("{{tcp: [{{match: [{{port: 5432}}], {ROUTE}}}]}}"));
    assert_eq!(
        names.error(&object, &testers()),
        "VirtualService shop/web: `testers` is for requests of an http route, but the weights are in tcp route port 5432; name an http route in spec.strategy.canary.traffic.istio.virtualServices[].routes, or take the step out"
    );
    let spaced = header("{name: testers, match: [{headerName: 'a b', headerValue: {exact: x}}]}");
    assert_eq!(
        names.error(&of(""), &spaced),
        "`testers`: found headerName `a b`, allowed are letters, digits, `-` and `_`"
    );
    let empty = header("{name: testers, match: [{headerName: a, headerValue: {prefix: ''}}]}");
    assert!(names.error(&of(""), &empty).contains("the match on header a has no text"));
}

#[test]
fn a_name_that_is_ours_cannot_carry_the_weights() {
    let names = Names::new("routes: [web]", &["web"]);
    let object = virtual_service(&format!("{{http: [{{name: web, {ROUTE}}}]}}"));
    let error = weights(&object, names.target()).expect_err("an error").to_string();
    assert!(
        error.contains("`web` stands in spec.strategy.canary.traffic.managedRoutes"),
        "{error}"
    );
    // And where the routes are not named, the user's route is not taken for ours either.
    let names = Names::new("", &["web"]);
    weights(&object, names.target()).expect_err("an error");
    with_canary_weight(&object, names.target(), 10, &[]).expect_err("an error");
}

#[test]
fn istio_refuses_what_no_edit_of_ours_may_make() {
    for (spec, why) in [
        ("{http: []}", "http, tcp or tls must be provided"),
        ("{http: [{name: a}]}", "HTTP route, redirect or direct_response is required"),
        (
            "{http: [{route: [{destination: {host: a}}], mirror: {host: b}, mirrorPercentage: {value: 101}}]}",
            "not from 0 to 100",
        ),
        (
            "{http: [{route: [{destination: {host: a}}], mirror: {host: b}, mirrors: [{destination: {host: b}}]}]}",
            "both mirror and mirrors",
        ),
        (
            "{http: [{match: [{headers: {'a b': {exact: c}}}], route: [{destination: {host: a}}]}]}",
            "header name a b is not a valid header name",
        ),
        (
            "{http: [{match: [{headers: {a: {regex: ''}}}], route: [{destination: {host: a}}]}]}",
            "regex should not be empty",
        ),
    ] {
        let error = validate_istio(&virtual_service(spec)).expect_err(spec).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_routes_of_the_seeds_get_a_header_route_that_keeps_all_they_do() {
    for (path, name, split, namespace, base) in [
        (
            "planner-mcp-server/virtual-service.yaml",
            "planner-virtual-service",
            hosts("planner-mcp-server", "planner-mcp-server-canary"),
            "production",
            0,
        ),
        (
            "brownbear-web/virtual-service.yaml",
            "brownbear-web",
            subsets("brownbear-web"),
            "brownbear-production",
            1,
        ),
        (
            "npa-service/virtual-service.yaml",
            "progressive-virtualservice",
            hosts("npa-service", "npa-service-canary"),
            "progressive-framework-prod",
            2,
        ),
    ] {
        let object = seed(path);
        let mut names = Names::new("", &["testers"]);
        names.reference = reference(&format!("name: {name}"));
        names.split = split;
        let target = RouteTarget { namespace, ..names.target() };
        let edited = with_canary_weight(&object, target, 10, &[testers()]).expect("an edit");
        validate_istio(&edited).expect("what Istio takes");
        let (ours, theirs) = (&edited["spec"]["http"][0], &object["spec"]["http"][base]);
        for (field, value) in theirs.as_object().expect("a route") {
            if !["match", "route", "name"].contains(&field.as_str()) {
                assert_eq!(&ours[field], value, "{path}: {field}");
            }
        }
        let back = with_canary_weight(&edited, target, 10, &[]).expect("an edit");
        assert_eq!(back, object, "{path}");
    }
}

fn wanted() -> impl Strategy<Value = Vec<MatchRoute>> {
    let name = prop::sample::select(vec!["one", "two", "three", "unlisted"]);
    let kind = prop::sample::select(vec!["exact", "prefix", "regex"]);
    let route = (name, kind, "[a-z]{1,3}", any::<bool>(), 0..=100_i32, any::<bool>());
    let route = route.prop_map(|(name, kind, text, copies, percentage, empty)| {
        let one = if copies {
            json!([{"path": {kind: format!("/{text}")}, "headers": {"X-A": {kind: text}}}])
        } else {
            json!([{"headerName": "X-A", "headerValue": {kind: text}}])
        };
        let list = if empty { json!([]) } else { one };
        let value = json!({"name": name, "match": list, "percentage": percentage});
        if copies {
            MatchRoute::Mirror(serde_json::from_value(value).expect("a route"))
        } else {
            MatchRoute::Header(serde_json::from_value(value).expect("a route"))
        }
    });
    prop::collection::vec(route, 0..5)
}

proptest! {
    #[test]
    fn nothing_else_changes_and_removal_restores_the_object(
        (object, _) in super::properties::virtual_service(),
        extra in wanted(),
        canary in 0..=100_i32,
    ) {
        let names = Names::new("", &["two", "one", "three"]);
        let target = names.target();
        let plain = with_canary_weight(&object, target, canary, &[]).expect("an edit");
        let edited = with_canary_weight(&object, target, canary, &extra).expect("an edit");
        validate_istio(&edited).expect("what Istio takes");
        let again = with_canary_weight(&edited, target, canary, &extra).expect("an edit");
        prop_assert_eq!(&again, &edited);
        prop_assert_eq!(with_canary_weight(&edited, target, canary, &[]).expect("an edit"), plain.clone());

        let ours = match_routes(&edited, target);
        let last = |name: &str| extra.iter().rfind(|route| route.name() == name);
        let expected: Vec<&str> = ["two", "one", "three"].into_iter()
            .filter(|name| last(name).is_some_and(|route| !route.is_empty())).collect();
        prop_assert_eq!(&ours, &expected);
        let http = edited["spec"]["http"].as_array().expect("routes");
        let after: Vec<Value> = http[ours.len()..].to_vec();
        prop_assert_eq!(Some(&after), plain["spec"]["http"].as_array());
        let mut rest = edited.clone();
        rest["spec"]["http"] = plain["spec"]["http"].clone();
        prop_assert_eq!(rest, plain);
    }
}

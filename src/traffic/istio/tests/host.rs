//! Which Service a host means.

use super::super::host::{same_host, service_of};

#[test]
fn a_host_means_a_service_of_its_objects_namespace() {
    for (host, service) in [
        ("web", Some(("mesh", "web"))),
        ("web-canary", Some(("mesh", "web-canary"))),
        ("web.shop", Some(("shop", "web"))),
        ("web.shop.svc", Some(("shop", "web"))),
        ("web.shop.svc.cluster.local", Some(("shop", "web"))),
        ("web.shop.svc.corp.example.com", Some(("shop", "web"))),
        ("api.example.com", None),
        ("web.shop.svcs", None),
        ("*", None),
        ("*.shop.svc.cluster.local", None),
        ("10.0.0.1", None),
        ("2001:db8::1", None),
        ("web.shop.svc.", None),
        (".shop.svc", None),
        ("web..svc", None),
        ("Web", None),
        ("-web", None),
        ("", None),
    ] {
        assert_eq!(service_of(host, "mesh"), service, "{host}");
    }
}

#[test]
fn hosts_are_compared_by_what_they_mean() {
    for (left, left_namespace, right, same) in [
        ("web", "shop", "web", true),
        ("web", "mesh", "web", false),
        ("web.shop", "mesh", "web", true),
        ("web.shop.svc.cluster.local", "mesh", "web", true),
        ("web.shop.svc.corp", "mesh", "web.shop.svc.cluster.local", true),
        ("web.mesh.svc.cluster.local", "shop", "web", false),
        ("web-canary", "shop", "web", false),
        ("api.example.com", "mesh", "api.example.com", true),
        ("api.example.com", "mesh", "www.example.com", false),
        ("*", "shop", "web", false),
    ] {
        let found = same_host(left, left_namespace, right, "shop");
        assert_eq!(found, same, "{left} in {left_namespace}, {right} in shop");
    }
}

use serde_json::json;

use super::*;

#[test]
fn times_are_short_until_there_are_hours() {
    assert_eq!(clock(0), "0:00.0");
    assert_eq!(clock(63_450), "1:03.4");
    assert_eq!(clock(3_723_000), "1:02:03.0");
}

#[test]
fn a_weight_tells_from_what_to_what() {
    let route = |stable: i64, canary: i64| {
        json!({"spec": {"http": [{"name": "primary", "route": [
            {"destination": {"host": "web-stable"}, "weight": stable},
            {"destination": {"host": "web-canary.shop.svc"}, "weight": canary},
        ]}]}})
    };
    assert_eq!(
        routes::virtual_service(&route(100, 0), &route(80, 20)),
        ["primary: web-stable 100 -> 80 %, web-canary 0 -> 20 %"]
    );
    let mut edited = route(80, 20);
    edited["spec"]["http"][0]["timeout"] = json!("1s");
    assert_eq!(routes::virtual_service(&route(80, 20), &edited), ["edited beyond its weights"]);
}

#[test]
fn a_change_of_the_spec_names_the_field() {
    let rollout = |replicas: i64, image: &str| json!({"spec": {"replicas": replicas, "template": {"spec": {"containers": [{"image": image}]}}}});
    assert_eq!(
        people::rollout(&rollout(3, "web:1"), &rollout(5, "web:2")),
        ["image web:1 -> web:2", "spec.replicas 3 -> 5"]
    );
}

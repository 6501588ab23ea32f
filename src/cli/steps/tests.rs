use serde_json::{Value, json};

use super::*;
use crate::cli::fixtures::{aborted, healthy, paused, rolling, under};

fn canary(steps: &Value, index: i32) -> Rollout {
    let strategy = json!({"canary": {
        "stableService": "checkout", "canaryService": "checkout-canary",
        "traffic": {
            "istio": {"virtualServices": [{"name": "checkout"}]},
            "managedRoutes": [{"name": "testers"}, {"name": "shadow"}],
        },
        "steps": steps,
    }});
    under(&strategy, &paused(), &json!({"step": {"index": index}}))
}

#[test]
fn steps_read_as_people_say_them() {
    for (step, text) in [
        (json!({"setWeight": 20}), "setWeight 20"),
        (json!({"pause": {}}), "pause until promoted"),
        (json!({"pause": {"duration": "90s"}}), "pause for 1m30s"),
        (
            json!({"pause": {"timeout": "1h", "onTimeout": "abort"}}),
            "pause until promoted; aborts after 1h",
        ),
        (json!({"setCanaryScale": {"replicas": 2}}), "setCanaryScale to 2 pods"),
        (
            json!({"setCanaryScale": {"matchTrafficWeight": true}}),
            "setCanaryScale to match the weight",
        ),
        (json!({"analysis": {"templates": [{"templateName": "errors"}]}}), "analysis errors"),
        (
            json!({"setHeaderRoute": {"name": "testers", "match": [{"headerName": "x-user", "headerValue": {"prefix": "test-"}}]}}),
            "setHeaderRoute testers: requests with header x-user=test-*",
        ),
        (json!({"setHeaderRoute": {"name": "testers"}}), "setHeaderRoute testers: none any more"),
        (
            json!({"setMirrorRoute": {"name": "shadow", "percentage": 20, "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/api"}}]}}),
            "setMirrorRoute shadow: a copy of 20% of requests with method=GET and path=/api*",
        ),
    ] {
        let step: Step = serde_json::from_value(step).unwrap();
        assert_eq!(describe(&step), text);
    }
}

#[test]
fn a_ramp_is_listed_as_what_is_done() {
    let ramp = json!([{"ramp": {"from": 10, "to": 30, "by": 10, "every": "1m"}}, {"pause": {}}]);
    assert_eq!(
        list(&canary(&ramp, 2)),
        [
            "✓ 1 setWeight 10",
            "✓ 2 pause for 1m",
            "▶ 3 setWeight 20",
            "  4 pause for 1m",
            "  5 setWeight 30",
            "  6 pause for 1m",
            "  7 pause until promoted",
        ]
    );
}

#[test]
fn a_long_list_is_cut_around_the_present_step() {
    let ramp = json!([{"ramp": {"from": 1, "to": 50, "by": 1, "every": "1m"}}]);
    let lines = list(&canary(&ramp, 40));
    assert_eq!(lines.len(), BEFORE + 1 + AFTER + 2);
    assert_eq!(lines[0], "  … 38 before");
    assert_eq!(lines[3], "▶ 41 setWeight 21");
    assert_eq!(lines.last().unwrap(), "  … 55 more");
}

#[test]
fn without_a_step_there_is_no_list() {
    for rollout in [healthy(), rolling(), canary(&json!([{"setWeight": 5}]), 1)] {
        assert_eq!(list(&rollout), Vec::<String>::new());
    }
    assert_eq!(list(&aborted())[0], "▶ 1 setWeight 20", "where it ended");
}

#[test]
fn routes_that_stand_say_what_they_do() {
    let header = json!({"setHeaderRoute": {"name": "testers", "match": [
        {"headerName": "x-user", "headerValue": {"exact": "test"}},
    ]}});
    let mirror =
        json!({"setMirrorRoute": {"name": "shadow", "match": [{"path": {"prefix": "/"}}]}});
    let gone = json!({"setHeaderRoute": {"name": "testers"}});
    let steps = json!([mirror, header, {"setWeight": 5}, gone, {"pause": {}}]);
    let testers = "testers: requests with header x-user=test";
    let shadow = "shadow: a copy of 100% of requests with path=/*";
    for (index, standing, wanted) in [
        (0, vec![], vec![]),
        (0, vec!["shadow"], vec![shadow]),
        (2, vec!["testers", "shadow"], vec![testers, shadow]),
        (3, vec!["testers", "shadow"], vec!["testers: on its way out", shadow]),
        (4, vec!["shadow"], vec![shadow]),
    ] {
        let mut rollout = canary(&steps, index);
        rollout.status.as_mut().unwrap().routes =
            standing.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(routes(&rollout), wanted, "{index}");
    }
}

use serde_json::json;

use super::super::{
    Settings,
    tests::{Story, replica_set},
};
use super::*;

#[test]
fn a_budget_says_how_many_pods_may_go() {
    // Four pods, one of them not ready.
    let table = [
        (json!({"minAvailable": 2}), [4, 3, 2, 1]),
        (json!({"minAvailable": "50%"}), [4, 3, 2, 1]),
        (json!({"minAvailable": 3}), [4, 3, 3, 0]),
        (json!({"maxUnavailable": 1}), [4, 3, 3, 0]),
        (json!({"maxUnavailable": "50%"}), [4, 3, 2, 1]),
        (json!({}), [4, 3, 1, 2]),
    ];
    for (mut spec, expected) in table {
        let mut story = Story::new(Settings::default());
        spec["selector"] = json!({"matchLabels": {"app": "web"}});
        let budget = json!({"metadata": {"name": "web"}, "spec": spec});
        story.create(&DISRUPTION_BUDGET, budget);
        story.create(&REPLICA_SET, replica_set("web", 4, "web:1"));
        story.pass(1000);
        let name = story.ready()[0].clone();
        story.edit(&POD, &name, |pod| {
            pod["metadata"]["annotations"] = json!({"testcluster/ready": "false"});
        });
        let status = &story.get(&DISRUPTION_BUDGET, "web").unwrap()["status"];
        let counts = ["expectedPods", "currentHealthy", "desiredHealthy", "disruptionsAllowed"]
            .map(|field| status[field].as_i64().unwrap());
        assert_eq!(counts, expected, "{spec}");
        let holds = if expected[3] > 0 { "True" } else { "False" };
        assert_eq!(status["conditions"][0]["status"], holds);
    }
}

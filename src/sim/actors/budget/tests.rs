use serde_json::json;

use super::super::{
    Settings,
    tests::{Story, key, replica_set},
};
use super::*;
use crate::sim::api::store::{Deletion, writer};

#[test]
fn a_budget_says_how_many_pods_may_go() {
    // Four pods, one of them not ready.
    let table = [
        (json!({"minAvailable": 2}), [4, 3, 2, 1]),
        (json!({"minAvailable": "50%"}), [4, 3, 2, 1]),
        (json!({"minAvailable": 3}), [4, 3, 3, 0]),
        (json!({"maxUnavailable": 1}), [4, 3, 3, 0]),
        (json!({"maxUnavailable": "50%"}), [4, 3, 2, 1]),
        // As the disruption controller has it: who asks for nothing gets nothing.
        (json!({}), [0, 3, 0, 0]),
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

fn evict(story: &mut Story, name: &str) -> Result<(), String> {
    let by = writer("ann");
    let answer = eviction::evict(&mut story.store, &by, &key(name), Deletion::default());
    story.settle();
    answer.map_err(|refusal| format!("{} {}", refusal.code, refusal.details))
}

fn guarded(pods: i64, spec: &Value) -> Story {
    let mut story = Story::new(Settings::default());
    let mut budget = json!({"metadata": {"name": "web"}, "spec": spec});
    budget["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    story.create(&DISRUPTION_BUDGET, budget);
    story.create(&REPLICA_SET, replica_set("web", pods, "web:1"));
    story.pass(1000);
    story
}

#[test]
fn pods_are_evicted_as_fast_as_others_take_their_place() {
    let mut story = guarded(3, &json!({"maxUnavailable": 1}));
    let pods = story.ready();
    evict(&mut story, &pods[0]).unwrap();
    let refused = evict(&mut story, &pods[1]).unwrap_err();
    assert!(refused.starts_with("429"), "{refused}");
    assert!(
        refused.contains("The disruption budget web needs 2 healthy pods and has 2"),
        "{refused}"
    );
    story.pass(1000);
    evict(&mut story, &pods[1]).unwrap();
    story.finish();
    assert_eq!(story.ready().len(), 3);
    let status = &story.get(&DISRUPTION_BUDGET, "web").unwrap()["status"];
    assert_eq!(
        (&status["disruptionsAllowed"], &status["disruptedPods"]),
        (&json!(1), &Value::Null)
    );
}

#[test]
fn an_evicted_pod_says_why_it_goes() {
    let mut story = guarded(2, &json!({"minAvailable": 1}));
    let pods = story.ready();
    evict(&mut story, &pods[0]).unwrap();
    let pod = story.get(&POD, &pods[0]).unwrap();
    assert!(object::is_deleting(&pod));
    let told = object::condition(&pod, "DisruptionTarget").unwrap();
    assert_eq!(told["reason"], "EvictionByEvictionAPI");
}

#[test]
fn a_pod_that_serves_nobody_goes_when_the_others_are_enough() {
    let unready = |story: &mut Story, name: &str| {
        story.edit(&POD, name, |pod| {
            pod["metadata"]["annotations"] = json!({"testcluster/ready": "false"});
        });
    };
    let mut story = guarded(3, &json!({"minAvailable": 2}));
    let pods = story.ready();
    unready(&mut story, &pods[0]);
    evict(&mut story, &pods[1]).unwrap_err();
    evict(&mut story, &pods[0]).unwrap();
    let mut story = guarded(2, &json!({"minAvailable": 2}));
    let pods = story.ready();
    unready(&mut story, &pods[0]);
    evict(&mut story, &pods[0]).unwrap_err();
    story.edit(&DISRUPTION_BUDGET, "web", |budget| {
        budget["spec"]["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
    });
    evict(&mut story, &pods[0]).unwrap();
}

#[test]
fn an_eviction_that_leads_to_nothing_counts_for_two_minutes() {
    let mut story = guarded(2, &json!({"minAvailable": 1}));
    let pods = story.ready();
    let mut budget = story.get(&DISRUPTION_BUDGET, "web").unwrap();
    let now = second(story.store.time().now());
    budget["status"]["disruptedPods"] = json!({&pods[0]: now});
    let by = crate::sim::api::store::status_writer("kube-apiserver");
    story.store.replace(&by, &DISRUPTION_BUDGET, &key("web"), budget).unwrap();
    story.settle();
    let allowed = |story: &Story| {
        story.get(&DISRUPTION_BUDGET, "web").unwrap()["status"]["disruptionsAllowed"].clone()
    };
    assert_eq!(allowed(&story), 0);
    story.pass(119_000);
    assert_eq!(allowed(&story), 0);
    story.pass(1000);
    assert_eq!(allowed(&story), 1);
}

#[test]
fn a_pod_of_something_without_a_size_blocks_its_budget() {
    let mut story = guarded(0, &json!({"maxUnavailable": "50%"}));
    let map = story.create(&resource::CONFIG_MAP, json!({"metadata": {"name": "map"}}));
    let owner = object::owned_by(&resource::CONFIG_MAP, &map);
    let pod = json!({
        "metadata": {"name": "odd", "labels": {"app": "web"}, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "main", "image": "web:1"}]},
    });
    story.create(&POD, pod);
    story.pass(1000);
    let status = &story.get(&DISRUPTION_BUDGET, "web").unwrap()["status"];
    assert_eq!(status["conditions"][0]["reason"], "SyncFailed");
    let refused = evict(&mut story, "odd").unwrap_err();
    assert!(refused.contains("configmaps does not implement the scale subresource"), "{refused}");
}

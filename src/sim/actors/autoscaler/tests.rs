use serde_json::json;

use super::super::{
    Load, Settings,
    tests::{Story, replica_set},
};
use super::{behaviour::Outcome, *};
use crate::sim::api::resource::{DEPLOYMENT, REPLICA_SET};

fn sample(group: Group, used: i64) -> Sample {
    Sample { group, used, request: 100 }
}

#[test]
fn a_metric_asks_for_as_many_pods_as_meet_its_target() {
    use Group::{Ignored, Missing, Ready, Unready};
    let of = |group: Group, used: i64, count: usize| vec![sample(group, used); count];
    let half = Target::Utilization(50);
    // What holds, the target, the pods, the present number, the number asked for.
    let table = [
        ("twice the use", half, of(Ready, 100, 2), 2, 4),
        ("rounded up", half, of(Ready, 60, 3), 3, 4),
        ("on target", half, of(Ready, 50, 3), 3, 3),
        ("within a tenth above", half, of(Ready, 55, 10), 10, 10),
        ("beyond a tenth above", half, of(Ready, 56, 10), 10, 12),
        ("within a tenth below", half, of(Ready, 45, 10), 10, 10),
        ("half the use", half, of(Ready, 25, 4), 4, 2),
        ("an average value", Target::Value(40), of(Ready, 100, 2), 2, 5),
        ("new pods damp the way up", half, [of(Ready, 100, 2), of(Unready, 0, 1)].concat(), 3, 4),
        ("enough new pods", half, [of(Ready, 100, 2), of(Unready, 0, 2)].concat(), 4, 4),
        (
            "new pods do not count on the way down",
            half,
            [of(Ready, 20, 2), of(Unready, 0, 2)].concat(),
            4,
            1,
        ),
        (
            "the silent are idle on the way up",
            half,
            [of(Ready, 100, 3), of(Missing, 0, 1)].concat(),
            4,
            6,
        ),
        (
            "the silent are busy on the way down",
            half,
            [of(Ready, 10, 3), of(Missing, 0, 1)].concat(),
            4,
            3,
        ),
        (
            "the silent turn no direction",
            half,
            [of(Ready, 40, 1), of(Missing, 0, 3)].concat(),
            4,
            4,
        ),
        (
            "those that go do not count",
            half,
            [of(Ready, 100, 2), of(Ignored, 900, 3)].concat(),
            2,
            4,
        ),
    ];
    for (what, target, samples, present, expected) in table {
        assert_eq!(
            replicas::wanted(present, target, &samples).unwrap().replicas,
            expected,
            "{what}"
        );
    }
    replicas::wanted(2, half, &of(Unready, 0, 2)).unwrap_err();
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn normal(
    memory: &mut Memory,
    behavior: &Value,
    second: i64,
    present: i64,
    proposed: i64,
) -> Outcome {
    let sized = Sized { least: 1, most: 20, present, proposed, now: at(second) };
    let outcome = memory.normal(behavior, &sized);
    if outcome.size != present {
        memory.scaled(behavior, at(second), present, outcome.size);
    }
    outcome
}

#[test]
fn without_a_behaviour_a_size_at_most_doubles_and_falls_after_five_minutes() {
    let none = &Value::Null;
    let mut memory = Memory::default();
    memory.begin(at(0), 3);
    assert_eq!(normal(&mut memory, none, 0, 3, 15).size, 6);
    assert_eq!(normal(&mut memory, none, 15, 6, 30).limit.0, "ScaleUpLimit");
    assert_eq!(normal(&mut memory, none, 30, 12, 30).limit.0, "TooManyReplicas");
    let held = normal(&mut memory, none, 60, 20, 2);
    assert_eq!((held.able.0, held.size), ("ScaleDownStabilized", 20));
    assert_eq!(normal(&mut memory, none, 330, 20, 2).size, 20);
    assert_eq!(normal(&mut memory, none, 331, 20, 2).size, 2);
}

#[test]
fn policies_bound_how_fast_a_size_follows() {
    let behavior = json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max",
            "policies": [
                {"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 10, "periodSeconds": 60},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 0, "selectPolicy": "Min",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 10, "periodSeconds": 60},
            ],
        },
    });
    let mut memory = Memory::default();
    memory.begin(at(0), 10);
    assert_eq!(normal(&mut memory, &behavior, 0, 10, 20).size, 12);
    assert_eq!(normal(&mut memory, &behavior, 15, 12, 20).size, 12);
    assert_eq!(normal(&mut memory, &behavior, 61, 12, 20).size, 14);
    // Ten percent of fourteen, in whole pods, from what the last minute began with.
    assert_eq!(normal(&mut memory, &behavior, 200, 14, 1).size, 12);
    assert_eq!(normal(&mut memory, &behavior, 215, 12, 1).size, 12);
    let mut off = behavior.clone();
    off["scaleDown"]["selectPolicy"] = json!("Disabled");
    assert_eq!(normal(&mut memory, &off, 400, 12, 1).size, 12);
    let mut slow = behavior;
    slow["scaleUp"]["stabilizationWindowSeconds"] = json!(120);
    let held = normal(&mut memory, &slow, 415, 12, 20);
    assert_eq!((held.able.0, held.size), ("ScaleUpStabilized", 12));
}

fn story(cpu: Option<i64>, metrics: &Value) -> Story {
    let load = Load { cpu, memory: Some(100) };
    let mut story = Story::new(Settings { load, ..Settings::default() });
    let mut deployment = replica_set("web", 2, "web:1");
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "200m", "memory": "200Mi"}});
    story.create(&DEPLOYMENT, deployment);
    story.pass(60_000);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let spec = json!({"maxReplicas": 10, "scaleTargetRef": target, "metrics": metrics});
    story.create(&AUTOSCALER, json!({"metadata": {"name": "web"}, "spec": spec}));
    story
}

fn resource_metric(name: &str, percent: i64) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": name, "target": target}})
}

fn told(story: &Story, kind: &str) -> (String, String) {
    let autoscaler = story.get(&AUTOSCALER, "web").unwrap();
    let condition = object::condition(&autoscaler, kind).unwrap().clone();
    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"))
}

fn size(story: &Story) -> i64 {
    story.get(&DEPLOYMENT, "web").unwrap()["spec"]["replicas"].as_i64().unwrap()
}

#[test]
fn a_deployment_grows_with_its_load_and_shrinks_long_after_it() {
    let mut story = story(Some(800), &json!([resource_metric("cpu", 50)]));
    assert_eq!(size(&story), 2);
    story.pass(15_000);
    assert_eq!(size(&story), 4);
    let status = story.get(&AUTOSCALER, "web").unwrap()["status"].clone();
    assert_eq!(status["currentMetrics"][0]["resource"]["current"]["averageUtilization"], 200);
    assert_eq!((&status["currentReplicas"], &status["desiredReplicas"]), (&json!(2), &json!(4)));
    story.pass(60_000);
    assert_eq!(size(&story), 8);
    assert_eq!(told(&story, "ScalingActive"), ("True".to_owned(), "ValidMetricFound".to_owned()));
    story.actors.set_load(Load { cpu: Some(100), memory: None });
    story.pass(120_000);
    assert_eq!(
        (size(&story), told(&story, "AbleToScale").1),
        (8, "ScaleDownStabilized".to_owned())
    );
    story.pass(300_000);
    assert_eq!(size(&story), 1);
    assert_eq!(story.all(&REPLICA_SET)[0]["spec"]["replicas"], 1);
}

#[test]
fn the_metric_that_asks_for_most_pods_wins() {
    let metrics = json!([resource_metric("cpu", 50), resource_metric("memory", 25)]);
    let mut story = story(Some(200), &metrics);
    story.pass(15_000);
    // Memory is at 50 percent of what is asked for, cpu at target.
    assert_eq!(size(&story), 4);
}

#[test]
fn a_metric_that_does_not_exist_keeps_a_size_from_falling() {
    let external = json!({
        "type": "External",
        "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "1"}},
    });
    let mut idle = story(Some(10), &json!([external, resource_metric("cpu", 50)]));
    idle.pass(600_000);
    assert_eq!(size(&idle), 2);
    let reason = "FailedGetExternalMetric".to_owned();
    assert_eq!(told(&idle, "ScalingActive"), ("False".to_owned(), reason));
    let mut busy = story(Some(400), &json!([external, resource_metric("cpu", 50)]));
    busy.pass(60_000);
    assert_eq!(size(&busy), 4);
}

#[test]
fn without_a_measurement_the_size_stays_and_the_condition_says_why() {
    let mut story = story(None, &json!([resource_metric("cpu", 50)]));
    story.pass(60_000);
    let reason = "FailedGetResourceMetric".to_owned();
    assert_eq!((size(&story), told(&story, "ScalingActive")), (2, ("False".to_owned(), reason)));
    story.edit(&AUTOSCALER, "web", |autoscaler| autoscaler["spec"]["minReplicas"] = json!(3));
    story.pass(15_000);
    assert_eq!(size(&story), 3);
}

#[test]
fn a_target_that_is_not_there_is_said() {
    let mut story = Story::new(Settings::default());
    let target = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout", "name": "none"});
    let spec = json!({"maxReplicas": 3, "scaleTargetRef": target});
    story.create(&AUTOSCALER, json!({"metadata": {"name": "web"}, "spec": spec}));
    story.pass(15_000);
    assert_eq!(told(&story, "AbleToScale"), ("False".to_owned(), "FailedGetScale".to_owned()));
    story.delete(&AUTOSCALER, "web", "Background");
    story.finish();
}

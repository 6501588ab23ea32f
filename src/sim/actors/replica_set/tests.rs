use serde_json::json;

use super::super::{
    Settings,
    index::Index,
    tests::{Story, replica_set},
};
use super::*;

fn counts(story: &Story, name: &str) -> Value {
    let mut status = story.get(&REPLICA_SET, name).unwrap()["status"].clone();
    status.as_object_mut().unwrap().remove("observedGeneration");
    status
}

fn scale(story: &mut Story, replicas: i64) {
    story.edit(&REPLICA_SET, "web", |set| set["spec"]["replicas"] = json!(replicas));
}

#[test]
fn its_pods_are_of_its_template_and_belong_to_it() {
    let mut story = Story::new(Settings::default());
    let mut set = replica_set("web", 1, "web:1");
    set["spec"]["template"]["metadata"]["annotations"] = json!({"note": "a"});
    let set = story.create(&REPLICA_SET, set);
    let pod = &story.all(&POD)[0];
    assert!(object::name(pod).starts_with("web-") && object::name(pod).len() == 9);
    assert_eq!(pod["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(pod["metadata"]["annotations"], json!({"note": "a"}));
    assert_eq!(pod["metadata"]["ownerReferences"], json!([object::owned_by(&REPLICA_SET, &set)]));
    assert_eq!(pod["spec"]["containers"][0]["image"], "web:1");
}

#[test]
fn its_status_counts_pods_by_how_far_they_are() {
    let mut story = Story::new(Settings::default());
    let mut set = replica_set("web", 2, "web:1");
    set["spec"]["minReadySeconds"] = json!(10);
    story.create(&REPLICA_SET, set);
    assert_eq!(counts(&story, "web"), json!({"replicas": 2, "fullyLabeledReplicas": 2}));
    story.pass(300);
    let ready = json!({"replicas": 2, "fullyLabeledReplicas": 2, "readyReplicas": 2});
    assert_eq!(counts(&story, "web"), ready);
    story.pass(9699);
    assert_eq!(counts(&story, "web"), ready);
    story.pass(1);
    assert_eq!(counts(&story, "web")["availableReplicas"], 2);
    scale(&mut story, 0);
    assert_eq!(counts(&story, "web"), json!({"replicas": 0}));
    assert_eq!(story.get(&REPLICA_SET, "web").unwrap()["status"]["observedGeneration"], 2);
}

#[test]
fn a_pod_that_goes_is_replaced_at_once() {
    let mut story = Story::new(Settings::default());
    story.create(&REPLICA_SET, replica_set("web", 2, "web:1"));
    story.pass(1000);
    let first = story.ready()[0].clone();
    story.delete(&POD, &first, "Background");
    assert_eq!(story.all(&POD).len(), 3);
    story.finish();
    assert_eq!(story.ready().len(), 2);
    assert!(!story.ready().contains(&first));
}

#[test]
fn surplus_pods_go_in_the_order_of_their_worth() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let pod = |uid: &str, node: &str, phase: &str, ready: Option<i64>, cost: &str| {
        let mut conditions = Vec::new();
        if let Some(seconds) = ready {
            let since = object::after(now, -seconds).to_string();
            conditions
                .push(json!({"type": "Ready", "status": "True", "lastTransitionTime": since}));
        }
        json!({
            "metadata": {
                "uid": uid, "creationTimestamp": object::after(now, -9000).to_string(),
                "annotations": {"controller.kubernetes.io/pod-deletion-cost": cost},
            },
            "spec": {"nodeName": node},
            "status": {"phase": phase, "conditions": conditions},
        })
    };
    let in_order = [
        pod("g", "", "Pending", None, ""),
        pod("f", "n1", "Pending", None, ""),
        pod("e", "n1", "Running", None, ""),
        pod("d", "n1", "Running", Some(900), "-5"),
        pod("c", "n2", "Running", Some(900), ""),
        pod("b", "n1", "Running", Some(5), ""),
        pod("a", "n1", "Running", Some(900), ""),
    ];
    let on_node = BTreeMap::from([("n1".to_owned(), 1), ("n2".to_owned(), 2)]);
    let worth: Vec<Preference> =
        in_order.iter().map(|pod| preference(pod, &on_node, now)).collect();
    assert!(worth.is_sorted(), "{worth:#?}");
}

#[test]
fn a_refused_pod_is_told_of_until_one_is_created() {
    let mut story = Story::new(Settings::default());
    let mut set = story.create(&REPLICA_SET, replica_set("web", 1, "web:1"));
    let (index, settings) = (Index::default(), Settings::default());
    let now = story.store.time().now();
    let mut cluster = Cluster {
        store: &mut story.store,
        index: &index,
        settings: &settings,
        now,
        manager: "controllers",
    };
    let gone = ("gone".to_owned(), "web".to_owned());
    let refusal = super::scale(&mut cluster, &gone, &set, &Vec::new(), 1).unwrap_err();
    assert_eq!(refusal.message, "namespaces \"gone\" not found");
    let (failed, _) = status(&cluster, &set, &Vec::new(), Some(refusal));
    assert_eq!(failed["conditions"][0]["type"], "ReplicaFailure");
    assert_eq!(failed["conditions"][0]["message"], "namespaces \"gone\" not found");
    set["status"] = failed;
    let (cured, _) = status(&cluster, &set, &Vec::new(), None);
    assert_eq!(cured["conditions"], Value::Null);
}

#[test]
fn one_that_is_being_deleted_creates_nothing() {
    let mut story = Story::new(Settings::default());
    story.create(&REPLICA_SET, replica_set("web", 2, "web:1"));
    story.pass(1000);
    story.delete(&REPLICA_SET, "web", "Foreground");
    assert_eq!(story.all(&POD).len(), 2);
    story.finish();
    assert_eq!((story.all(&POD).len(), story.all(&REPLICA_SET).len()), (0, 0));
}

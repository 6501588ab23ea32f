use serde_json::{Value, json};

use super::*;
use crate::cli::fixtures::{now, paused};

fn set(hash: &str, number: &str, replicas: i32, ready: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("checkout-{hash}"),
            "uid": format!("uid-{hash}"),
            "labels": {"app": "checkout", REVISION_LABEL: hash},
            "annotations": {REVISION_NUMBER_ANNOTATION: number},
            "creationTimestamp": "2026-11-21T02:55:00Z",
            "ownerReferences": [owner("Rollout", "rollout-uid")],
        },
        "spec": {"replicas": replicas, "selector": {}, "template": {"spec": {"containers": [{"name": "app", "image": format!("shop/checkout:v{number}")}]}}},
        "status": {"replicas": replicas, "readyReplicas": ready},
    }))
    .unwrap()
}

fn owner(kind: &str, uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "name": "n", "uid": uid, "controller": true})
}

fn pod(hash: &str, end: &str, ready: bool) -> Pod {
    let state = if ready {
        json!({"running": {}})
    } else {
        json!({"waiting": {"reason": "CrashLoopBackOff"}})
    };
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("checkout-{hash}-{end}"),
            "creationTimestamp": "2026-11-21T02:56:00Z",
            "ownerReferences": [owner("ReplicaSet", &format!("uid-{hash}"))],
        },
        "spec": {"containers": [{"name": "app"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": "app", "image": "i", "imageID": "", "ready": ready, "restartCount": if ready { 0 } else { 4 }, "state": state}],
        },
    }))
    .unwrap()
}

fn run() -> AnalysisRun {
    serde_json::from_value(json!({
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": "checkout-7f9c-1", "creationTimestamp": "2026-11-21T02:58:00Z"},
        "spec": {"metrics": []},
        "status": {"phase": "Failed", "message": "metric errors failed", "metricResults": [
            {"name": "errors", "phase": "Failed", "successful": 3, "failed": 1, "measurements": [{"phase": "Failed", "value": "[0.07]"}]},
            {"name": "smoke", "phase": "Running", "dryRun": true},
        ]},
    }))
    .unwrap()
}

fn job() -> Job {
    serde_json::from_value(json!({
        "metadata": {"name": "smoke-1", "labels": {RUN_LABEL: "checkout-7f9c-1"}, "creationTimestamp": "2026-11-21T02:59:00Z"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too many"}]},
    }))
    .unwrap()
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::bare(paused());
    snapshot.replica_sets =
        vec![set("5d4c", "2", 2, 2), set("7f9c", "3", 2, 1), set("11aa", "1", 0, 0)];
    snapshot.pods = vec![
        pod("5d4c", "a", true),
        pod("5d4c", "b", true),
        pod("7f9c", "a", true),
        pod("7f9c", "z", false),
        pod("ffff", "x", true),
    ];
    snapshot.runs = vec![run()];
    snapshot.jobs = vec![job()];
    snapshot.notes = vec!["cannot read the Jobs: forbidden".into()];
    snapshot.owned()
}

#[test]
fn everything_hangs_below_its_revision_and_trouble_comes_first() {
    let text = tree(&snapshot(), now(), Style::PLAIN);
    let (_, body) = text.split_once("\n\n").unwrap();
    assert_eq!(
        body,
        "\
NAME                             STATE              READY   AGE   INFO
revision 3 7f9c                  canary                           shop/checkout:v3
├─ ReplicaSet checkout-7f9c      NotReady           1/2     5m
│  ├─ Pod checkout-7f9c-z        CrashLoopBackOff   0/1     4m    4 restarts
│  └─ Pod checkout-7f9c-a        Running            1/1     4m
└─ AnalysisRun checkout-7f9c-1   Failed                     2m    metric errors failed
   ├─ metric errors              Failed                           last [0.07]; 3 passed, 1 failed
   ├─ metric smoke               Running                          dry run
   └─ Job smoke-1                Failed                     60s   BackoffLimitExceeded: too many; kubectl logs job/smoke-1
revision 2 5d4c                  stable                           shop/checkout:v2
└─ ReplicaSet checkout-5d4c      Ready              2/2     5m
   ├─ Pod checkout-5d4c-a        Running            1/1     4m
   └─ Pod checkout-5d4c-b        Running            1/1     4m
revision 1 11aa                  old                              shop/checkout:v1
└─ ReplicaSet checkout-11aa      ScaledDown         0/0     5m
Note: cannot read the Jobs: forbidden
"
    );
}

#[test]
fn many_pods_are_cut_after_those_in_trouble() {
    let mut many = snapshot();
    let names: Vec<String> = (0..30).map(|number| format!("m{number:02}")).collect();
    many.pods.extend(names.iter().map(|name| pod("7f9c", name, true)));
    let text = tree(&many, now(), Style::PLAIN);
    assert!(text.contains("Pod checkout-7f9c-z"), "{text}");
    assert!(text.contains("… 20 more pods, 20 of them ready"), "{text}");
}

#[test]
fn a_revision_without_a_replica_set_shows_too() {
    let mut early = Snapshot::bare(paused());
    early.runs = vec![run()];
    let text = tree(&early, now(), Style::PLAIN);
    assert!(text.contains("\nrevision 3 7f9c                  canary"), "{text}");
    assert!(text.contains("└─ AnalysisRun checkout-7f9c-1"), "{text}");
}

#[test]
fn revisions_are_called_by_their_part_in_the_strategy() {
    use crate::cli::fixtures::{at_the_gate, rolling, under};
    let told = |rollout: &Rollout| {
        let mut snapshot = snapshot();
        snapshot.rollout = rollout.clone();
        tree(&snapshot, now(), Style::PLAIN)
    };
    let has = |text: &str, line: &str| {
        let found = text
            .lines()
            .any(|found| found.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(line));
        assert!(found, "no line {line} in\n{text}");
    };
    has(&told(&rolling()), "revision 3 7f9c new");
    let gate = at_the_gate(None);
    has(&told(&gate), "revision 3 7f9c preview");
    let strategy = serde_json::to_value(&gate.spec.strategy).unwrap();
    let switched = json!({
        "step": {"index": 4}, "weights": {"stable": 0, "canary": 100},
        "retiring": [{"revision": "11aa", "scaleDownAt": "2026-11-21T03:01:00Z"}],
    });
    let text = told(&under(&strategy, &gate, &switched));
    has(&text, "revision 3 7f9c active");
    has(&text, "revision 2 5d4c standby");
    has(&text, "revision 1 11aa old shop/checkout:v1; its pods go at 03:01:00Z");
}

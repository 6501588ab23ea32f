use serde_json::json;

use super::*;
use crate::cli::fixtures::{aborted, at_the_gate, healthy, now, paused, rolling, under};

fn shown(rollout: Rollout) -> String {
    render(&Snapshot::bare(rollout), now(), Style::PLAIN)
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no line `{line}` in\n{text}");
}

#[test]
fn a_paused_release() {
    assert_eq!(
        shown(paused()),
        "\
Name:       shop/checkout
Phase:      Paused
Message:    step 2/4 (pause): waiting for a person
Next:       `promote` goes on, `promote --full` skips all steps, `abort` rolls back
Strategy:   canary by VirtualService checkout; stable Service checkout, canary Service checkout-canary
Step:       2/4, pause until promoted, begun 5m ago
Steps:      ✓ 1 setWeight 20
            ▶ 2 pause until promoted
              3 setWeight 60
              4 analysis errors
Weight:     [####----------------] canary 20%, stable 80%
Pods:       5 wanted, 6 ready, 6 available; of the newest revision 1, 1 available
Held:       by the pause step, for 5m
"
    );
}

#[test]
fn a_rolling_release_shows_its_pods() {
    assert_eq!(
        shown(rolling()),
        "\
Name:       shop/checkout
Phase:      Progressing
Message:    replacing pods: waiting for pods
Strategy:   rolling; maxSurge 1, maxUnavailable 25%
Rolled:     [########------------] 2 of 5 pods new, 3 old
Pods:       5 wanted, 5 ready, 5 available; of the newest revision 3, 2 available
"
    );
}

#[test]
fn a_blue_green_release_says_what_its_switch_waits_for() {
    assert_eq!(
        shown(at_the_gate(Some("10m"))),
        "\
Name:       shop/checkout
Phase:      Paused
Message:    before the switch: waiting
Strategy:   blueGreen by the Service's selector; active Service checkout, preview Service checkout-preview
Step:       3/5, before the switch: pause for 10m, begun 5m ago
Steps:      ✓ 1 preview: 100% of the pods
            ✓ 2 pre-promotion analysis: smoke
            ▶ 3 before the switch: pause for 10m
              4 switch
              5 post-promotion analysis: errors
Active:     revision 5d4c
Preview:    revision 7f9c, 5 of 5 pods available
Switch:     by itself at 03:05:00Z, in 5m; `promote` switches now
Pods:       5 wanted, 10 ready, 10 available; of the newest revision 5, 5 available
Held:       by the pause step, for 5m
"
    );
    let text = shown(at_the_gate(None));
    has(&text, "Switch:     waits for a person: `promote`");
    has(&text, "Next:       `promote` goes on to the switch, `abort` gives the new revision up");
}

#[test]
fn an_aborted_release_says_who_and_why() {
    let text = shown(aborted());
    has(&text, "Aborted:    by alice 3m ago (Command): too many errors");
    assert!(text.contains("Next:       `retry` starts again"), "{text}");
}

#[test]
fn a_workload_shows_with_the_pods_of_its_own() {
    let mut object = serde_json::to_value(healthy()).unwrap();
    object["spec"]["template"] = json!(null);
    object["spec"]["workloadRef"] =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"});
    let mut snapshot = Snapshot::bare(serde_json::from_value(object).unwrap());
    let mut look = |replicas: i32, ready: i32| {
        snapshot.workload = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "legacy"},
            "spec": {"replicas": replicas}, "status": {"readyReplicas": ready},
        }))
        .unwrap();
        render(&snapshot, now(), Style::PLAIN)
    };
    has(&look(0, 0), "Workload:   Deployment legacy; no pods of its own, scaleDown onSuccess");
    has(
        &look(3, 2),
        "Workload:   Deployment legacy; 3 pods of its own wanted, 2 ready, scaleDown onSuccess",
    );
    snapshot.workload = None;
    let text = render(&snapshot, now(), Style::PLAIN);
    has(&text, "Workload:   Deployment legacy; scaleDown onSuccess");
}

#[test]
fn a_restart_shows_until_all_pods_are_new() {
    let restarting = |status: serde_json::Value| {
        let canary = serde_json::to_value(healthy().spec.strategy).unwrap();
        let mut snapshot = Snapshot::bare(under(&canary, &healthy(), &status));
        for (name, created) in [("a", "02:40:00"), ("b", "02:55:00"), ("c", "02:58:00")] {
            let created = format!("2026-11-21T{created}Z");
            let pod = json!({"metadata": {"name": name, "creationTimestamp": created}});
            snapshot.pods.push(serde_json::from_value(pod).unwrap());
        }
        snapshot
    };
    let asked = restarting(json!({"restartAt": "2026-11-21T02:56:00Z"}));
    let text = render(&asked, now(), Style::PLAIN);
    has(&text, "Restart:    pods older than 2026-11-21T02:56:00Z are replaced: 2 of 3 are left");
    assert!(
        state::line(&asked.rollout).contains(", restarting pods"),
        "{}",
        asked.rollout.name_any()
    );
    let done = restarting(
        json!({"restartAt": "2026-11-21T02:56:00Z", "restartedAt": "2026-11-21T02:56:00Z"}),
    );
    assert!(!render(&done, now(), Style::PLAIN).contains("Restart:"));
    assert!(!state::line(&done.rollout).contains("restarting"));
    let mut later = restarting(json!({}));
    later.rollout.spec.restart_at = "2026-11-21T04:00:00Z".parse().ok();
    has(&render(&later, now(), Style::PLAIN), "Restart:    at 2026-11-21T04:00:00Z");
}

#[test]
fn a_deletion_says_what_it_waits_for() {
    let canary = serde_json::to_value(healthy().spec.strategy).unwrap();
    let told = "the Rollout is being deleted: waiting for legacy: 1 of 5 pods available";
    let mut rollout = under(&canary, &healthy(), &json!({"message": told}));
    rollout.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-11-21T02:59:50Z")).ok();
    rollout.metadata.finalizers = Some(vec![crate::api::FINALIZER.to_owned()]);
    let text = shown(rollout);
    has(&text, &format!("Message:    {told}"));
    has(&text, "Deleting:   for 10s, kept by finalizer sluice.dev/hand-back");
}

use serde_json::{Value, json};

use super::*;
use crate::cli::fixtures::{at_the_gate, healthy, now, paused, rolling, under};

fn row(rollout: &Rollout, label: &str) -> Option<String> {
    rows(rollout, now()).into_iter().find(|row| row.0 == label).map(|row| row.1)
}

fn canary(change: &Value) -> Value {
    let mut strategy = serde_json::to_value(paused().spec.strategy).unwrap();
    json_patch::merge(&mut strategy, &json!({ "canary": change }));
    strategy
}

#[test]
fn the_bar_shows_any_part() {
    for (part, full) in [(0, 0), (1, 1), (50, 10), (99, 19), (100, 20), (-3, 0), (400, 20)] {
        assert_eq!(bar(part, 100).matches('#').count(), full, "{part}");
        assert_eq!(bar(part, 100).len(), BAR + 2);
    }
    assert_eq!(bar(1, 1000).matches('#').count(), 1);
    assert_eq!(bar(0, 0).matches('#').count(), 0);
}

#[test]
fn weights_are_told_in_percent_of_their_sum() {
    let thousand = canary(&json!({"traffic": {"maxWeight": 1000}}));
    let weights = json!({"weights": {"stable": 995, "canary": 5}});
    let rollout = under(&thousand, &paused(), &weights);
    assert_eq!(
        row(&rollout, "Weight").unwrap(),
        "[#-------------------] canary 0.5% (5 of 1000), stable 99.5% (995 of 1000)"
    );
    assert_eq!(standing(&rollout).unwrap(), "canary 0.5% (5 of 1000)");
    let program = Program::new(&rollout.spec);
    for (weight, text) in [(0, "0%"), (1, "0.1%"), (250, "25%"), (1000, "100%")] {
        assert_eq!(share(&program, weight), format!("{text} ({weight} of 1000)"));
    }
}

#[test]
fn without_a_mesh_the_pods_are_the_weight() {
    let by_pods = under(&canary(&json!({"traffic": null})), &paused(), &json!({}));
    assert_eq!(
        row(&by_pods, "Weight").unwrap(),
        "[####----------------] canary 20%, stable 80% (the shares of the pods)"
    );
    assert_eq!(
        text(&Program::new(&by_pods.spec)),
        "canary by the number of pods; stable Service checkout, canary Service checkout-canary"
    );
}

#[test]
fn a_line_says_how_far_each_strategy_has_come() {
    for (rollout, wanted) in [
        (rolling(), Some("2 of 5 pods new, 3 old")),
        (at_the_gate(None), Some("preview 7f9c")),
        (paused(), Some("canary 20%")),
        (healthy(), None),
    ] {
        assert_eq!(standing(&rollout).as_deref(), wanted);
    }
}

#[test]
fn the_switch_is_told_from_the_first_pod_to_the_last_verdict() {
    let at = |index: i32, switched: bool, more: &Value| {
        let gate = at_the_gate(None);
        let weights = if switched { (0, 100) } else { (100, 0) };
        let mut status = json!({
            "step": {"index": index}, "weights": {"stable": weights.0, "canary": weights.1},
        });
        json_patch::merge(&mut status, more);
        under(&serde_json::to_value(&gate.spec.strategy).unwrap(), &gate, &status)
    };
    let none = json!({});
    let table = vec![
        (at(0, false, &none), "revision 5d4c", Some("waits for: preview, then for a person")),
        (
            at(1, false, &none),
            "revision 5d4c",
            Some("waits for: pre-promotion analysis, then for a person"),
        ),
        (at(3, false, &none), "revision 5d4c", Some("under way")),
        (
            at(4, true, &none),
            "revision 7f9c; 5d4c stands by",
            Some("done; the post-promotion analysis decides whether it stays"),
        ),
        (at(5, true, &none), "revision 7f9c; 5d4c stands by", Some("done")),
        (
            at(2, false, &json!({"promoteFull": true})),
            "revision 5d4c",
            Some("as soon as all pods are available"),
        ),
        (
            at(
                4,
                false,
                &json!({"abort": {"at": "2026-11-21T02:57:00Z", "by": "a", "reason": "r", "cause": "Analysis"}}),
            ),
            "revision 5d4c",
            None,
        ),
    ];
    for (rollout, active, switch) in table {
        assert_eq!(row(&rollout, "Active").as_deref(), Some(active));
        assert_eq!(row(&rollout, "Switch").as_deref(), switch, "{active}");
    }
    let done =
        under(&serde_json::to_value(at_the_gate(None).spec.strategy).unwrap(), &healthy(), &none);
    assert_eq!(row(&done, "Active").unwrap(), "revision 5d4c");
    let timed = at_the_gate(Some("10m"));
    let early = json!({"step": {"index": 0}, "pauses": null});
    let early = under(&serde_json::to_value(&timed.spec.strategy).unwrap(), &timed, &early);
    assert_eq!(row(&early, "Switch").unwrap(), "waits for: preview, then 10m (or `promote`)");
}

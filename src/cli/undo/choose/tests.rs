use serde_json::json;

use super::*;
use crate::cli::fixtures::{aborted, healthy, paused, rollout};

/// Revisions 1 to 3; `5d4c` is number 2 and `7f9c` number 3, as in the fixtures.
fn kept() -> Vec<Kept> {
    let one = |number: i64, revision: &str| Kept {
        number,
        revision: revision.into(),
        images: vec![format!("shop/checkout:v{number}")],
        fingerprint: format!("v1:{revision}"),
    };
    vec![one(1, "11aa"), one(2, "5d4c"), one(3, "7f9c")]
}

fn with_history(mut rollout: Rollout, history: &[(i64, &str, &str)]) -> Rollout {
    let records = history.iter().map(|(number, revision, outcome)| {
        serde_json::from_value(json!({
            "revision": revision, "number": number, "attempt": 1,
            "startedAt": "2026-11-21T01:00:00Z", "outcome": outcome,
        }))
        .unwrap()
    });
    let records = records.collect();
    rollout.status.as_mut().unwrap().history = records;
    rollout
}

/// The choice in a word and a number, or the sentence.
fn chosen(rollout: &Rollout, kept: &[Kept], present: &str, to: Option<i64>) -> String {
    match choose(rollout, kept, &format!("v1:{present}"), to) {
        Ok(Choice::Back(kept)) => format!("back {}", kept.number),
        Ok(Choice::Already(kept)) => format!("already {}", kept.number),
        Err(failure) => failure.text,
    }
}

#[test]
fn without_a_number_it_goes_back_to_what_was_stable() {
    let promoted =
        |rollout| with_history(rollout, &[(2, "5d4c", "Promoted"), (1, "11aa", "Promoted")]);
    let after_abort = [(2, "5d4c", "Promoted"), (9, "7f9c", "Aborted"), (1, "11aa", "Promoted")];
    let twice = [(4, "5d4c", "Promoted"), (3, "7f9c", "Promoted"), (2, "5d4c", "Promoted")];
    for (what, rollout, present, wanted) in [
        ("between releases: to the one before", promoted(healthy()), "5d4c", "back 1"),
        (
            "an aborted one was never stable",
            with_history(healthy(), &after_abort),
            "5d4c",
            "back 1",
        ),
        (
            "a second undo takes the first one back",
            with_history(healthy(), &twice),
            "5d4c",
            "back 3",
        ),
        ("during a release: to stable", promoted(paused()), "7f9c", "back 2"),
        ("after an abort: to stable", promoted(aborted()), "7f9c", "back 2"),
        ("stable is asked for again already", promoted(paused()), "5d4c", "already 2"),
    ] {
        assert_eq!(chosen(&rollout, &kept(), present, None), wanted, "{what}");
    }
}

#[test]
fn a_number_is_that_of_the_replica_set_or_of_the_history() {
    let back = with_history(healthy(), &[(4, "5d4c", "Promoted"), (7, "22bb", "Promoted")]);
    for (to, wanted) in [
        (1, "back 1"),
        (2, "already 2"),
        (3, "back 3"),
        // A revision that came back keeps its ReplicaSet, whose number is the old one.
        (4, "already 2"),
    ] {
        assert_eq!(chosen(&back, &kept(), "5d4c", Some(to)), wanted, "{to}");
    }
    assert_eq!(
        chosen(&back, &kept(), "5d4c", Some(9)),
        "there is no revision 9; those that are kept: 3 (shop/checkout:v3), 2 (shop/checkout:v2, stable), 1 (shop/checkout:v1)"
    );
    let gone = chosen(&back, &kept(), "5d4c", Some(7));
    assert!(gone.starts_with("the ReplicaSet of revision 7 is gone"), "{gone}");
    assert!(gone.contains("those that are kept: 3"), "{gone}");
}

#[test]
fn what_cannot_be_undone_is_said() {
    let first = |change: fn(&mut RolloutStatus)| {
        let mut rollout = with_history(paused(), &[]);
        change(rollout.status.as_mut().unwrap());
        rollout
    };
    let mut deleted = healthy();
    deleted.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-11-21T02:00:00Z")).ok();
    let only = with_history(healthy(), &[(2, "5d4c", "Promoted")]);
    let lost = with_history(healthy(), &[(2, "5d4c", "Promoted"), (1, "00ff", "Promoted")]);
    for (rollout, present, starts) in [
        (first(|status| status.stable_revision = None), "7f9c", "this is the first deployment"),
        (rollout(json!(null)), "7f9c", "the controller has not looked at this Rollout yet"),
        (deleted, "5d4c", "the Rollout is being deleted"),
        (only.clone(), "5d4c", "no revision was stable before the present one"),
        (lost, "5d4c", "every revision that was stable before has lost its ReplicaSet"),
        (only, "7f9c", "the controller has not looked at the newest template yet"),
    ] {
        let found = chosen(&rollout, &kept(), present, None);
        assert!(found.starts_with(starts), "{found}, not {starts}");
    }
    let mut kept = kept();
    kept.remove(1);
    let found = chosen(&paused(), &kept, "7f9c", None);
    assert!(found.starts_with("the stable revision has lost its ReplicaSet"), "{found}");
}

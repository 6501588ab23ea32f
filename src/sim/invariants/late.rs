//! Judging writes of a real cluster by what their writer could know.
//!
//! In: changes in etcd's order, and from which of them on the news may not have come when each was made.
//! Out: what was broken whichever of that news had come. An API server orders a write behind a change
//! that its writer cannot have seen yet: an autoscaler asks for another pod in the millisecond before a
//! weight is written. News of each kind comes by a watch of its own, in its order. What the controller
//! wrote itself it knows, and the object that it writes to it knows as well: each write has a precondition.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Change, Checker, owner_is_sluice};

/// Replays a namespace's changes. Returns what was broken that no late news excuses. `late_from` says for
/// the change at an index which one is the first whose news may not have come by then.
pub fn broken(changes: &[Change], late_from: impl Fn(usize) -> usize) -> Vec<String> {
    let mut checker = Checker::default();
    let mut broken = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let found = checker.check(change);
        if !found.is_empty() && !is_excused(changes, late_from(at), at) {
            broken.extend(found);
        }
    }
    broken
}

/// Whether a write is right for some state that its writer may have seen last.
fn is_excused(changes: &[Change], from: usize, at: usize) -> bool {
    let from = from.min(at);
    let late: BTreeSet<&str> = changes[from..at].iter().map(|change| change.key.0).collect();
    // One watch may be late, or all of them.
    let which = late.into_iter().map(Some).chain([None]);
    let mut seen = which.flat_map(|kind| (from..at).map(move |cut| (kind, cut)));
    seen.any(|(kind, cut)| known(changes, at, kind, cut).check(&changes[at]).is_empty())
}

/// What the writer of the change at `at` knew, if the news of `kind`, or of every kind, had come up to `cut`.
fn known(changes: &[Change], at: usize, kind: Option<&str>, cut: usize) -> Checker {
    let (mut real, mut known) = (Checker::default(), Checker::default());
    for (number, change) in changes[..at].iter().enumerate() {
        let before = real.state().get(&change.key).map_or(&Value::Null, |object| &**object);
        let late = number >= cut && kind.is_none_or(|kind| kind == change.key.0);
        let written_to = change.key == changes[at].key;
        if !late || written_to || is_ours(before, change) {
            known.learn(change);
        }
        real.learn(change);
    }
    known
}

/// Whether the controller made a change: the fields that it alone writes are others now.
fn is_ours(before: &Value, change: &Change) -> bool {
    let Some(after) = change.object.as_deref() else { return false };
    match change.key.0 {
        "Rollout" => before["status"] != after["status"],
        "ReplicaSet" => {
            before.is_null()
                || before["spec"] != after["spec"] && owner_is_sluice(after, &["spec", "replicas"])
        }
        "Service" => {
            before["spec"] != after["spec"] && owner_is_sluice(after, &["spec", "selector"])
        }
        "VirtualService" => {
            let fields = ["http", "tls", "tcp"];
            before["spec"] != after["spec"]
                && fields.iter().any(|kind| owner_is_sluice(after, &["spec", kind]))
        }
        "DestinationRule" => {
            before["spec"] != after["spec"] && owner_is_sluice(after, &["spec", "subsets"])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::History;

    /// What is said of a weight written behind a scale-up to three pods, by its number of changes before.
    fn said(late: usize) -> String {
        History::after_with_late_news(late, |history| {
            history.scaled(4);
            // Neither takes part in the weights, and both are changes.
            for name in ["one", "two"] {
                history.put("Pod", name, json!({"metadata": {"labels": {"app": "other"}}}));
            }
            history.weights(40, 60);
        })
    }

    #[test]
    fn a_write_that_was_right_before_the_last_news_is_no_fault() {
        assert_eq!(said(3), "", "the scale-up may not have been seen");
        let found = said(2);
        assert!(found.contains("weight 60 and 2 of 3 serving pods"), "{found}");
    }

    #[test]
    fn no_late_news_excuses_what_is_wrong_for_all_of_it() {
        let found = History::after_with_late_news(5, |history| {
            history.scaled(4);
            history.weights(40, 70);
        });
        assert!(found.contains("do not sum to 100"), "{found}");
    }

    #[test]
    fn what_the_controller_wrote_itself_is_no_news() {
        let found = History::after_with_late_news(5, |history| {
            history.service("canary", "c");
            history.weights(70, 30);
        });
        assert!(found.contains("the canary destination has weight 30 and 0 of"), "{found}");
    }
}

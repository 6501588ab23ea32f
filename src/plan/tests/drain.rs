//! Old pods, due to go, and what the metrics say of requests to them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::model::{Model, rollout, steps};
use crate::{
    api::{CANONICAL_REVISION_LABEL, Phase, Reason},
    plan::Plan,
    world::drain::{Drain, Evidence, Flow},
};

/// A promotion, a second after its old pods became due; nobody has asked yet.
fn due() -> (Model, String) {
    let mut model = Model::healthy(rollout(&steps("[{setWeight: 50}]")));
    let old = model.stable();
    model.world.drains = Some(BTreeMap::new());
    let set = model.world.revisions.iter_mut().find(|set| set.revision == old).expect("a set");
    set.pod_labels.insert(CANONICAL_REVISION_LABEL.into(), old.clone());
    model.set_image("web:2");
    model.run_until(Phase::Healthy);
    assert_ne!(model.stable(), old);
    model.run_for(31);
    (model, old)
}

fn seconds(before: Timestamp, seconds: i64) -> Timestamp {
    before.checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

/// What is known: first asked and last answered that many seconds ago.
fn known(model: &mut Model, plan: &Plan, begun: i64, at: i64, evidence: Option<Evidence>) {
    let question = plan.questions.first().expect("a question");
    let now = model.world.now;
    let flowing = matches!(evidence, Some(Evidence::Flowing(_)));
    let drain = Drain {
        since: question.since,
        begun: seconds(now, begun),
        at: seconds(now, at),
        evidence,
        flowed: flowing.then(|| seconds(now, at)),
    };
    model.world.drains.as_mut().unwrap().insert(question.revision.clone(), drain);
}

fn flowing() -> Evidence {
    let from = "istio-system/gateway".to_owned();
    Evidence::Flowing(Flow { requests: 412, seconds: 15, from })
}

#[test]
fn the_metrics_are_asked_when_the_pods_are_due_and_not_before() {
    let (mut model, old) = due();
    let plan = model.look();
    assert_eq!(model.pods(&old), 4);
    let query = &plan.questions[0].query;
    assert!(query.contains(&format!("destination_canonical_revision=\"{old}\"")), "{query}");
    assert!(query.contains("destination_service_name=~\""), "{query}");
    model.world.drains = None;
    assert!(model.look().questions.is_empty());
    assert_eq!(model.pods(&old), 0, "without a Prometheus time decides");
    assert!(model.look().questions.is_empty());
}

#[test]
fn what_the_metrics_say_decides_and_nothing_waits_without_an_end() {
    let unknown = Some(Evidence::Unknown);
    // What, first asked and last answered so many seconds ago, whether the pods go, whether it asks.
    let rows = [
        ("quiet", Some(Evidence::Quiet), (1, 1), true, false),
        ("no series", Some(Evidence::NoSeries), (1, 1), true, false),
        ("Prometheus is down", Some(Evidence::NoAnswer), (1, 1), true, false),
        ("asked, not answered", None, (2, 2), false, false),
        ("asked, and the answer is lost", None, (6, 6), false, true),
        ("never answered", None, (60, 5), true, false),
        ("too few scrapes", unknown.clone(), (20, 2), false, false),
        ("too few scrapes, a while ago", unknown.clone(), (20, 5), false, true),
        ("too few scrapes for a minute", unknown, (60, 2), true, false),
        ("requests", Some(flowing()), (61, 2), false, false),
        ("requests, a while ago", Some(flowing()), (61, 5), false, true),
        ("requests until the deadline", Some(flowing()), (599, 2), false, false),
        ("requests at the deadline", Some(flowing()), (600, 2), true, false),
    ];
    for (case, evidence, (begun, at), goes, asks) in rows {
        let (mut model, old) = due();
        let plan = model.look();
        known(&mut model, &plan, begun, at, evidence);
        let plan = model.look();
        assert_eq!(model.pods(&old) == 0, goes, "{case}");
        assert_eq!(!plan.questions.is_empty(), asks, "{case}");
        assert!(goes || plan.next_check.is_some(), "{case}: it looks again");
    }
}

#[test]
fn people_are_told_once_that_pods_stay_and_once_that_they_go_nevertheless() {
    let (mut model, _) = due();
    let plan = model.look();
    let told = |model: &Model, reason: Reason| {
        model.notes.iter().filter(|note| note.reason == reason).count()
    };
    for begun in [10, 15, 20] {
        known(&mut model, &plan, begun, 1, Some(flowing()));
        model.look();
    }
    assert_eq!(told(&model, Reason::DrainHeld), 1);
    let note = model.notes.iter().find(|note| note.reason == Reason::DrainHeld).unwrap();
    assert!(note.text.contains("412 requests in 15 s"), "{}", note.text);
    assert!(note.text.contains("istio-system/gateway"), "{}", note.text);
    assert_eq!(model.phase(), Some(Phase::Healthy));
    known(&mut model, &plan, 600, 1, Some(flowing()));
    model.look();
    assert_eq!(told(&model, Reason::DrainOverdue), 1);
}

#[test]
fn a_route_that_is_written_meanwhile_asks_for_new_evidence() {
    let (mut model, old) = due();
    let plan = model.look();
    known(&mut model, &plan, 5, 1, Some(Evidence::Quiet));
    let drain = model.world.drains.as_mut().unwrap().get_mut(&old).unwrap();
    drain.since = seconds(drain.since, 30);
    let plan = model.look();
    assert_eq!(model.pods(&old), 4, "it was quiet after an earlier route");
    assert_eq!(plan.questions.len(), 1);
}

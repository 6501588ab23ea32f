//! A controller that crashes at any call, or loses the lease: no message twice, none lost.

use sluice::sim::{simulation::Meets, slack::Fault};

use crate::house::House;

const STEPS: &str = "[{setWeight: 20}, {pause: {duration: 5s}}, {setWeight: 60}]";

/// The channel after a release that nothing disturbs, and the number of calls to Slack.
async fn calm() -> (String, usize) {
    let mut house = House::open("slack:releases", STEPS).await;
    let before = house.slack.calls().len();
    house.released().await;
    (house.shown_without_times(), house.slack.calls().len() - before)
}

#[tokio::test]
async fn a_crash_at_any_call_to_slack_loses_and_repeats_nothing() {
    let (expected, calls) = calm().await;
    assert!(calls > 8, "{calls} calls");
    for carried_out in [false, true] {
        for at in 1..=calls {
            let mut house = House::open("slack:releases", STEPS).await;
            let first = house.slack.calls().len();
            house.slack.set_faults(Some(Box::new(move |_, number| {
                (number == first + at).then_some(Fault::Crash(carried_out))
            })));
            house.released().await;
            let found = house.shown_without_times();
            assert_eq!(found, expected, "crash at call {at}, carried out: {carried_out}");
            house.check().await;
        }
    }
}

#[tokio::test]
async fn a_crash_at_any_write_of_the_status_loses_and_repeats_nothing() {
    let (expected, _) = calm().await;
    for carried_out in [false, true] {
        for at in 1.. {
            let mut house = House::open("slack:releases", STEPS).await;
            let (mut writes, met) = (0, std::sync::Arc::new(std::sync::Mutex::new(false)));
            let meets = met.clone();
            house.sim.set_calls(Some(Box::new(move |request| {
                let kind = request.resource.map_or("", |resource| resource.kind);
                writes += usize::from(kind == "Rollout" && request.verb == "patch");
                let now = kind == "Rollout" && request.verb == "patch" && writes == at;
                *meets.lock().unwrap() |= now;
                now.then_some(Meets::Crash { carried_out })
            })));
            house.released().await;
            let found = house.shown_without_times();
            assert_eq!(found, expected, "crash at write {at}, carried out: {carried_out}");
            house.check().await;
            if !*met.lock().unwrap() {
                assert!(at > 10, "{at} writes");
                break;
            }
        }
    }
}

#[tokio::test]
async fn whoever_lost_the_lease_says_nothing_more() {
    let (expected, _) = calm().await;
    for at in [2, 5, 9, 14] {
        let mut house = House::open("slack:releases", STEPS).await;
        let mut writes = 0;
        house.sim.set_calls(Some(Box::new(move |request| {
            writes += 1;
            (writes == at && request.verb != "watch").then_some(Meets::Deposed)
        })));
        house.released().await;
        assert_eq!(house.shown_without_times(), expected, "deposed at call {at}");
        house.check().await;
    }
}

//! The comparison of latency.

use super::params;
use crate::analysis::judge::{
    Params, Verdict,
    latency::{Interval, Pods, Slow, State, finding, step},
    words::{Subject, report},
};

fn goal() -> Params {
    Params { ratio: 1.2, ..params() }
}

/// Intervals with these shares above two bounds, one of them above nothing of stable.
fn play(canary: [u32; 2], stable: [u32; 2], times: u32) -> State {
    let interval = Interval {
        seconds: 15.0,
        canary: Slow { requests: 100, above: canary.to_vec() },
        stable: Slow { requests: 900, above: stable.to_vec() },
        minute: Vec::new(),
        pods: Pods::default(),
    };
    (0..times).fold(State::new(2), |state, _| step(&state, &interval, &goal()).0)
}

#[test]
fn a_slower_canary_is_found_at_any_of_the_bounds() {
    for (canary, bound) in [([20, 1], 0), ([10, 8], 1)] {
        let state = play(canary, [90, 9], 40);
        assert!(state.alarmed, "{canary:?}");
        assert_eq!(state.loudest(), bound);
    }
}

#[test]
fn an_equal_or_faster_canary_is_not() {
    for canary in [[10, 1], [11, 1], [2, 0]] {
        let state = play(canary, [90, 9], 200);
        assert!(!state.alarmed, "{canary:?}");
    }
}

#[test]
fn a_bound_takes_part_while_it_says_something() {
    // Half of stable and more is above the first bound, nothing above the second.
    let state = play([95, 5], [500, 0], 40);
    assert!(state.ln_evidence().abs() < 1e-12, "{}", state.ln_evidence());
    // What nobody could see is no pass.
    let found = finding(&state, &goal());
    assert_eq!(found.verdict, Verdict::NotEnoughData);
    let slower = Subject::Slower { than: "1 s".to_owned() };
    let line = report(&found, &goal(), &slower).line();
    assert!(
        line.ends_with(
            "none of the bounds has between 0.1 % and 50 % of stable's requests above it"
        ),
        "{line}"
    );
    assert_eq!(finding(&play([10, 1], [90, 9], 10), &goal()).verdict, Verdict::NotWorse);
}

#[test]
fn no_bounds_and_missing_counts_are_no_evidence() {
    let interval = Interval {
        canary: Slow { requests: 100, above: Vec::new() },
        stable: Slow { requests: 900, above: Vec::new() },
        ..Interval::default()
    };
    let (state, finding) = step(&State::new(0), &interval, &goal());
    assert!(state.ln_evidence().abs() < 1e-12);
    assert_eq!(finding.verdict, Verdict::NotEnoughData);
    assert!(step(&State::new(3), &interval, &goal()).0.ln_evidence().abs() < 1e-12);
}

/// What the evidence is after a pause of the canary, served by so many pods, when the ten of stable
/// pause as well, each for itself.
fn after_a_pause(pods: u32) -> f64 {
    let slow = |requests, above| Slow { requests, above: vec![above] };
    let mut minute = vec![slow(200, 2); 10];
    minute[3] = slow(200, 60);
    let before = Interval { seconds: 60.0, stable: slow(2000, 78), minute, ..Interval::default() };
    let state = (0..10).fold(State::new(1), |state, _| step(&state, &before, &goal()).0);
    let pause = Interval {
        seconds: 15.0,
        canary: slow(400, 60),
        stable: slow(400, 12),
        minute: Vec::new(),
        pods: Pods { canary: pods, stable: 10 },
    };
    step(&state, &pause, &goal()).0.ln_evidence()
}

#[test]
fn a_pause_of_a_pod_with_much_traffic_is_no_more_than_a_pause() {
    let (one, ten) = (after_a_pause(1), after_a_pause(10));
    assert!(ten > 2.0 * one, "{ten} of ten pods, {one} of one that serves as much");
}

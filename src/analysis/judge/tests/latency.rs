//! The comparison of latency.

use super::params;
use crate::analysis::judge::{
    Params, Verdict,
    latency::{Interval, Slow, State, finding, step},
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

//! The objective beside a witness.

use proptest::prelude::*;

use crate::analysis::judge::{
    Counts, Params,
    budget::{State, step},
    counts::Interval,
    parameters::Parameters,
};

const LIMIT: f64 = 0.05;

fn params() -> Params {
    Parameters::default().check(1).expect("defaults")
}

fn interval(canary: (u32, u32), stable: (u32, u32)) -> Interval {
    let counts = |(requests, errors): (u32, u32)| Counts { requests, errors: errors.min(requests) };
    Interval { seconds: 15.0, canary: counts(canary), stable: counts(stable), minute: Vec::new() }
}

fn played(intervals: impl IntoIterator<Item = Interval>) -> State {
    let params = params();
    let all = intervals.into_iter();
    all.fold(State::default(), |state, interval| step(&state, &interval, LIMIT, &params))
}

#[test]
fn what_the_canary_shows_waits_until_stable_has_had_its_say() {
    let bad = || interval((50, 50), (500, 0));
    assert!(!played([bad()]).alarmed, "one interval is no evidence yet");
    assert!(played([bad(), bad()]).alarmed);
    let shared = played([bad(), interval((50, 50), (500, 250))]);
    assert!(!shared.alarmed);
    assert!(shared.evidence.requests < 1e-9);
}

proptest! {
    /// While stable suffers, the canary may do as badly as it likes.
    #[test]
    fn nothing_is_held_against_a_canary_while_stable_suffers(
        canary in proptest::collection::vec((0_u32..200, 0_u32..200), 1..60),
    ) {
        let all = canary.into_iter().map(|counts| interval(counts, (100, 20)));
        prop_assert!(!played(all).alarmed);
    }
}

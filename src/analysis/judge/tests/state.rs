//! What is stored between intervals.

use serde_json::Value;

use super::{counts, interval, params};
use crate::analysis::judge::{
    Params, Verdict,
    counts::{Interval, State, step},
    dispersion::told_since,
    latency,
    parameters::Sampling,
    slo,
};

/// A release whose canary gets worse in its second half, with minutes of four pods.
fn release() -> Vec<Interval> {
    (0..120_u32)
        .map(|i| {
            let errors = u32::from(i % 4 == 0) + if i > 60 { i % 3 } else { 0 };
            let mut one = interval(counts(40 + i % 7, errors), counts(460 + i % 11, 4 + i % 3));
            if i % 4 == 3 {
                let pods = [0, 3, 1, 9].map(|extra| counts(470 + i, 2 + (i + extra) % 5 + extra));
                one.minute = pods.to_vec();
            }
            one
        })
        .collect()
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(state: &T) -> T {
    serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap()
}

#[test]
fn a_restart_at_any_interval_changes_nothing() {
    let mut alarmed = false;
    let (mut one, mut two) = (State::default(), State::default());
    for interval in release() {
        two = through_json(&two);
        let found;
        (one, found) = step(&one, &interval, &params());
        let (next, again) = step(&two, &interval, &params());
        assert_eq!(found, again);
        two = next;
        alarmed |= found.verdict == Verdict::Worse;
    }
    assert_eq!(one, two);
    assert!(alarmed);
}

#[test]
fn a_restart_changes_nothing_for_latency_and_objectives() {
    let params = params();
    let (mut one, mut two) = (latency::State::new(2), latency::State::new(2));
    let (mut three, mut four) = (slo::State::default(), slo::State::default());
    for interval in release() {
        let slow = |of: &super::Counts| latency::Slow {
            requests: of.requests,
            above: vec![of.errors * 9, of.errors],
        };
        let interval_of_latency = latency::Interval {
            seconds: 15.0,
            canary: slow(&interval.canary),
            stable: slow(&interval.stable),
            minute: interval.minute.iter().map(slow).collect(),
            pods: latency::Pods::default(),
        };
        one = latency::step(&one, &interval_of_latency, &params).0;
        two = latency::step(&through_json(&two), &interval_of_latency, &params).0;
        three = slo::step(&three, interval.canary, 1.7, 0.001, 0.01).0;
        four = slo::step(&through_json(&four), interval.canary, 1.7, 0.001, 0.01).0;
    }
    assert_eq!(one, two);
    assert_eq!(three, four);
    assert!(three.alarmed && one.ln_evidence().abs() > 0.01);
}

fn count_numbers(value: &Value) -> usize {
    match value {
        Value::Number(_) => 1,
        Value::Array(all) => all.iter().map(count_numbers).sum(),
        Value::Object(all) => all.values().map(count_numbers).sum(),
        _ => 0,
    }
}

#[test]
fn the_state_of_a_comparison_has_fewer_than_forty_numbers() {
    let state = release().iter().fold(State::default(), |state, i| step(&state, i, &params()).0);
    assert!(state.alarmed);
    let numbers = count_numbers(&serde_json::to_value(&state).unwrap());
    assert!(numbers < 40, "{numbers}");
}

#[test]
fn a_state_that_somebody_broke_is_refused() {
    let mut broken = serde_json::to_value(State::default()).unwrap();
    broken["tempered"][3] = 7.into();
    let error = serde_json::from_value::<State>(broken).unwrap_err().to_string();
    assert!(error.contains("8 weights") || error.contains("9 weights"), "{error}");
    let mut short = serde_json::to_value(State::default()).unwrap();
    short["sign"] = serde_json::json!([0.0]);
    assert!(serde_json::from_value::<State>(short).is_err());
}

#[test]
fn an_alarm_stays() {
    let failing = interval(counts(50, 50), counts(450, 4));
    let mut state = State::default();
    for scrape in 1..=4 {
        state = step(&state, &failing, &params()).0;
        assert_eq!(state.alarmed, scrape >= 3);
    }
    for _ in 0..400 {
        state = step(&state, &interval(counts(50, 0), counts(450, 40)), &params()).0;
    }
    assert!(state.ln_evidence() < params().ln_needed());
    let finding = step(&state, &failing, &params()).1;
    assert_eq!(finding.verdict, Verdict::Worse);
}

/// What is learned of bursts counts from the next interval on.
#[test]
fn a_bet_is_placed_before_the_dice_are_seen() {
    let mut one = interval(counts(50, 5), counts(450, 12));
    let two = one.clone();
    one.minute = vec![counts(150, 12), counts(150, 0), counts(150, 0)];
    let (one, two) =
        (step(&State::default(), &one, &params()).0, step(&State::default(), &two, &params()).0);
    assert!((one.ln_evidence() - two.ln_evidence()).abs() < 1e-12);
    assert!(one.dispersion.phi() > two.dispersion.phi());
}

#[test]
fn bursts_are_seen_and_independent_errors_are_not() {
    let even = [counts(100, 3), counts(100, 2), counts(100, 3), counts(100, 2)];
    let burst = [counts(100, 10), counts(100, 0), counts(100, 0), counts(100, 0)];
    let fold = |pods: &[super::Counts]| {
        (0..30).fold(State::default().dispersion, |known, _| known.and(pods)).phi()
    };
    assert!(fold(&even) < 1.1, "{}", fold(&even));
    assert!(fold(&burst) > 5.0, "{}", fold(&burst));
    // One pod says nothing about bursts: the guess stays.
    assert!((fold(&[counts(400, 10)]) - 2.0).abs() < 1e-12);
}

#[test]
fn pods_are_told_apart_every_minute_and_sooner_at_first() {
    let ends = |every: f64, count: u32| -> Vec<(f64, f64)> {
        let intervals = (0..count).map(|i| (f64::from(i) * every, f64::from(i + 1) * every));
        intervals.filter_map(|(from, to)| Some((told_since(from, to)?, to))).collect()
    };
    assert_eq!(ends(15.0, 9), [(0.0, 15.0), (15.0, 30.0), (30.0, 60.0), (60.0, 120.0)]);
    assert_eq!(ends(60.0, 2), [(0.0, 60.0), (60.0, 120.0)]);
    assert_eq!(ends(5.0, 24).len(), 4);
}

/// The end of an incident shows in stable a scrape before it does in the canary.
#[test]
fn the_end_of_an_incident_is_no_evidence() {
    let play = |sampling| {
        let params = Params { sampling, ..params() };
        let incident = interval(counts(125, 25), counts(1125, 225));
        let end = interval(counts(125, 25), counts(1125, 2));
        let both = (0..20).fold(State::default(), |state, _| step(&state, &incident, &params).0);
        let after = step(&both, &end, &params).0;
        after.tempered.ln_wealth - both.tempered.ln_wealth
    };
    assert!(play(Sampling::Scraped) <= 0.0);
    assert!(play(Sampling::Together) > 2.0);
}

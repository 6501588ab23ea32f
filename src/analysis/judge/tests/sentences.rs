//! What people read: parameters in, findings out.

use super::{counts, params};
use crate::analysis::judge::{
    Finding, Totals, Verdict,
    mann_whitney::{
        Class::{High, NoData, Pass},
        Grade, Rules, classify, grade, score,
    },
    outlook::Traffic,
    parameters::{Parameters, Share},
    slo::{self, Action, Objective},
    words::{Subject, blind_spot, report},
};

fn finding(canary: (u64, u64), stable: (u64, u64), evidence: f64) -> Finding {
    let totals = |(errors, requests)| Totals { requests, errors };
    let mut found = Finding {
        verdict: Verdict::NotWorse,
        ln_evidence: evidence.ln(),
        dispersion: 1.0,
        canary: totals(canary),
        stable: totals(stable),
        seconds: 600.0,
    };
    if evidence >= 100.0 {
        found.verdict = Verdict::Worse;
    } else if canary.1 < 100 {
        found.verdict = Verdict::NotEnoughData;
    }
    found
}

fn line(canary: (u64, u64), stable: (u64, u64), evidence: f64) -> String {
    report(&finding(canary, stable, evidence), &params(), &Subject::Errors).line()
}

#[test]
fn a_comparison_in_words() {
    assert_eq!(
        line((14, 1204), (31, 10_870), 900.0),
        "canary 14 of 1,204 failed, stable 31 of 10,870: 4.1 times worse, 1 in 900 by chance"
    );
    assert_eq!(
        line((500, 500), (5, 4500), 1e30),
        "canary 500 of 500 failed, stable 5 of 4,500: 900 times worse, less than 1 in a billion by chance"
    );
    assert_eq!(
        line((0, 20), (5, 180), 0.9),
        "canary 0 of 20 failed, stable 5 of 180: none of the canary; not enough data: 80 more requests of canary needed, at this traffic 40 min; a doubling cannot be found in 30 min at this traffic; 7 times as many can, in 27 min"
    );
    let slower = Subject::Slower { than: "0.5 s".to_owned() };
    let found = report(&finding((90, 1000), (300, 9000), 250.0), &params(), &slower).found;
    assert_eq!(
        found,
        "canary 90 of 1,000 took longer than 0.5 s, stable 300 of 9,000: 2.7 times worse, 1 in 250 by chance"
    );
}

#[test]
fn what_is_needed_and_what_cannot_be_seen() {
    assert_eq!(
        line((5, 500), (45, 4500), 0.5),
        "canary 5 of 500 failed, stable 45 of 4,500: the same rate; a doubling cannot be found in 30 min at this traffic; 3 times as many can, in 17 min"
    );
    let enough = line((50, 5000), (450, 45_000), 0.5);
    assert_eq!(enough, "canary 50 of 5,000 failed, stable 450 of 45,000: the same rate");
    let early = Finding { seconds: 60.0, ..finding((5, 500), (45, 4500), 0.5) };
    let needs = report(&early, &params(), &Subject::Errors).needs;
    assert_eq!(needs, "to see a doubling: about 31,000 more requests at this traffic: 6 min");
}

#[test]
fn a_release_that_nothing_can_judge_says_so_before_it_starts() {
    let traffic = |per_minute: f64, rate: f64| Traffic {
        canary: per_minute / 600.0,
        stable: per_minute * 9.0 / 600.0,
        rate,
        dispersion: 1.0,
    };
    for (traffic, expected) in [
        (traffic(5000.0, 0.01), ""),
        (
            traffic(500.0, 0.001),
            "a doubling cannot be found in 30 min at this traffic; 7 times as many can, in 30 min",
        ),
        (traffic(1.0, 0.001), "nothing can be found in 30 min at this traffic"),
    ] {
        assert_eq!(blind_spot(&traffic, &params()), expected);
    }
}

#[test]
fn parameters_are_words() {
    let written = r#"{"tolerate": {"ratio": 1.5, "absolute": 0.001}, "falseAlarms": "2%",
        "minRequests": 50, "release": "20m", "sampling": "together"}"#;
    let parameters: Parameters = serde_json::from_str(written).unwrap();
    let params = parameters.check(2).unwrap();
    assert!((params.alpha - 0.01).abs() < 1e-15, "two metrics share 2 %");
    assert!((params.ratio - 1.5).abs() < 1e-15 && (params.release_seconds - 1200.0).abs() < 1e-9);
    let again = serde_json::to_string(&parameters).unwrap();
    assert_eq!(serde_json::from_str::<Parameters>(&again).unwrap(), parameters);
    let defaults: Parameters = serde_json::from_str("{}").unwrap();
    assert_eq!(defaults.check(1).unwrap(), super::params());
    for (text, share) in [("1%", 0.01), ("0.01", 0.01), ("99.95 %", 0.9995)] {
        assert!((text.parse::<Share>().unwrap().0 - share).abs() < 1e-12, "{text}");
    }
    assert_eq!(Share(0.014).to_string(), "1.4%");
}

#[test]
fn wrong_parameters_are_refused_by_name() {
    for (written, sentence) in [
        (
            r#"{"tolerate": {"ratio": 0.9}}"#,
            "tolerate.ratio: found 0.9; allowed is a number from 1",
        ),
        (r#"{"tolerate": {"absolute": 2}}"#, "tolerate.absolute: found 2; allowed is a share"),
        (r#"{"falseAlarms": "50%"}"#, "falseAlarms: found 50%; allowed is a share of releases"),
        (r#"{"falseAlarms": 0}"#, "falseAlarms: found 0%; allowed is"),
        (r#"{"minRequests": 0}"#, "minRequests: found 0; allowed is"),
        (r#"{"release": "5s"}"#, "release: found 5s; allowed is a duration from 1m"),
    ] {
        let parameters: Parameters = serde_json::from_str(written).unwrap();
        let wrong = parameters.check(1).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with(sentence), "{wrong:?}");
    }
    for written in [r#"{"falseAlarms": "few"}"#, r#"{"minRequest": 3}"#, r#"{"minRequests": -3}"#] {
        assert!(serde_json::from_str::<Parameters>(written).is_err(), "{written}");
    }
}

#[test]
fn an_objective_is_checked() {
    let objective = |text: &str| serde_json::from_str::<Objective>(text).unwrap().limit();
    assert!((objective(r#"{"objective": "99.9%"}"#).unwrap() - 0.0144).abs() < 1e-12);
    for (text, sentence) in [
        (r#"{"objective": "100%"}"#, "objective: found 100%; allowed is a share from 50%"),
        (r#"{"objective": 0.99, "burn": 0}"#, "burn: found 0; allowed is a number from 1"),
        (r#"{"objective": "90%"}"#, "burn: found 14.4; with an objective of 90% allowed is less"),
    ] {
        let wrong = objective(text).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with(sentence), "{wrong:?}");
    }
}

#[test]
fn both_windows_burn_or_none_does() {
    let totals = |requests, errors| Totals { requests, errors };
    for (long, short, burns) in [
        (totals(1000, 20), totals(200, 4), true),
        (totals(1000, 20), totals(200, 0), false),   // over
        (totals(20_000, 20), totals(200, 9), false), // a blip
        (totals(100, 9), totals(20, 9), false),      // too few to tell
        (totals(0, 0), totals(0, 0), false),
    ] {
        assert_eq!(slo::burns(long, short, 0.0144), burns, "{long:?} {short:?}");
    }
    let minutes = vec![(60.0, counts(100, 1)); 10];
    assert_eq!(slo::window(&minutes, 300.0), totals(500, 5));
    assert_eq!(slo::window(&minutes, 3600.0), totals(1000, 10));
    assert!((slo::budget_left(totals(10_000, 5), Share(0.999)) - 0.5).abs() < 1e-9);
}

#[test]
fn an_incident_of_both_is_not_blamed_on_the_canary() {
    use Verdict::{NotEnoughData, NotWorse, Worse};
    for (comparison, canary, stable, expected) in [
        (NotWorse, false, false, Action::GoOn),
        (NotWorse, true, true, Action::HoldSharedIncident),
        (NotWorse, true, false, Action::RollBack),
        (Worse, true, true, Action::RollBack),
        (NotEnoughData, false, false, Action::Wait),
        // Stable is broken, the canary is its fix.
        (NotWorse, false, true, Action::GoOn),
    ] {
        assert_eq!(slo::action(comparison, canary, stable), expected);
    }
}

#[test]
fn mann_whitney_grades_like_kayenta() {
    let rules = Rules::default();
    let minutes = |value: f64| vec![value; 20];
    for (canary, stable, expected) in [
        (minutes(2.0), minutes(1.0), High),
        (minutes(1.0), minutes(2.0), Pass), // lower is fine by default
        (minutes(1.0), minutes(1.0), Pass),
        (minutes(f64::NAN), minutes(1.0), NoData),
        (Vec::new(), minutes(1.0), NoData),
    ] {
        assert_eq!(classify(&canary, &stable, &rules), expected, "{canary:?} {stable:?}");
    }
    assert_eq!(score(&[Pass, Pass, Pass, High]), Some(75.0));
    assert_eq!(score(&[Pass, NoData, Pass]), Some(100.0));
    assert_eq!(score(&[Pass, NoData]), None);
    assert_eq!(score(&[]), None);
    for (score, expected) in [
        (Some(100.0), Grade::Pass),
        (Some(80.0), Grade::Marginal),
        (Some(50.0), Grade::Fail),
        (None, Grade::Fail),
    ] {
        assert_eq!(grade(score, 95.0, 75.0), expected);
    }
}

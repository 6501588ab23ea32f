//! What the status holds, and for how long.

use super::*;

#[test]
fn measurements_are_trimmed_and_counters_keep_the_total() {
    let yaml = one(", interval: 1m, count: 40")
        + "\nmeasurementRetention: [{metricName: success-.*, limit: 3}]";
    let play = Play::new(&yaml).feed(&vec![good(); 30]);
    assert_eq!((play.metric(0).measurements.len(), play.metric(0).count), (3, 30));
    let play = Play::new(&one(", interval: 1m")).feed(&vec![good(); 30]);
    assert_eq!(play.metric(0).measurements.len(), 10);
}

#[test]
fn no_status_outgrows_its_cap_whatever_is_read() {
    let metrics: Vec<_> = (0..50).map(|n| format!("{{name: m{n}, interval: 1s}}")).collect();
    let yaml = format!(
        "metrics: [{}]\nmeasurementRetention: [{{metricName: '.*', limit: 100}}]",
        metrics.join(", ")
    );
    let mut play = Play::new(&yaml);
    for round in 0..20 {
        play.now = round;
        let note = "\"\u{1}\\".repeat(5_000);
        let huge = || Reading::Vector { values: vec![1.0 / 3.0; 1_000], note: note.clone() };
        let taken: Vec<_> = (0..50).map(|metric| took(metric, huge())).collect();
        play.step(&taken);
    }
    let bytes: usize = play
        .status
        .metric_results
        .iter()
        .flat_map(|result| &result.measurements)
        .map(|each| serde_json::to_vec(each).expect("JSON").len())
        .sum();
    assert!(bytes <= MEASUREMENT_BYTES, "{bytes}");
    assert!(play.status.metric_results.iter().all(|result| !result.measurements.is_empty()));
    assert_eq!(play.metric(0).count, 20);
}

#[test]
fn a_wrong_run_ends_at_once_and_says_why() {
    for (yaml, words) in [
        (one("") + "\ndryRun: [{metricName: '('}]", "spec.dryRun[0].metricName"),
        (
            one("") + "\nmeasurementRetention: [{metricName: '[', limit: 3}]",
            "not a regular expression",
        ),
        (one(", count: 3"), "found 3 without an interval"),
        ("metrics: [{name: a}, {name: a}]".to_owned(), "a second time"),
    ] {
        let mut play = Play::new(&yaml);
        assert!(play.step(&[]).is_empty());
        assert_eq!(play.status.phase, Verdict::Error, "{yaml}");
        assert!(play.status.message.contains(words), "{}", play.status.message);
        assert!(play.next.is_none() && play.status.completed_at.is_some());
    }
}

#[test]
fn the_time_to_live_counts_from_the_end() {
    let yaml = one(", interval: 1m, count: 2") + "\nttl: 1h";
    let mut play = Play::new(&yaml).feed(&[good()]);
    assert_eq!(expires_at(&play.spec, &play.status), None, "it still runs");
    play.now = 60;
    play.read(0, good());
    assert_eq!(expires_at(&play.spec, &play.status), Some(at(3660)));
}

#[test]
fn a_pass_in_which_nothing_happened_changes_nothing() {
    let play = Play::new(&one(", interval: 1m, failureLimit: 1")).feed(&[bad()]);
    let again = advance(&play.spec, &play.status, at(play.now + 5), &[]);
    assert_eq!(again.status, play.status);
    assert!(again.due.is_empty());
    assert_eq!(again.next_check, Some(at(play.now + 60)));
}

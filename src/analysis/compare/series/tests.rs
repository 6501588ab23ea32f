use super::*;
use crate::analysis::verdict::Counts;

fn metric(kayenta: &str) -> Metric {
    let text = format!(
        "{{name: latency, interval: 1m, provider: {{prometheus: {{query: q, compare: {kayenta}}}}}}}"
    );
    serde_yaml::from_str(&text).expect(kayenta)
}

/// Values around a middle, the same ones each time.
fn around(middle: f64, values: u32) -> Vec<f64> {
    (0..values).map(|n| middle * (1.0 + f64::from(n * 7 % 11) / 100.0)).collect()
}

fn pair(name: &str, canary: Vec<f64>, stable: Vec<f64>) -> Pair {
    Pair { name: name.to_owned(), canary, stable }
}

fn said(kayenta: &str, pairs: &[Pair]) -> (Verdict, Counts, String) {
    let judged = judge(&metric(kayenta), pairs);
    (judged.verdict, judged.counts, judged.message)
}

#[test]
fn a_higher_canary_fails_and_an_equal_one_passes_whatever_the_unit() {
    for unit in [1e-6, 1.0, 1e9] {
        let stable = || around(unit, 60);
        let high = [pair("", around(1.3 * unit, 60), stable())];
        let (verdict, _, words) = said("{mannWhitney: {}}", &high);
        assert_eq!(verdict, Verdict::Failed, "{words}");
        assert!(words.starts_with("the canary is higher by "), "{words}");
        let (verdict, _, words) = said("{mannWhitney: {}}", &[pair("", stable(), stable())]);
        assert_eq!(verdict, Verdict::Successful, "{words}");
        let (verdict, ..) = said("{mannWhitney: {direction: decrease}}", &high);
        assert_eq!(verdict, Verdict::Successful);
        let (verdict, ..) = said("{mannWhitney: {}, tolerate: {ratio: 1.5}}", &high);
        assert_eq!(verdict, Verdict::Successful, "a mean of 1.3 times is tolerated");
    }
}

#[test]
fn before_there_are_enough_values_it_says_how_long_that_takes() {
    let few = [pair("", around(2.0, 20), around(1.0, 60))];
    let (_, counts, words) = said("{mannWhitney: {}}", &few);
    assert_eq!(counts, Counts::NoData);
    assert!(words.contains("20 of 50 values of each revision, 30 min to go"), "{words}");
    assert_eq!(said("{mannWhitney: {values: 20}}", &few).0, Verdict::Failed);
    assert!(said("{mannWhitney: {}}", &[]).2.contains("no values of both revisions yet"));
}

#[test]
fn several_series_have_a_score_and_a_marginal_one_is_for_a_person() {
    let good = |name: &str| pair(name, around(1.0, 60), around(1.0, 60));
    let bad = pair("path=/pay", around(2.0, 60), around(1.0, 60));
    let all = [good("path=/a"), good("path=/b"), good("path=/c"), good("path=/d"), bad];
    let (verdict, _, words) = said("{mannWhitney: {}}", &all);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(words.starts_with("1 of 5 series differ, score 80 of 100: the canary of path=/pay"));
    assert_eq!(said("{mannWhitney: {pass: 80}}", &all).0, Verdict::Successful);
    assert_eq!(said("{mannWhitney: {marginal: 90}}", &all).0, Verdict::Failed);
}

#[test]
fn series_are_paired_by_their_other_labels() {
    let series = |labels: &[(&str, &str)], values: &[f64]| Series {
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        samples: values.iter().map(|value| (0.0, *value)).collect(),
    };
    let arms = Arms { label: "v".to_owned(), canary: "c".to_owned(), stable: "s".to_owned() };
    let found = pairs(
        &[
            series(&[("v", "c"), ("path", "/a")], &[1.0, f64::NAN, 2.0]),
            series(&[("v", "s"), ("path", "/a")], &[3.0]),
            series(&[("v", "old"), ("path", "/a")], &[9.0]),
            series(&[("v", "s"), ("path", "/b")], &[4.0]),
        ],
        &arms,
    );
    let expected =
        [pair("path=/a", vec![1.0, 2.0], vec![3.0]), pair("path=/b", Vec::new(), vec![4.0])];
    assert_eq!(found, expected);
}

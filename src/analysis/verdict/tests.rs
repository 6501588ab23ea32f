use super::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// A metric from YAML without its name and provider.
fn metric(yaml: &str) -> Metric {
    let yaml = format!("name: m\nprovider: {{prometheus: {{query: up}}}}\n{yaml}");
    serde_yaml::from_str(&yaml).expect(&yaml)
}

fn verdict(yaml: &str, reading: &Reading) -> (Verdict, Counts, String, String) {
    let judged = judge(&metric(yaml), &BTreeMap::new(), reading);
    (judged.verdict, judged.counts, judged.value, judged.message)
}

/// The verdict in one word; `NoData` for missing data that is waited for.
fn word(yaml: &str, reading: &Reading) -> String {
    match verdict(yaml, reading) {
        (_, Counts::NoData, _, _) => "NoData".to_owned(),
        (verdict, ..) => verdict.to_string(),
    }
}

#[test]
fn conditions_follow_the_rules_of_argo_rollouts() {
    let success = "successCondition: result[0] >= 0.95";
    let failure = "failureCondition: result[0] < 0.90";
    let both = "successCondition: result[0] >= 0.95\nfailureCondition: result[0] < 0.90";
    let overlap = "successCondition: 'true'\nfailureCondition: result[0] < 0.90";
    for (yaml, value, expected) in [
        (success, 0.97, "Successful"),
        (success, 0.91, "Failed"),
        (failure, 0.91, "Successful"),
        (failure, 0.89, "Failed"),
        (both, 0.97, "Successful"),
        (both, 0.91, "Inconclusive"),
        (both, 0.89, "Failed"),
        (overlap, 0.89, "Failed"),
        (overlap, 0.91, "Successful"),
        ("", 0.1, "Successful"),
        ("successCondition: result[3] >= 0.95", 0.97, "Error"),
        ("successCondition: result >= 0.95", 0.97, "Error"),
        (success, INF, "Successful"),
        (success, -INF, "Failed"),
    ] {
        assert_eq!(word(yaml, &Reading::vector([value])), expected, "{yaml} on {value}");
    }
}

#[test]
fn nan_passes_only_where_a_condition_says_so() {
    for (yaml, expected) in [
        ("successCondition: result >= 0.95", "Failed"),
        ("successCondition: isNaN(result) || result >= 0.95", "Successful"),
        ("successCondition: result >= 0.95 || isNaN(result)", "Successful"),
        ("successCondition: default(result, 1) >= 0.95", "Successful"),
        ("successCondition: '!(result < 0.95)'", "NoData"),
        ("successCondition: result != 0", "NoData"),
        ("failureCondition: result < 0.95", "NoData"),
        ("failureCondition: '!(result >= 0.95)'", "Failed"),
        ("failureCondition: isNaN(result) || result < 0.95", "Failed"),
        ("failureCondition: '!isNaN(result) && result < 0.95'", "Successful"),
        ("successCondition: result > 0.9\nfailureCondition: result < 0.5", "Inconclusive"),
        ("successCondition: 'true'\nfailureCondition: result < 0.5", "NoData"),
        ("threshold: {min: 0.95}", "NoData"),
        ("threshold: {max: 0.95}", "NoData"),
        ("", "NoData"),
    ] {
        assert_eq!(word(yaml, &Reading::scalar(NAN)), expected, "{yaml}");
    }
    let several = Reading::vector([0.1, NAN]);
    assert_eq!(word("successCondition: 'result.all(x, !(x > 0.5))'", &several), "NoData");
    assert_eq!(word("successCondition: result[0] < 0.5", &several), "Successful");
    assert_eq!(word("threshold: {max: 0.5}", &several), "NoData");
    assert_eq!(word("threshold: {max: 0.05}", &several), "Failed", "one bad value is enough");
}

#[test]
fn bounds_include_their_ends_and_hold_for_every_value() {
    for (yaml, values, expected) in [
        ("threshold: {min: 0.95}", &[0.95][..], "Successful"),
        ("threshold: {min: 0.95}", &[0.97, 0.94], "Failed"),
        ("threshold: {max: 500}", &[500.0, 1.0], "Successful"),
        ("threshold: {min: 1, max: 2}", &[1.0, 2.0], "Successful"),
        ("threshold: {min: 1, max: 2}", &[2.1], "Failed"),
        ("threshold: {max: 500}", &[INF], "Failed"),
        ("threshold: {max: 500}", &[-INF], "Successful"),
        ("threshold: {min: 0.95}", &[], "NoData"),
    ] {
        let reading = Reading::vector(values);
        assert_eq!(word(yaml, &reading), expected, "{yaml} on {values:?}");
    }
    assert_eq!(word("threshold: {min: 0.95}", &Reading::scalar(0.96)), "Successful");
}

#[test]
fn missing_data_means_what_the_metric_says() {
    for reading in [Reading::vector([]), Reading::NoData("the counter is missing".to_owned())] {
        for (policy, expected, counts) in [
            ("wait", Verdict::Inconclusive, Counts::NoData),
            ("pass", Verdict::Successful, Counts::Verdict),
            ("fail", Verdict::Failed, Counts::Verdict),
            ("pause", Verdict::Inconclusive, Counts::Verdict),
        ] {
            // Even a condition that would pass is not asked.
            let yaml = format!("onNoData: {policy}\nsuccessCondition: 'true'");
            let (verdict, counted, value, message) = verdict(&yaml, &reading);
            assert_eq!((verdict, counted), (expected, counts), "{policy}");
            assert_eq!(value, "");
            assert!(message.starts_with("no data: "), "{message}");
        }
    }
    let (_, _, value, message) = verdict("threshold: {min: 1}", &Reading::scalar(NAN));
    assert_eq!(
        (value.as_str(), message.as_str()),
        ("NaN", "no data: the value is NaN, as 0/0 is; it does not count")
    );
}

#[test]
fn jobs_that_cannot_start_say_nothing_about_the_revision() {
    let (name, message) = ("run-0-1".to_owned(), "why".to_owned());
    for (reading, expected, text) in [
        (Reading::JobRunning { name: name.clone() }, Verdict::Running, ""),
        (
            Reading::JobSucceeded { name: name.clone(), message: String::new() },
            Verdict::Successful,
            "",
        ),
        (
            Reading::JobFailed { name: name.clone(), message: message.clone() },
            Verdict::Failed,
            "Job run-0-1 failed: why",
        ),
        (
            Reading::JobUnstartable { name, message },
            Verdict::Inconclusive,
            "Job run-0-1 cannot start: why",
        ),
        (Reading::Error("refused".to_owned()), Verdict::Error, "refused"),
    ] {
        let (verdict, counts, _, message) = verdict("", &reading);
        assert_eq!((verdict, counts, message.as_str()), (expected, Counts::Verdict, text));
    }
}

#[test]
fn messages_say_the_value_and_the_rule() {
    for (yaml, reading, expected) in [
        ("threshold: {min: 0.95}", Reading::scalar(0.91), "0.91 is not within min 0.95"),
        (
            "threshold: {min: 0, max: 1}",
            Reading::vector([0.5, 7.0]),
            "7 (of [0.5, 7]) is not within 0 to 1",
        ),
        ("threshold: {max: 1}", Reading::scalar(7.0), "7 is not within max 1"),
        (
            "successCondition: result >= 0.95",
            Reading::scalar(0.91),
            "0.91 does not meet result >= 0.95",
        ),
        (
            "failureCondition: result < 0.95",
            Reading::scalar(0.91),
            "0.91 meets the failureCondition result < 0.95",
        ),
        (
            "successCondition: result > {{args.x}}",
            Reading::scalar(0.91),
            "successCondition: found {{args.x}}, allowed are the arguments (none)",
        ),
    ] {
        assert_eq!(verdict(yaml, &reading).3, expected);
    }
    let reading = Reading::Scalar { value: 0.91, note: "PromQL info: not a counter".to_owned() };
    assert_eq!(verdict("", &reading).3, "PromQL info: not a counter");
    assert_eq!(
        verdict("threshold: {min: 1}", &reading).3,
        "0.91 is not within min 1 (PromQL info: not a counter)"
    );
    let args = BTreeMap::from([("x".to_owned(), "0.5".to_owned())]);
    let judged =
        judge(&metric("successCondition: result > {{ args.x }}"), &args, &Reading::scalar(0.91));
    assert_eq!(judged.verdict, Verdict::Successful);
}

#[test]
fn texts_stay_short_whatever_the_answer() {
    let many = Reading::Vector { values: vec![0.123_456_789; 100_000], note: "x".repeat(100_000) };
    let (_, _, value, message) = verdict("threshold: {min: 1}", &many);
    assert!(value.len() <= VALUE_BYTES && message.len() <= MESSAGE_BYTES, "{value} {message}");
}

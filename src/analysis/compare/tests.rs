use std::time::Duration as Span;

use super::samples::{Arm, Arms, Holds, counters};
use super::*;
use crate::analysis::judge::{Counts as Counted1, Totals, counts::Interval};
use crate::analysis::provider::prometheus::Series;
use crate::analysis::verdict::Counts as How;

fn metric(yaml: &str) -> Metric {
    let metric =
        format!("{{name: errors, interval: 15s, provider: {{prometheus: {{compare: {yaml}}}}}}}");
    serde_yaml::from_str(&metric).expect(yaml)
}

fn compare_of(metric: &Metric) -> Compare {
    let prometheus = metric.provider.prometheus.as_ref().expect("prometheus");
    prometheus.compare.clone().expect("a comparison")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn counts(requests: u32, errors: u32) -> Counted1 {
    Counted1 { requests, errors }
}

/// One scrape of 15 s that ended at `second`.
fn scrape(second: i64, canary: (u32, u32), stable: (u32, u32)) -> Counted {
    let interval = Interval {
        seconds: 15.0,
        canary: counts(canary.0, canary.1),
        stable: counts(stable.0, stable.1),
        minute: Vec::new(),
    };
    let totals = |(requests, errors): (u32, u32)| Totals::default().and(counts(requests, errors));
    let both = (totals(canary), totals(stable));
    Counted {
        intervals: vec![interval],
        known: Known {
            read_until: Some(second * 1000),
            seconds: 15.0,
            reporter: "source".to_owned(),
        },
        canary_seen: (canary.0 > 0).then_some(second * 1000),
        scrape: 15_000,
        recent: Recent { long: both, short: both },
    }
}

/// What is said after so many equal scrapes, a look after each.
fn after(scrapes: i64, canary: (u32, u32), stable: (u32, u32)) -> (Comparison, Judged) {
    let metric = metric("{}");
    let mut last = None;
    for n in 1..=scrapes {
        let before = last.as_ref().map(|(comparison, _): &(Comparison, Judged)| comparison);
        let counted = scrape(15 * n, canary, stable);
        let (next, judged) =
            look(&metric, &compare_of(&metric), 1, before, &counted, at(15 * n + 1));
        last = Some((next.expect("a comparison"), judged));
    }
    last.expect("a look")
}

#[test]
fn the_verdict_is_that_of_the_judge() {
    let (found, judged) = after(4, (20, 0), (200, 1));
    assert_eq!((found.finding, judged.counts), (ComparisonFinding::NotEnoughData, How::NoData));
    assert!(judged.message.contains("20 more requests of canary"), "{}", judged.message);
    let (found, judged) = after(8, (20, 0), (200, 1));
    assert_eq!(found.finding, ComparisonFinding::NotWorse);
    assert_eq!((judged.verdict, judged.counts), (Verdict::Successful, How::Verdict));
    assert_eq!(judged.value, "canary 0/160, stable 8/1600");
    let (found, judged) = after(3, (12, 12), (120, 0));
    assert_eq!((found.finding, judged.verdict), (ComparisonFinding::Worse, Verdict::Failed));
    assert!(judged.message.starts_with("canary 36 of 36 failed, stable 0 of 360"));
}

#[test]
fn what_both_suffer_from_holds_and_blames_nobody() {
    let (found, judged) = after(20, (100, 20), (900, 180));
    assert_eq!(found.finding, ComparisonFinding::SharedIncident);
    assert_eq!((judged.verdict, judged.counts), (Verdict::Inconclusive, How::NoData));
    assert!(judged.message.starts_with("shared incident: 20 % of the canary's"));
    let (found, _) = after(20, (100, 4), (900, 36));
    assert_eq!(found.finding, ComparisonFinding::NotWorse, "4 % is how this service is");
}

#[test]
fn silence_is_no_pass() {
    let metric = metric("{}");
    let (found, _) = after(20, (100, 1), (900, 9));
    let nothing = |read_until: i64| Counted {
        intervals: Vec::new(),
        known: Known { read_until: Some(read_until * 1000), ..known(Some(&found)) },
        canary_seen: None,
        ..scrape(0, (0, 0), (0, 0))
    };
    let says = |counted: &Counted, now: i64| {
        look(&metric, &compare_of(&metric), 1, Some(&found), counted, at(now)).1
    };
    assert_eq!(says(&nothing(300), 310).verdict, Verdict::Successful, "no new scrape yet");
    let silent = says(&nothing(300), 370);
    assert_eq!(silent.counts, How::NoData);
    assert!(silent.message.contains("no complete scrape since 00:05:00Z"), "{}", silent.message);
    let quiet = says(&nothing(480), 481);
    assert!(quiet.message.contains("no request of the canary since"), "{}", quiet.message);
    let empty = Counted::default();
    let nobody = look(&metric, &compare_of(&metric), 1, None, &empty, at(0)).1;
    assert!(nobody.message.contains("no samples of either revision"), "{}", nobody.message);
}

#[test]
fn a_comparison_survives_its_way_through_json() {
    let (whole, _) = after(12, (30, 2), (300, 6));
    let (half, _) = after(6, (30, 2), (300, 6));
    let mut stored: Comparison =
        serde_json::from_str(&serde_json::to_string(&half).expect("JSON")).expect("read");
    assert!(stored.memory.len() < 40);
    let metric = metric("{}");
    for n in 7..=12 {
        let counted = scrape(15 * n, (30, 2), (300, 6));
        let compare = compare_of(&metric);
        let next = look(&metric, &compare, 1, Some(&stored), &counted, at(15 * n + 1)).0;
        stored = next.expect("a comparison");
    }
    assert_eq!((stored.canary, stored.stable), (whole.canary, whole.stable));
    let evidence = |comparison: &Comparison| {
        let wealth = &comparison.memory["tempered"][0];
        wealth.as_f64().expect("a number")
    };
    assert!((evidence(&stored) - evidence(&whole)).abs() < 1e-9);
}

#[test]
fn several_comparisons_share_the_false_alarms() {
    let compare = compare_of(&metric("{falseAlarms: 2%}"));
    let alpha = |sharing| rules(&compare, sharing).expect("sound").params.alpha;
    assert_eq!((alpha(1), alpha(2)), (0.02, 0.01));
}

#[test]
fn what_is_wrong_is_named() {
    for (yaml, words) in [
        ("{falseAlarms: 50%}", "falseAlarms: found 50%"),
        ("{incident: 0%}", "incident: found 0%"),
        ("{tolerate: {ratio: 0.5}}", "tolerate.ratio: found 0.5"),
        ("{minRequests: 0}", "minRequests: found 0"),
        ("{release: 5s}", "release: found 5s"),
    ] {
        let wrong = rules(&compare_of(&metric(yaml)), 1).expect_err(yaml);
        assert!(wrong[0].starts_with(words), "{yaml}: {wrong:?}");
    }
}

#[test]
fn selectors_ask_for_the_two_revisions_alone() {
    let query = |yaml: &str| {
        let compare = compare_of(&metric(yaml));
        query::queries(&compare, Span::from_mins(6)).into_iter().map(|(text, _)| text).collect()
    };
    let arms = "label: v, canary: c, stable: s";
    let found: Vec<String> = query(&format!("{{requests: r, errors: 'e{{a=\"b\",}}', {arms}}}"));
    assert_eq!(found, ["r{v=~\"c|s\"}[360s]", "e{a=\"b\",v=~\"c|s\"}[360s]"]);
    let found: Vec<String> = query(&format!("{{requests: 'r{{}}', {arms}}}"));
    assert_eq!(found, ["r{v=~\"c|s\"}[360s]"]);
    for (text, fits) in [
        ("istio_requests_total", true),
        ("x{path=\"/a(b)[c]\"}", true),
        ("{{args.counter}}{a=\"{{args.b}}\"}", true),
        ("{{args.counter}}", false),
        ("sum(x)", false),
        ("x[5m]", false),
        (" ", false),
    ] {
        assert_eq!(query::check(text).is_ok(), fits, "{text}");
    }
}

#[test]
fn series_are_told_by_their_labels() {
    let series = |labels: &[(&str, &str)]| Series {
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        samples: vec![(1.25, 3.0), (16.25, f64::NAN)],
    };
    let arms = Arms { label: "v".to_owned(), canary: "c".to_owned(), stable: "s".to_owned() };
    let of = |labels: &[(&str, &str)]| counters(&[series(labels)], &arms, Holds::Both);
    assert!(of(&[("v", "other")]).is_empty() && of(&[]).is_empty());
    let found = of(&[("v", "c"), ("pod", "p"), ("instance", "i"), ("response_code", "503")]);
    assert_eq!((found[0].arm, found[0].target.as_str()), (Arm::Canary, "p"));
    assert_eq!((found[0].errors, &found[0].samples), (true, &vec![(1250, 3.0)]));
    for (code, grpc, failed) in [
        ("200", "", false),
        ("404", "", false),
        ("200", "14", true),
        ("200", "5", false),
        ("0", "", true),
    ] {
        let found = of(&[("v", "s"), ("response_code", code), ("grpc_response_status", grpc)]);
        assert_eq!(found[0].errors, failed, "{code} {grpc}");
    }
}

use std::time::Duration as Span;

use super::samples::{Arm, Arms, Holds, counters};
use super::*;
use crate::analysis::judge::{Counts as Counted1, Totals, counts::Interval, latency::Slow};
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
        recent: Windows { long: both, short: both },
        slow: Vec::new(),
        recent_slow: Vec::new(),
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
    let of = |labels: &[(&str, &str)]| counters(&[series(labels)], &arms, &Holds::Both);
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

// === latency

const BOUNDS: &str = "{latency: {bounds: [100ms, 1s]}}";

/// One scrape of 15 s: requests, and those above each bound.
fn slow_scrape(second: i64, canary: (u32, [u32; 2]), stable: (u32, [u32; 2])) -> Counted {
    let slow = |(requests, above): (u32, [u32; 2])| Slow { requests, above: above.to_vec() };
    let plain = scrape(second, (canary.0, 0), (stable.0, 0));
    let of = |(requests, above): (u32, [u32; 2]), bound: usize| {
        Totals::default().and(counts(requests, above[bound]))
    };
    let windows = [0, 1].map(|bound| {
        let both = (of(canary, bound), of(stable, bound));
        Windows { long: both, short: both }
    });
    let slow = latency::Interval {
        seconds: 15.0,
        canary: slow(canary),
        stable: slow(stable),
        minute: Vec::new(),
        pods: latency::Pods::default(),
    };
    Counted { slow: vec![slow], recent_slow: windows.to_vec(), ..plain }
}

fn looks(yaml: &str, scrapes: impl Iterator<Item = Counted>) -> (Comparison, Judged) {
    let metric = metric(yaml);
    let mut last: Option<(Comparison, Judged)> = None;
    for counted in scrapes {
        let before = last.as_ref().map(|(comparison, _)| comparison);
        let now = Timestamp::from_millisecond(counted.known.read_until.expect("read") + 1000);
        let now = now.expect("in range");
        let (next, judged) = look(&metric, &compare_of(&metric), 1, before, &counted, now);
        last = Some((next.expect("a comparison"), judged));
    }
    last.expect("a look")
}

fn slow_after(n: i64, canary: (u32, [u32; 2]), stable: (u32, [u32; 2])) -> (Comparison, Judged) {
    looks(BOUNDS, (1..=n).map(|n| slow_scrape(15 * n, canary, stable)))
}

#[test]
fn a_slower_canary_is_found_and_the_bound_is_named() {
    let (found, judged) = slow_after(20, (100, [40, 1]), (900, [180, 9]));
    assert_eq!((found.finding, judged.verdict), (ComparisonFinding::Worse, Verdict::Failed));
    assert!(judged.message.contains("took longer than 100ms"), "{}", judged.message);
    let (found, judged) = slow_after(20, (100, [20, 1]), (900, [180, 9]));
    assert_eq!(found.finding, ComparisonFinding::NotWorse);
    assert_eq!(judged.verdict, Verdict::Successful);
}

#[test]
fn a_slowness_of_both_holds_and_one_that_is_usual_does_not() {
    let usual = (1..=40).map(|n| slow_scrape(15 * n, (100, [20, 1]), (900, [180, 9])));
    let slow = (41..=44).map(|n| slow_scrape(15 * n, (100, [70, 30]), (900, [630, 270])));
    let (found, judged) = looks(BOUNDS, usual.clone().chain(slow));
    assert_eq!(found.finding, ComparisonFinding::SharedIncident);
    assert!(judged.message.starts_with("shared incident: 30 % of the canary's"), "{judged:?}");
    assert_eq!(looks(BOUNDS, usual).0.finding, ComparisonFinding::NotWorse);
}

#[test]
fn a_bound_that_nobody_exceeds_is_not_enough_data() {
    let (found, judged) = slow_after(20, (100, [0, 0]), (900, [0, 0]));
    assert_eq!((found.finding, judged.counts), (ComparisonFinding::NotEnoughData, How::NoData));
    assert!(judged.message.contains("none of the bounds"), "{}", judged.message);
    let (_, judged) = slow_after(8, (2, [1, 0]), (20, [4, 1]));
    assert!(judged.message.contains("84 more requests of canary"), "{}", judged.message);
}

#[test]
fn a_slow_comparison_survives_its_way_through_json() {
    let scrapes = |from: i64, to: i64| {
        (from..=to).map(|n| slow_scrape(15 * n, (100, [22, 1]), (900, [180, 9])))
    };
    let (whole, _) = looks(BOUNDS, scrapes(1, 12));
    let (half, _) = looks(BOUNDS, scrapes(1, 6));
    let text = serde_json::to_string(&half).expect("JSON");
    let mut stored: Comparison = serde_json::from_str(&text).expect("read");
    let metric = metric(BOUNDS);
    for counted in scrapes(7, 12) {
        let read = counted.known.read_until.expect("read");
        let now = Timestamp::from_millisecond(read + 1).expect("in range");
        let compare = compare_of(&metric);
        stored = look(&metric, &compare, 1, Some(&stored), &counted, now).0.expect("one");
    }
    assert_eq!((stored.canary, stored.stable), (whole.canary, whole.stable));
    assert_eq!(stored.memory["bounds"][0]["canary"], whole.memory["bounds"][0]["canary"]);
}

#[test]
fn a_histogram_is_asked_for_its_bounds_and_read_by_them() {
    let compare = compare_of(&metric(
        "{latency: {histogram: 'h_milliseconds{a=\"b\"}', bounds: [50ms, 1s]}, label: v, canary: c, stable: s}",
    ));
    let (text, holds) = query::queries(&compare, Span::from_mins(6)).remove(0);
    assert_eq!(
        text,
        "h_milliseconds_bucket{a=\"b\",v=~\"c|s\",le=~\"50|50.0|1000|1000.0|[+]Inf\"}[360s]"
    );
    let seconds = compare_of(&metric("{latency: {histogram: h_bucket, bounds: [250ms, 70ms]}}"));
    let (text, _) = query::queries(&seconds, Span::from_mins(6)).remove(0);
    assert!(text.starts_with("h_bucket{") && text.contains("0.25|0.07|[+]Inf"), "{text}");
    let series = |le: &str| Series {
        labels: [("v", "c"), ("le", le), ("response_code", "503")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        samples: vec![(1.0, 3.0)],
    };
    let arms = Arms { label: "v".to_owned(), canary: "c".to_owned(), stable: "s".to_owned() };
    for (le, expected) in [
        ("50.0", Some((false, false, Some(0)))),
        ("1e+03", Some((false, false, Some(1)))),
        ("+Inf", Some((true, true, None))),
        ("100", None),
        ("x", None),
    ] {
        let found = counters(&[series(le)], &arms, &holds);
        let found = found.first().map(|one| (one.requests, one.errors, one.within));
        assert_eq!(found, expected, "{le}");
    }
}

// === objectives

const SLO: &str = "{slo: {objective: 99%}}";

fn slo_after(n: i64, canary: (u32, u32), stable: (u32, u32)) -> (Comparison, Judged) {
    looks(SLO, (1..=n).map(|n| scrape(15 * n, canary, stable)))
}

#[test]
fn a_canary_that_burns_its_budget_alone_is_found() {
    let (found, judged) = slo_after(4, (40, 16), (400, 1));
    assert_eq!((found.finding, judged.verdict), (ComparisonFinding::Worse, Verdict::Failed));
    let words =
        "canary 64 of 160 failed, 40 times what 99% allows (14.4 is too fast); stable 0.2 times";
    assert!(judged.message.starts_with(words), "{}", judged.message);
    assert!(found.memory.len() < 20);
    let (found, _) = slo_after(20, (40, 1), (400, 1));
    assert_eq!(found.finding, ComparisonFinding::NotWorse, "2.5 % is 2.5 times, not 14.4");
}

#[test]
fn what_burns_for_both_holds_and_one_scrape_blames_nobody() {
    let (found, judged) = slo_after(20, (40, 16), (400, 160));
    assert_eq!(found.finding, ComparisonFinding::SharedIncident);
    assert!(judged.message.contains("40 % of stable's failed"), "{}", judged.message);
    // Stable is scraped later, at the beginning and at the end of what hits both.
    let quiet = |n: i64| scrape(15 * n, (40, 0), (400, 0));
    let early = scrape(15 * 11, (40, 20), (400, 0));
    let both = (12..20).map(|n| scrape(15 * n, (40, 20), (400, 200)));
    let late = scrape(15 * 20, (40, 20), (400, 0));
    let all = (1..11).map(quiet).chain([early]).chain(both).chain([late]);
    let (found, _) = looks(SLO, all.chain((21..60).map(quiet)));
    assert_eq!(found.finding, ComparisonFinding::NotWorse);
}

#[test]
fn an_objective_needs_requests_too_and_says_what_it_cannot_see() {
    let (_, judged) = slo_after(4, (10, 0), (100, 0));
    assert!(judged.message.contains("60 more requests of canary"), "{}", judged.message);
    let metric = "{slo: {objective: 99.9%, burn: 2}}";
    let (_, judged) = looks(metric, (1..=40).map(|n| scrape(15 * n, (5, 0), (50, 0))));
    assert!(judged.message.contains("cannot be found in 30 min"), "{}", judged.message);
}

// === what is written

#[test]
fn what_a_judge_does_not_ask_for_is_refused() {
    for (yaml, words) in [
        ("{latency: {bounds: [1s, 100ms]}}", "latency.bounds: found 1s, 100ms"),
        ("{latency: {bounds: [11m]}}", "latency.bounds: found 11m"),
        ("{latency: {}, requests: r}", "requests: found one beside latency"),
        ("{latency: {}, slo: {objective: 99%}}", "slo: found several judges"),
        ("{slo: {objective: 30%}}", "slo.objective: found 30%"),
        ("{slo: {objective: 99%, window: 10s}}", "slo.window: found 10s"),
        ("{slo: {objective: 99%, burn: 0.5}}", "slo.burn: found 0.5"),
        ("{slo: {objective: 99%}, tolerate: {ratio: 2}}", "tolerate.ratio: found one beside slo"),
        ("{mannWhitney: {values: 2}}", "mannWhitney.values: found 2"),
        ("{mannWhitney: {tolerance: 2}}", "mannWhitney.tolerance: found 2"),
        ("{mannWhitney: {pass: 70}}", "mannWhitney.marginal: found 75"),
        ("{mannWhitney: {}, falseAlarms: 2%}", "falseAlarms: found one beside mannWhitney"),
    ] {
        let wrong = rules(&compare_of(&metric(yaml)), 1).expect_err(yaml);
        assert!(wrong[0].starts_with(words), "{yaml}: {wrong:?}");
    }
    let ratio = |yaml: &str| rules(&compare_of(&metric(yaml)), 1).expect(yaml).params.ratio;
    let ratios = [ratio("{}"), ratio(BOUNDS), ratio("{mannWhitney: {}}")];
    assert_eq!(ratios.map(|ratio| ratio.to_string()), ["1.1", "1.2", "1"]);
}

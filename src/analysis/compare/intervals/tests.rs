use proptest::prelude::*;

use super::*;

const S: i64 = 1000;

/// A counter of requests, or of failed ones as well, by seconds and values.
fn counter(arm: Arm, target: &str, errors: bool, samples: &[(i64, u32)]) -> Counter {
    Counter {
        arm,
        reporter: "source".to_owned(),
        target: target.to_owned(),
        requests: true,
        errors,
        within: None,
        samples: samples.iter().map(|(at, value)| (at * S, f64::from(*value))).collect(),
    }
}

fn stable(target: &str, samples: &[(i64, u32)]) -> Counter {
    counter(Arm::Stable, target, false, samples)
}

fn canary(target: &str, samples: &[(i64, u32)]) -> Counter {
    counter(Arm::Canary, target, false, samples)
}

fn asked(now: i64) -> Asked {
    Asked { from: -600 * S, began: -600 * S, now: now * S, recent: INCIDENT, bounds: 0 }
}

fn read(counters: &[Counter], now: i64) -> Counted {
    intervals(counters, &Known::default(), asked(now))
}

/// Seconds, requests of the canary and of stable, of each interval.
fn rows(counted: &Counted) -> Vec<(f64, u32, u32)> {
    let all = counted.intervals.iter();
    all.map(|interval| (interval.seconds, interval.canary.requests, interval.stable.requests))
        .collect()
}

#[test]
fn each_scrape_of_a_gateway_is_an_interval() {
    let gateway = [
        stable("gateway", &[(0, 100), (15, 130), (30, 170)]),
        canary("gateway", &[(0, 5), (15, 8), (30, 8)]),
    ];
    let found = read(&gateway, 31);
    assert_eq!(rows(&found), [(15.0, 3, 30), (15.0, 0, 40)]);
    assert_eq!((found.scrape, found.canary_seen), (15 * S, Some(15 * S)));
    let again = intervals(&gateway, &found.known, asked(40));
    assert_eq!(rows(&again), [], "no scrape is read twice");
}

#[test]
fn what_a_sample_proves_is_counted_and_nothing_else() {
    type Row = (&'static str, &'static [(i64, u32)], u32);
    let rows: [Row; 6] = [
        ("growth", &[(0, 7), (15, 9), (30, 12)], 5),
        ("a counter that began anew", &[(0, 90), (15, 95), (30, 4)], 9),
        ("one that began anew and is quiet", &[(0, 90), (15, 0), (30, 0)], 0),
        ("a new series of a known pod", &[(15, 4), (30, 6)], 6),
        ("its only sample", &[(30, 3)], 3),
        ("a missed scrape", &[(0, 7), (30, 12)], 5),
    ];
    for (case, samples, expected) in rows {
        let counters = [stable("a", &[(0, 100), (15, 100), (30, 100)]), canary("a", samples)];
        let found: u32 =
            read(&counters, 31).intervals.iter().map(|interval| interval.canary.requests).sum();
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn of_series_that_are_older_than_the_samples_only_growth_counts() {
    let counters = [stable("a", &[(0, 500), (15, 510)]), canary("a", &[(15, 70), (30, 71)])];
    let cut_off = Asked { from: -5 * S, ..asked(31) };
    let found = intervals(&counters, &Known::default(), cut_off);
    assert_eq!(rows(&found)[0], (15.0, 0, 10), "70 at the left end may be of any time");
    // Prometheus was away: all series begin at once.
    let back = [stable("a", &[(300, 500), (315, 510)]), stable("b", &[(301, 90), (316, 93)])];
    let total: u32 = rows(&read(&back, 340)).iter().map(|row| row.2).sum();
    assert_eq!(total, 13);
}

#[test]
fn a_pod_that_comes_counts_from_nothing_and_one_that_goes_is_not_waited_for() {
    let comes = [stable("a", &[(0, 10), (15, 20), (30, 30)]), canary("b", &[(25, 6)])];
    assert_eq!(rows(&read(&comes, 31)), [(15.0, 0, 10), (15.0, 6, 10)]);
    let goes =
        [stable("a", &[(0, 10), (15, 20), (30, 30), (45, 40)]), stable("b", &[(7, 10), (22, 13)])];
    let found = read(&goes, 38);
    assert_eq!(rows(&found).len(), 2, "until 30, and b may still come: {found:?}");
    assert_eq!(rows(&read(&goes, 60)).iter().map(|row| row.2).sum::<u32>(), 33);
}

#[test]
fn pods_are_read_at_their_own_times() {
    let pods = [
        stable("a", &[(0, 0), (15, 10), (30, 20), (45, 30)]),
        stable("b", &[(9, 0), (24, 10), (39, 20)]),
        canary("c", &[(4, 0), (19, 1), (34, 2)]),
    ];
    let found = read(&pods, 46);
    assert_eq!(rows(&found), [(15.0, 0, 10), (15.0, 1, 20), (15.0, 1, 20)]);
}

#[test]
fn what_the_canary_did_before_the_run_is_another_story() {
    let gateway = [
        stable("g", &[(0, 0), (15, 10), (30, 20)]),
        counter(Arm::Canary, "g", true, &[(0, 0), (15, 9), (30, 11)]),
    ];
    let found = intervals(&gateway, &Known::default(), Asked { began: 20 * S, ..asked(31) });
    assert_eq!(rows(&found), [(15.0, 0, 10), (15.0, 2, 10)]);
    assert_eq!(found.recent.long.0, Totals { requests: 2, errors: 2 });
}

#[test]
fn the_senders_count_is_taken_unless_it_misses_many() {
    let by =
        |reporter: &str, counter: Counter| Counter { reporter: reporter.to_owned(), ..counter };
    let source = by("source", stable("gateway", &[(0, 0), (15, 100)]));
    let pod = |target: &str, more: u32| by("destination", stable(target, &[(1, 0), (16, more)]));
    let found = read(&[source.clone(), pod("a", 50), pod("b", 49)], 20);
    assert_eq!(found.known.reporter, "source");
    assert_eq!(rows(&found)[0].2, 100);
    let found = read(&[source, pod("a", 400), pod("b", 400)], 20);
    assert_eq!(found.known.reporter, "destination", "most callers have no proxy");
}

#[test]
fn stable_is_told_apart_pod_by_pod_each_minute() {
    let samples = |start: i64, more: u32| -> Vec<(i64, u32)> {
        (0..9).zip(0..).map(|(n, count)| (start + 15 * n, count * more)).collect()
    };
    let by =
        |reporter: &str, counter: Counter| Counter { reporter: reporter.to_owned(), ..counter };
    let counters = [
        by("source", stable("gateway", &samples(0, 30))),
        by("destination", stable("a", &samples(1, 10))),
        by("destination", stable("b", &samples(2, 20))),
    ];
    let found = read(&counters, 121);
    let minutes: Vec<Vec<u32>> = found
        .intervals
        .iter()
        .map(|interval| interval.minute.iter().map(|counts| counts.requests).collect())
        .filter(|minute: &Vec<u32>| !minute.is_empty())
        .collect();
    // At 15, 30, 60 and 120 s; the pods' own scrapes come a little after the gateway's.
    assert_eq!(minutes, [vec![10, 20], vec![20, 40], vec![40, 80]].map(|m| m)[..].to_vec());
}

proptest! {
    /// However pods are scraped, miss scrapes and begin anew, and whenever somebody looks: each growth
    /// between two samples is counted once.
    #[test]
    fn nothing_is_counted_twice_and_nothing_is_lost(
        pods in proptest::collection::vec(
            (0..15_i64, proptest::collection::vec((0..10_u32, 0..9_u32), 20)), 1..5),
        looks in proptest::collection::vec(1..60_i64, 1..12),
    ) {
        let mut expected = 0;
        let mut counters = Vec::new();
        for (index, (offset, scrapes)) in pods.iter().enumerate() {
            let (mut value, mut seen, mut samples) = (50, None, Vec::new());
            for (n, (more, event)) in (0..).zip(scrapes) {
                value = if *event == 8 { *more } else { value + more };
                if *event == 7 && n > 0 {
                    continue;
                }
                let grown = seen.map_or(0, |seen| if value < seen { value } else { value - seen });
                expected += grown;
                seen = Some(value);
                samples.push((offset + 15 * n, value));
            }
            counters.push(stable(&format!("pod-{index}"), &samples));
        }
        let cut_off = 0;
        let (mut known, mut now, mut found) = (Known::default(), 20, 0);
        for wait in looks.into_iter().chain([600]) {
            now += wait;
            let there: Vec<Counter> = counters
                .iter()
                .map(|counter| Counter {
                    samples: counter.samples.iter().copied().filter(|s| s.0 <= now * S).collect(),
                    ..counter.clone()
                })
                .collect();
            let asked = Asked { from: cut_off, began: 0, ..asked(now) };
            let counted = intervals(&there, &known, asked);
            found += counted.intervals.iter().map(|i| i.stable.requests).sum::<u32>();
            known = counted.known;
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn buckets_become_requests_above_their_bounds() {
    let bucket = |target: &str, arm: Arm, within: Option<usize>, samples: &[(i64, u32)]| Counter {
        requests: within.is_none(),
        within,
        ..counter(arm, target, false, samples)
    };
    let counters = [
        bucket("a", Arm::Stable, None, &[(0, 100), (15, 120), (30, 150)]),
        bucket("a", Arm::Stable, Some(0), &[(0, 60), (15, 70), (30, 90)]),
        bucket("a", Arm::Stable, Some(1), &[(0, 99), (15, 118), (30, 148)]),
        // A pod that came later, and began anew.
        bucket("c", Arm::Canary, None, &[(10, 8), (25, 3)]),
        bucket("c", Arm::Canary, Some(0), &[(10, 4), (25, 1)]),
        bucket("c", Arm::Canary, Some(1), &[(10, 8), (25, 3)]),
    ];
    let asked = Asked { bounds: 2, ..asked(31) };
    let found = intervals(&counters, &Known::default(), asked);
    let slow = |slow: &latency::Slow| (slow.requests, slow.above.clone());
    let stable: Vec<_> = found.slow.iter().map(|interval| slow(&interval.stable)).collect();
    assert_eq!(stable, [(20, vec![10, 1]), (30, vec![10, 0])]);
    let canary = found.slow.iter().map(|interval| slow(&interval.canary));
    let canary = canary.fold((0, vec![0, 0]), |sum, (requests, above)| {
        (sum.0 + requests, vec![sum.1[0] + above[0], sum.1[1] + above[1]])
    });
    assert_eq!(canary, (3, vec![2, 0]), "what began before it is known to be new is not counted");
    assert_eq!(found.recent_slow.len(), 2);
    assert_eq!(found.recent_slow[0].long.1.errors, 20);
}

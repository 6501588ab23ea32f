//! A comparison over a real Prometheus counts what happened: counters that begin anew, pods that come
//! and go, scrapes that are missed, and somebody who looks whenever it suits them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice::{
    analysis::{
        arguments::Secrets,
        compare::{intervals::Counted, look},
        provider::prometheus::{Comparing, HttpClients, compare},
        verdict::{Counts, Judged, Reading},
    },
    api::{Comparison, Metric, Verdict},
    sim::{
        prometheus::{Database, Labels, NAME, openmetrics},
        simulation::START,
    },
};

use crate::{
    scenario::on_runtime,
    support::{folder, prometheus::Prometheus},
};

/// Seconds between two scrapes.
const SCRAPE: i64 = 15;

/// Scrapes of each pod.
const SCRAPES: i64 = 120;

/// When the canary's comparison begins, in scrapes: its first pod comes later.
const BEGINS: i64 = 40;

/// A series of a pod: from which scrape to which it is there, which ones are missed, at which one it
/// begins anew, and by how much it grows.
struct Story {
    revision: &'static str,
    pod: &'static str,
    code: &'static str,
    offset: i64,
    there: std::ops::Range<i64>,
    missed: std::ops::Range<i64>,
    anew: i64,
    grows: u32,
    /// What it shows first, and whether that is new.
    first: (u32, bool),
}

const ALWAYS: Story = Story {
    revision: "stable",
    pod: "s-1",
    code: "200",
    offset: 0,
    there: 0..SCRAPES,
    missed: 0..0,
    anew: -1,
    grows: 40,
    first: (5000, false),
};

fn stories() -> [Story; 7] {
    [
        Story { anew: 60, ..ALWAYS },
        Story { code: "503", grows: 1, first: (3, false), ..ALWAYS },
        Story { pod: "s-2", offset: 6, missed: 50..53, ..ALWAYS },
        Story { pod: "s-3", offset: 11, there: 0..70, ..ALWAYS },
        Story { pod: "s-4", offset: 4, there: 72..SCRAPES, first: (25, true), ..ALWAYS },
        Story {
            revision: "canary",
            pod: "c-1",
            offset: 9,
            there: 45..SCRAPES,
            missed: 80..81,
            grows: 12,
            first: (7, true),
            ..ALWAYS
        },
        Story {
            revision: "canary",
            pod: "c-1",
            code: "503",
            offset: 9,
            there: 90..SCRAPES,
            grows: 0,
            first: (2, true),
            ..ALWAYS
        },
    ]
}

/// What was counted: requests and failed ones.
type Pair = (u64, u64);

impl Story {
    /// Writes its samples. Returns the growth that they prove.
    fn tell(&self, start: Timestamp, labels: &[(&str, &str)], database: &mut Database) -> u64 {
        let labels = Labels::new(labels.iter().copied());
        let (mut value, mut shown) = (self.first.0, self.first.0);
        let mut proven = if self.first.1 { u64::from(value) } else { 0 };
        for scrape in self.there.clone() {
            if scrape > self.there.start {
                value = if scrape == self.anew { 7 } else { value + self.grows };
            }
            if self.missed.contains(&scrape) {
                continue;
            }
            if scrape > self.there.start {
                proven += u64::from(if value < shown { value } else { value - shown });
            }
            shown = value;
            let at = start + SignedDuration::from_secs(scrape * SCRAPE + self.offset);
            database.append(&labels, at, f64::from(value)).expect("later than the last");
        }
        proven
    }
}

/// Samples of counters, and what they prove of canary and stable.
fn played(start: Timestamp, stories: &[Story]) -> (Database, Pair, Pair) {
    let mut database = Database::new();
    let (mut canary, mut stable) = ((0, 0), (0, 0));
    for story in stories {
        let labels = [
            (NAME, "istio_requests_total"),
            ("destination_workload_namespace", "shop"),
            ("destination_canonical_revision", story.revision),
            ("reporter", "destination"),
            ("pod", story.pod),
            ("response_code", story.code),
        ];
        let proven = story.tell(start, &labels, &mut database);
        let arm = if story.revision == "canary" { &mut canary } else { &mut stable };
        arm.0 += proven;
        if story.code == "503" {
            arm.1 += proven;
        }
    }
    (database, canary, stable)
}

fn metric(compare: &Value) -> Metric {
    let mut compare = compare.clone();
    compare["label"] = json!("destination_canonical_revision");
    compare["canary"] = json!("canary");
    compare["stable"] = json!("stable");
    serde_json::from_value(json!({
        "name": "compared", "interval": "15s", "provider": {"prometheus": {"compare": compare}},
    }))
    .expect("a metric")
}

fn start() -> Timestamp {
    START.parse().expect("a time")
}

#[test]
fn a_real_prometheus_is_read_sample_by_sample_and_nothing_is_made_up() {
    let (samples, canary, stable) = played(start(), &stories());
    let requests = "istio_requests_total{destination_workload_namespace=\"shop\"}";
    let metric = metric(&json!({"requests": requests}));
    on_runtime(async {
        let real = Prometheus::over(&folder("e2e-compared"), &openmetrics(&samples)).await;
        for pause in [7, 17, 61] {
            let (found, _, counted) = looked(&metric, &real.url, pause).await;
            let all = |of: sluice::api::ComparedRequests| (of.requests, of.errors);
            assert_eq!(all(found.canary), canary, "a look every {pause} s");
            let mut sum = (0, 0);
            for interval in counted.iter().flat_map(|counted| &counted.intervals) {
                sum.0 += u64::from(interval.stable.requests);
                sum.1 += u64::from(interval.stable.errors);
            }
            assert_eq!(sum, stable, "a look every {pause} s");
            assert_eq!(found.scrape_interval.to_string(), "15s");
        }
    });
}

/// Of ten requests, how many are within 100 ms and within 250 ms.
fn within(revision: &str) -> [(&'static str, u32); 3] {
    if revision == "canary" {
        [("100", 5), ("250", 9), ("+Inf", 10)]
    } else {
        [("100", 8), ("250", 9), ("+Inf", 10)]
    }
}

#[test]
fn a_histogram_in_a_real_prometheus_is_read_bound_by_bound() {
    let mut samples = Database::new();
    // Requests, those above 100 ms, and those above 250 ms.
    let (mut canary, mut stable) = ([0; 3], [0; 3]);
    for story in stories().into_iter().filter(|story| story.code == "200") {
        let mut proven = [0; 3];
        for (sum, (le, part)) in proven.iter_mut().zip(within(story.revision)) {
            let labels = [
                (NAME, "http_duration_milliseconds_bucket"),
                ("destination_canonical_revision", story.revision),
                ("pod", story.pod),
                ("le", le),
            ];
            let of = |requests: u32| requests * part;
            let (first, new) = story.first;
            let there = story.there.clone();
            let missed = story.missed.clone();
            let bucket =
                Story { grows: of(story.grows), first: (of(first), new), there, missed, ..story };
            *sum = bucket.tell(start(), &labels, &mut samples);
        }
        let arm = if story.revision == "canary" { &mut canary } else { &mut stable };
        for (sum, more) in
            arm.iter_mut().zip([proven[2], proven[2] - proven[0], proven[2] - proven[1]])
        {
            *sum += more;
        }
    }
    let latency = json!({"histogram": "http_duration_milliseconds", "bounds": ["100ms", "250ms"]});
    let metric = metric(&json!({"latency": latency}));
    on_runtime(async {
        let real = Prometheus::over(&folder("e2e-compared-latency"), &openmetrics(&samples)).await;
        for pause in [7, 17, 61] {
            let (found, said, counted) = looked(&metric, &real.url, pause).await;
            let bounds = found.memory["bounds"].as_array().expect("bounds").iter();
            let slow: Vec<u64> =
                bounds.map(|bound| bound["canary"]["errors"].as_u64().expect("a count")).collect();
            assert_eq!((found.canary.requests, slow), (canary[0], canary[1..].to_vec()));
            let mut sum = [0; 3];
            for interval in counted.iter().flat_map(|counted| &counted.slow) {
                sum[0] += u64::from(interval.stable.requests);
                sum[1] += u64::from(interval.stable.above[0]);
                sum[2] += u64::from(interval.stable.above[1]);
            }
            assert_eq!(sum, stable, "a look every {pause} s");
            assert_eq!(said.verdict, Verdict::Failed, "{said:?}");
            assert!(said.message.contains("took longer than 100ms"), "{said:?}");
        }
        let unknown = json!({"histogram": "http_duration_milliseconds", "bounds": ["300ms"]});
        let metric = self::metric(&json!({"latency": unknown}));
        let reading = asked(&metric, &real.url, None, ends()).await;
        let Reading::Error(why) = reading else { panic!("{reading:?}") };
        assert!(why.starts_with("latency.bounds: found 300ms"), "{why}");
    });
}

#[test]
fn an_objective_is_watched_in_a_real_prometheus() {
    let requests = "istio_requests_total{destination_workload_namespace=\"shop\"}";
    let metric = metric(&json!({"requests": requests, "slo": {"objective": "99.9%"}}));
    on_runtime(async {
        for (name, errors, expected) in
            [("good", 0, Verdict::Successful), ("bad", 6, Verdict::Failed)]
        {
            let mut stories = stories();
            stories[6].grows = errors;
            let (samples, canary, _) = played(start(), &stories);
            let folder = folder(&format!("e2e-compared-slo-{name}"));
            let real = Prometheus::over(&folder, &openmetrics(&samples)).await;
            let mut verdicts = Vec::new();
            let (found, ..) = looks(&metric, &real.url, 17, |judged| verdicts.push(judged)).await;
            assert_eq!((found.canary.requests, found.canary.errors), canary);
            let last = verdicts.iter().rev().find(|judged| judged.counts == Counts::Verdict);
            assert_eq!(last.expect("a verdict").verdict, expected, "{name}: {last:?}");
        }
    });
}

/// When the comparison begins.
fn begins() -> Timestamp {
    start() + SignedDuration::from_secs(BEGINS * SCRAPE)
}

/// After the last scrape.
fn ends() -> Timestamp {
    start() + SignedDuration::from_secs((SCRAPES + 6) * SCRAPE)
}

async fn asked(metric: &Metric, url: &str, before: Option<&Comparison>, now: Timestamp) -> Reading {
    let provider = metric.provider.prometheus.as_ref().expect("a provider");
    let written = provider.compare.as_ref().expect("a comparison");
    let (http, secrets) = (HttpClients::without_proxy(), Secrets::default());
    let interval = metric.interval.unwrap_or_default();
    let comparing = Comparing { compare: written, interval, before, began: begins() };
    compare(provider, comparing, &[], &secrets, &http, Some(url), now).await
}

/// Looks from the beginning of the comparison until after the last scrape. Returns what is found and
/// said at the end, and all that was counted.
async fn looked(metric: &Metric, url: &str, pause: i64) -> (Comparison, Judged, Vec<Counted>) {
    let mut last = None;
    let (found, counted) = looks(metric, url, pause, |judged| last = Some(judged)).await;
    (found, last.expect("a look"), counted)
}

async fn looks(
    metric: &Metric,
    url: &str,
    pause: i64,
    mut each: impl FnMut(Judged),
) -> (Comparison, Vec<Counted>) {
    let provider = metric.provider.prometheus.as_ref().expect("a provider");
    let written = provider.compare.as_ref().expect("a comparison");
    let (mut before, mut all): (Option<Comparison>, Vec<Counted>) = (None, Vec::new());
    let mut now = begins();
    while now < ends() {
        let read = asked(metric, url, before.as_ref(), now).await;
        let Reading::Counted(counted) = read else { panic!("{read:?}") };
        let judged;
        (before, judged) = look(metric, written, 1, before.as_ref(), &counted, now);
        each(judged);
        all.push(*counted);
        now += SignedDuration::from_secs(pause);
    }
    (before.expect("a comparison"), all)
}

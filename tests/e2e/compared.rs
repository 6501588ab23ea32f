//! A comparison over a real Prometheus counts what happened: counters that begin anew, pods that come
//! and go, scrapes that are missed, and somebody who looks whenever it suits them.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sluice::{
    analysis::{
        arguments::Secrets,
        compare::look,
        provider::prometheus::{Comparing, HttpClients, compare},
        verdict::Reading,
    },
    api::{Comparison, Metric, PrometheusProvider},
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

/// Samples, and what they prove of canary and stable.
fn played(start: Timestamp) -> (Database, Pair, Pair) {
    let mut database = Database::new();
    let (mut canary, mut stable) = ((0, 0), (0, 0));
    for story in stories() {
        let labels = Labels::new([
            (NAME, "istio_requests_total"),
            ("destination_workload_namespace", "shop"),
            ("destination_canonical_revision", story.revision),
            ("reporter", "destination"),
            ("pod", story.pod),
            ("response_code", story.code),
        ]);
        let (mut value, mut proven) = (story.first.0, 0);
        if story.first.1 {
            proven = value;
        }
        let mut shown = value;
        for scrape in story.there.clone() {
            if scrape > story.there.start {
                value = if scrape == story.anew { 7 } else { value + story.grows };
            }
            if story.missed.contains(&scrape) {
                continue;
            }
            if scrape > story.there.start {
                proven += if value < shown { value } else { value - shown };
            }
            shown = value;
            let at = start + SignedDuration::from_secs(scrape * SCRAPE + story.offset);
            database.append(&labels, at, f64::from(value)).expect("later than the last");
        }
        let arm = if story.revision == "canary" { &mut canary } else { &mut stable };
        arm.0 += u64::from(proven);
        if story.code == "503" {
            arm.1 += u64::from(proven);
        }
    }
    (database, canary, stable)
}

#[test]
fn a_real_prometheus_is_read_sample_by_sample_and_nothing_is_made_up() {
    let start: Timestamp = START.parse().expect("a time");
    let (samples, canary, stable) = played(start);
    let metric: Metric = serde_json::from_value(json!({
        "name": "errors", "interval": "15s",
        "provider": {"prometheus": {"compare": {
            "requests": "istio_requests_total{destination_workload_namespace=\"shop\"}",
            "label": "destination_canonical_revision", "canary": "canary", "stable": "stable",
        }}},
    }))
    .expect("a metric");
    let provider = metric.provider.prometheus.clone().expect("a provider");
    on_runtime(async {
        let real = Prometheus::over(&folder("e2e-compared"), &openmetrics(&samples)).await;
        for pause in [7, 17, 61] {
            let (found, counted) = looked(&metric, &provider, &real.url, start, pause).await;
            let all = |of: sluice::api::ComparedRequests| (of.requests, of.errors);
            assert_eq!(all(found.canary), canary, "a look every {pause} s");
            assert_eq!(counted, stable, "a look every {pause} s");
            assert_eq!(found.scrape_interval.to_string(), "15s");
        }
    });
}

/// Looks from the beginning of the comparison until after the last scrape. Returns what is found, and
/// what was counted of stable in all.
async fn looked(
    metric: &Metric,
    provider: &PrometheusProvider,
    url: &str,
    start: Timestamp,
    pause: i64,
) -> (Comparison, Pair) {
    let written = provider.compare.as_ref().expect("a comparison");
    let (http, secrets) = (HttpClients::without_proxy(), Secrets::default());
    let interval = metric.interval.unwrap_or_default();
    let began = start + SignedDuration::from_secs(BEGINS * SCRAPE);
    let (mut now, end) = (began, start + SignedDuration::from_secs((SCRAPES + 6) * SCRAPE));
    let (mut before, mut stable): (Option<Comparison>, Pair) = (None, (0, 0));
    while now < end {
        let comparing = Comparing { compare: written, interval, before: before.as_ref(), began };
        let read = compare(provider, comparing, &[], &secrets, &http, Some(url), now).await;
        let Reading::Counted(counted) = read else { panic!("{read:?}") };
        for interval in &counted.intervals {
            stable.0 += u64::from(interval.stable.requests);
            stable.1 += u64::from(interval.stable.errors);
        }
        before = look(metric, written, 1, before.as_ref(), &counted, now).0;
        now += SignedDuration::from_secs(pause);
    }
    (before.expect("a comparison"), stable)
}

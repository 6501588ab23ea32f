//! Istio's metrics: targets, their counters, and scrapes.
//!
//! In: how many requests of which kind there were. Out: the samples of a scrape. A target is a pod
//! with a proxy, or the gateway; a meter is what one of them counts for one set of labels.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::number;
use crate::sim::prometheus::{AppendError, Database, Labels, NAME, SeriesId};

/// The bounds of Istio's buckets in milliseconds; beyond them is `+Inf`.
pub(super) const BOUNDS_MS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Buckets with that of `+Inf`.
const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// [`BOUNDS_MS`] as Prometheus 3 stores them in `le`, whatever the target writes.
const LE: [&str; BUCKETS] = [
    "0.5", "1.0", "5.0", "10.0", "25.0", "50.0", "100.0", "250.0", "500.0", "1000.0", "2500.0",
    "5000.0", "10000.0", "30000.0", "60000.0", "300000.0", "600000.0", "1.8e+06", "3.6e+06",
    "+Inf",
];

/// The latencies of some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Latencies {
    /// How many fell into each bucket, not counting those below.
    pub(super) counts: [u64; BUCKETS],
    pub(super) sum_ms: f64,
}

/// A place among the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetId(usize);

/// A place among the meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MeterId(usize);

struct Target {
    labels: Vec<(&'static str, String)>,
    up: SeriesId,
    ended: bool,
}

struct Meter {
    target: TargetId,
    requests: SeriesId,
    buckets: [SeriesId; BUCKETS],
    sum: SeriesId,
    count: SeriesId,
    seen: Latencies,
}

/// All targets and what they count.
#[derive(Default)]
pub(super) struct Meters {
    targets: Vec<Target>,
    all: Vec<Meter>,
    known: BTreeMap<(TargetId, Labels), MeterId>,
}

// === impl Latencies ===

impl Latencies {
    /// The latencies of `requests` of them, distributed exponentially with this mean.
    pub(super) fn draw(chance: &mut Chance, requests: u64, mean_ms: f64) -> Self {
        let mut drawn = Self::default();
        let (mut left, mut below_ms, mut above) = (requests, 0.0, 1.0);
        for (count, bound_ms) in drawn.counts.iter_mut().zip(BOUNDS_MS) {
            if left == 0 {
                return drawn;
            }
            let above_bound = (-bound_ms / mean_ms).exp();
            let within = above - above_bound;
            *count = chance.binomial(left, within / above);
            if *count > 0 {
                let moment = below_ms * above - bound_ms * above_bound;
                drawn.sum_ms += number(*count) * (mean_ms + moment / within);
            }
            left -= *count;
            (below_ms, above) = (bound_ms, above_bound);
        }
        drawn.counts[BUCKETS - 1] = left;
        drawn.sum_ms += number(left) * (below_ms + mean_ms);
        drawn
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ms += other.sum_ms;
    }
}

// === impl Meters ===

impl Meters {
    /// A new target with these labels of its own.
    pub(super) fn target(
        &mut self,
        database: &mut Database,
        labels: Vec<(&'static str, String)>,
    ) -> TargetId {
        let own = labels.iter().map(|(name, value)| (*name, value.as_str()));
        let up = database.series_id(&Labels::new(own.chain([(NAME, "up")])));
        self.targets.push(Target { labels, up, ended: false });
        TargetId(self.targets.len() - 1)
    }

    /// What a target counts for these labels. It shows with its first request.
    pub(super) fn meter(
        &mut self,
        database: &mut Database,
        target: TargetId,
        labels: &[(&str, &str)],
    ) -> MeterId {
        let own = self.targets[target.0].labels.iter();
        let own = own.map(|(name, value)| (*name, value.as_str()));
        let labels = Labels::new(own.chain(labels.iter().copied()));
        let key = (target, labels);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let labels = &key.1;
        let duration = "istio_request_duration_milliseconds";
        let bucket = labels.with(NAME, &format!("{duration}_bucket"));
        let meter = Meter {
            target,
            requests: database.series_id(&labels.with(NAME, "istio_requests_total")),
            buckets: LE.map(|le| database.series_id(&bucket.with("le", le))),
            sum: database.series_id(&labels.with(NAME, &format!("{duration}_sum"))),
            count: database.series_id(&labels.with(NAME, &format!("{duration}_count"))),
            seen: Latencies::default(),
        };
        self.all.push(meter);
        let id = MeterId(self.all.len() - 1);
        self.known.insert(key, id);
        id
    }

    pub(super) fn count(&mut self, meter: MeterId, latencies: &Latencies) {
        self.all[meter.0].seen.add(latencies);
    }

    /// All begin to count anew.
    pub(super) fn reset(&mut self) {
        for meter in &mut self.all {
            meter.seen = Latencies::default();
        }
    }

    /// Whether a target is still scraped.
    pub(super) fn is_alive(&self, target: TargetId) -> bool {
        !self.targets[target.0].ended
    }

    /// Ends a target that is gone: its series are marked so at this scrape.
    pub(super) fn end(
        &mut self,
        database: &mut Database,
        target: TargetId,
        at_ms: i64,
    ) -> Result<(), AppendError> {
        self.targets[target.0].ended = true;
        database.push_stale(self.targets[target.0].up, at_ms)?;
        for meter in self.all.iter().filter(|meter| meter.target == target) {
            let series = [meter.requests, meter.sum, meter.count].into_iter().chain(meter.buckets);
            for id in series {
                database.push_stale(id, at_ms)?;
            }
        }
        Ok(())
    }

    /// Writes what all targets show now.
    pub(super) fn scrape(&self, database: &mut Database, at_ms: i64) -> Result<(), AppendError> {
        for target in self.targets.iter().filter(|target| !target.ended) {
            database.push(target.up, at_ms, 1.0)?;
        }
        for meter in &self.all {
            if !self.is_alive(meter.target) {
                continue;
            }
            let mut count = 0;
            for (id, more) in meter.buckets.iter().zip(meter.seen.counts) {
                count += more;
                database.push(*id, at_ms, number(count))?;
            }
            database.push(meter.sum, at_ms, meter.seen.sum_ms)?;
            database.push(meter.count, at_ms, number(count))?;
            database.push(meter.requests, at_ms, number(count))?;
        }
        Ok(())
    }
}

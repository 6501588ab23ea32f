//! The samples.
//!
//! In: a series and a value at a time, each later than the last of that series. Out: the series that
//! matchers select, with their samples. A series is found by its metric's name first, and lives for
//! ever: nothing is deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use promql_parser::label::{MatchOp, Matcher};

use super::{Labels, NAME};

/// The bits of the NaN that marks the end of a series: those of Prometheus.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The value.
    pub value: f64,
}

/// A series in its [`Database`], for appends without a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId(usize);

/// A series.
#[derive(Clone, Debug)]
pub struct Series {
    labels: Labels,
    points: Vec<Point>,
}

/// All series.
#[derive(Clone, Debug, Default)]
pub struct Database {
    series: Vec<Series>,
    by_labels: BTreeMap<Labels, SeriesId>,
    by_name: BTreeMap<Arc<str>, Vec<SeriesId>>,
}

/// Why a sample was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is a later one, or another one of that time.
    #[error("{series} has a sample at {last_ms} ms, so that none can be added at {at_ms} ms")]
    OutOfOrder {
        /// The series.
        series: String,
        /// Its last sample.
        last_ms: i64,
        /// The time of the one refused.
        at_ms: i64,
    },
}

// === impl Point ===

impl Point {
    /// True for the marker of a series' end.
    pub fn is_stale(self) -> bool {
        self.value.to_bits() == STALE
    }
}

// === impl Series ===

impl Series {
    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// All samples in the order of time, markers of its end among them.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The samples later than `after_ms` and not later than `to_ms`.
    pub(super) fn between(&self, after_ms: i64, to_ms: i64) -> &[Point] {
        let first = self.points.partition_point(|point| point.at_ms <= after_ms);
        let end = self.points.partition_point(|point| point.at_ms <= to_ms);
        self.points.get(first..end).unwrap_or_default()
    }
}

// === impl Database ===

impl Database {
    /// A database without samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// The series of these labels, made if there is none yet.
    pub fn series_id(&mut self, labels: &Labels) -> SeriesId {
        if let Some(id) = self.by_labels.get(labels) {
            return *id;
        }
        let id = SeriesId(self.series.len());
        self.series.push(Series { labels: labels.clone(), points: Vec::new() });
        self.by_labels.insert(labels.clone(), id);
        self.by_name.entry(labels.name().into()).or_default().push(id);
        id
    }

    /// Adds a sample.
    ///
    /// # Errors
    ///
    /// The series has a later sample, or one of that time with another value.
    pub fn append(
        &mut self,
        labels: &Labels,
        at: Timestamp,
        value: f64,
    ) -> Result<(), AppendError> {
        let id = self.series_id(labels);
        self.push(id, at.as_millisecond(), value)
    }

    /// Says that a series ended: its target is gone, or did not show it at a scrape.
    ///
    /// # Errors
    ///
    /// As [`Database::append`].
    pub fn mark_stale(&mut self, labels: &Labels, at: Timestamp) -> Result<(), AppendError> {
        self.append(labels, at, f64::from_bits(STALE))
    }

    /// [`Database::append`] for who keeps the id of the series.
    ///
    /// # Errors
    ///
    /// As [`Database::append`].
    pub fn push(&mut self, id: SeriesId, at_ms: i64, value: f64) -> Result<(), AppendError> {
        let series = &mut self.series[id.0];
        if let Some(last) = series.points.last().filter(|last| last.at_ms >= at_ms) {
            if last.at_ms == at_ms && last.value.to_bits() == value.to_bits() {
                return Ok(());
            }
            return Err(AppendError::OutOfOrder {
                series: series.labels.to_string(),
                last_ms: last.at_ms,
                at_ms,
            });
        }
        series.points.push(Point { at_ms, value });
        Ok(())
    }

    /// [`Database::mark_stale`] for who keeps the id of the series.
    ///
    /// # Errors
    ///
    /// As [`Database::append`].
    pub fn push_stale(&mut self, id: SeriesId, at_ms: i64) -> Result<(), AppendError> {
        self.push(id, at_ms, f64::from_bits(STALE))
    }

    /// All series, in the order in which they came.
    pub fn all(&self) -> impl Iterator<Item = &Series> {
        self.series.iter()
    }

    /// The names of all metrics that ever had a sample, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// Whether a metric of that name ever had a sample.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The series that a selector selects, in the order in which they came.
    pub(super) fn select(&self, name: Option<&str>, matchers: &[Matcher]) -> Vec<&Series> {
        let exact = name.or_else(|| {
            let is_name =
                |found: &&Matcher| found.name == NAME && matches!(found.op, MatchOp::Equal);
            matchers.iter().find(is_name).map(|matcher| matcher.value.as_str())
        });
        let is_selected = |series: &&Series| {
            matchers.iter().all(|matcher| matcher.is_match(series.labels.get(&matcher.name)))
        };
        match exact {
            Some(name) => {
                let ids = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
                ids.iter().map(|id| &self.series[id.0]).filter(is_selected).collect()
            }
            None => self.series.iter().filter(is_selected).collect(),
        }
    }
}

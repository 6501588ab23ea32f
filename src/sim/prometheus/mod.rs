//! A Prometheus in the process: samples in memory, PromQL over them, and its HTTP API as a function.
//!
//! In: samples ([`Database::append`]) and a query with its time. Out: what a Prometheus 3 would
//! answer. No clock, no I/O, nothing by chance.
//!
//! **Semantics.** Those of Prometheus 3.x with its default settings, to the number:
//!
//! - Ranges and the lookback of 5 minutes are open on the left: `x[1m]` at 12:01:00 has no sample
//!   of 12:00:00. (Prometheus 2.x has it, and so may find one sample more.)
//! - `rate`, `increase` and `delta` extrapolate, and counters reset, by Prometheus' own rule.
//! - A series that got a staleness marker is gone from the next evaluation on, not 5 minutes later.
//! - Sums and means are compensated (Kahan and Neumaier), in the order of the samples.
//!
//! **What there is.** Selectors with `=`, `!=`, `=~`, `!~`, `offset` and `@`; subqueries; all
//! arithmetic, comparisons with `bool`, `and`, `or`, `unless`, `on`, `ignoring`, `group_left` and
//! `group_right`; the aggregations of [`query::AGGREGATIONS`] by and without labels; the functions
//! of [`query::FUNCTIONS`]. Anything else is refused by its name ([`QueryError::Unsupported`]):
//! nothing is guessed. There are no native histograms, no annotations (warnings and infos), no
//! metadata, no rules and no alerts.

mod database;
mod evaluate;
mod format;
pub mod http;
mod labels;
mod openmetrics;
pub mod query;

#[cfg(test)]
mod tests;

pub use database::{AppendError, Database, Point, Series, SeriesId};
pub use evaluate::{Row, Sample, Value};
pub use labels::Labels;
pub use openmetrics::openmetrics;
pub use query::{Query, QueryError};

/// The label that holds the name of a metric.
pub const NAME: &str = "__name__";

/// How far back an instant vector looks for a sample: `--query.lookback-delta`.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "times of this era are exact in a double")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// A count as a value.
#[expect(clippy::cast_precision_loss, reason = "nothing here has 2^53 elements")]
fn number(count: usize) -> f64 {
    count as f64
}

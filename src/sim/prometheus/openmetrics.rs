//! The database as text, so that a real Prometheus can be filled with it.
//!
//! In: a database. Out: OpenMetrics text with timestamps, as `promtool tsdb create-blocks-from
//! openmetrics` reads it. The format knows no staleness markers: they are left out, so that a real
//! Prometheus shows an ended series for 5 minutes longer than this one does.

use std::fmt::Write;

use super::format::plain;
use super::{Database, Labels, NAME, seconds};

/// Every sample of every series; those of one metric stand together, each series in the order of
/// time.
pub fn openmetrics(database: &Database) -> String {
    let mut text = String::new();
    for name in database.names() {
        for series in database.select(Some(name), &[]) {
            let labels = labels(series.labels());
            for point in series.points().iter().filter(|point| !point.is_stale()) {
                // Writing to a String cannot fail.
                let value = plain(point.value);
                let _ = writeln!(text, "{name}{labels} {value} {:.3}", seconds(point.at_ms));
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn labels(labels: &Labels) -> String {
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != NAME)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

//! How many measurements stay in a status.
//!
//! In: a status of any size. Out: one that fits etcd, trimmed before it is written and whatever
//! became of the run. The counters keep the totals.

use crate::analysis::text::bounded;
use crate::analysis::validate::Pattern;
use crate::api::{AnalysisRunSpec, AnalysisRunStatus, Measurement};

/// Measurements kept of a metric that no `measurementRetention` names.
const DEFAULT: usize = 10;

/// Most bytes of all measurements of a run as JSON, whatever its retentions ask for.
pub const MEASUREMENT_BYTES: usize = 32 * 1024;

/// Text that is left of a measurement when even the last ones take too much room.
const SHORT: usize = 80;

/// Trims the measurements, oldest first. The last one of each metric stays: the next is timed by it.
pub(super) fn trim(spec: &AnalysisRunSpec, status: &mut AnalysisRunStatus) {
    let retentions: Vec<_> = spec
        .measurement_retention
        .iter()
        .filter_map(|each| {
            let pattern = Pattern::compile("", &each.metric_name).ok()?;
            Some((pattern, usize::try_from(each.limit).ok()?.max(1)))
        })
        .collect();
    for result in &mut status.metric_results {
        let asked = retentions.iter().find(|(pattern, _)| pattern.matches(&result.name));
        let limit = asked.map_or(DEFAULT, |(_, limit)| *limit);
        let surplus = result.measurements.len().saturating_sub(limit);
        result.measurements.drain(..surplus);
    }
    cap(status);
}

fn cap(status: &mut AnalysisRunStatus) {
    let mut sizes: Vec<Vec<usize>> = status
        .metric_results
        .iter()
        .map(|result| result.measurements.iter().map(size).collect())
        .collect();
    let mut total: usize = sizes.iter().flatten().sum();
    while total > MEASUREMENT_BYTES {
        // The metric that takes the most room gives first.
        let largest = (0..sizes.len())
            .filter(|at| sizes.get(*at).is_some_and(|each| each.len() > 1))
            .max_by_key(|at| sizes.get(*at).map_or(0, |each| each.iter().sum::<usize>()));
        let Some(at) = largest else { break };
        if let (Some(result), Some(each)) = (status.metric_results.get_mut(at), sizes.get_mut(at)) {
            total -= each.remove(0);
            result.measurements.remove(0);
        }
    }
    if total > MEASUREMENT_BYTES {
        for last in status.metric_results.iter_mut().flat_map(|result| &mut result.measurements) {
            last.message = bounded(&last.message, SHORT);
            last.value = bounded(&last.value, SHORT);
        }
    }
}

fn size(measurement: &Measurement) -> usize {
    serde_json::to_vec(measurement).map_or(0, |json| json.len())
}

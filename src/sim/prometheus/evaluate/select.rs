//! Series at a time, and ranges of them.
//!
//! In: a selector or a subquery, and the moment. Out: a sample of each series, or a window of its
//! points. `offset` and `@` move the moment; staleness markers are never seen.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::{Moment, Sample, Term, Windows};
use crate::sim::prometheus::{LOOKBACK_MS, Labels, Point, QueryError, Series};

/// The step of a subquery without one, in an instant query: Prometheus' default evaluation
/// interval. It is so in range queries too.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// The last sample of each selected series, unless it is older than the lookback or marks an end.
pub(super) fn vector(moment: Moment<'_>, selector: &VectorSelector) -> Vec<Sample> {
    let latest = latest(moment, selector);
    latest.map(|(labels, point)| Sample { labels, value: point.value }).collect()
}

/// As [`vector`], with the time of each sample (in seconds) for its value.
pub(super) fn times(moment: Moment<'_>, selector: &VectorSelector) -> Vec<Sample> {
    let latest = latest(moment, selector);
    let seconds = crate::sim::prometheus::seconds;
    latest.map(|(labels, point)| Sample { labels, value: seconds(point.at_ms) }).collect()
}

fn latest(moment: Moment<'_>, selector: &VectorSelector) -> impl Iterator<Item = (Labels, Point)> {
    let to_ms = moved(moment, selector.at.as_ref(), selector.offset.as_ref());
    selected(moment, selector).into_iter().filter_map(move |series| {
        let last = series.between(to_ms - LOOKBACK_MS, to_ms).last()?;
        (!last.is_stale()).then(|| (series.labels().clone(), *last))
    })
}

/// The points of each selected series in the range before the moment.
pub(super) fn windows<'d>(moment: Moment<'d>, matrix: &MatrixSelector) -> Windows<'d> {
    let end_ms = moved(moment, matrix.vs.at.as_ref(), matrix.vs.offset.as_ref());
    let start_ms = end_ms - milliseconds(matrix.range);
    let mut series = Vec::new();
    for found in selected(moment, &matrix.vs) {
        let points = found.between(start_ms, end_ms);
        let points = if points.iter().any(|point| point.is_stale()) {
            Cow::Owned(points.iter().copied().filter(|point| !point.is_stale()).collect())
        } else {
            Cow::Borrowed(points)
        };
        if !points.is_empty() {
            series.push((found.labels().clone(), points));
        }
    }
    Windows { start_ms, end_ms, series }
}

/// The values of an expression at the multiples of the step in the range before the moment.
pub(super) fn subquery<'d>(
    moment: Moment<'d>,
    subquery: &SubqueryExpr,
) -> Result<Windows<'d>, QueryError> {
    let end_ms = moved(moment, subquery.at.as_ref(), subquery.offset.as_ref());
    let start_ms = end_ms - milliseconds(subquery.range);
    let step_ms = subquery.step.map_or(SUBQUERY_STEP_MS, milliseconds).max(1);
    let mut at_ms = step_ms * (start_ms / step_ms);
    if at_ms <= start_ms {
        at_ms += step_ms;
    }
    let mut series: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
    while at_ms <= end_ms {
        let samples = match (Moment { at_ms, ..moment }).evaluate(&subquery.expr)? {
            Term::Scalar(value) => vec![Sample { labels: Labels::default(), value }],
            Term::Vector(samples) => samples,
            Term::Windows(_) | Term::String(_) => {
                let why = "subquery is only allowed on instant vector";
                return Err(QueryError::Execution(why.to_owned()));
            }
        };
        for Sample { labels, value } in samples {
            series.entry(labels).or_default().push(Point { at_ms, value });
        }
        at_ms += step_ms;
    }
    let series = series.into_iter().map(|(labels, points)| (labels, Cow::Owned(points))).collect();
    Ok(Windows { start_ms, end_ms, series })
}

fn selected<'d>(moment: Moment<'d>, selector: &VectorSelector) -> Vec<&'d Series> {
    moment.database.select(selector.name.as_deref(), &selector.matchers.matchers)
}

/// The moment that `@` and `offset` lead to.
fn moved(moment: Moment<'_>, at: Option<&AtModifier>, offset: Option<&Offset>) -> i64 {
    let at_ms = match at {
        None => moment.at_ms,
        Some(AtModifier::Start) => moment.start_ms,
        Some(AtModifier::End) => moment.end_ms,
        Some(AtModifier::At(time)) => match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(before) => -milliseconds(before.duration()),
        },
    };
    match offset {
        None => at_ms,
        Some(Offset::Pos(duration)) => at_ms - milliseconds(*duration),
        Some(Offset::Neg(duration)) => at_ms + milliseconds(*duration),
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

//! Functions over the points of a window.
//!
//! In: the name of a function and the points of one series in a window, never none. Out: a value.

#![allow(clippy::float_cmp, reason = "PromQL compares the values themselves")]

use super::sum;
use crate::sim::prometheus::{Point, number};

/// The function of that name over the points, if it is one that needs nothing else.
pub(super) fn over(name: &str) -> Option<fn(&[Point]) -> f64> {
    Some(match name {
        "avg_over_time" => |points| sum::mean(values(points)),
        "sum_over_time" => |points| sum::sum(values(points)),
        "count_over_time" => |points| number(points.len()),
        "min_over_time" => |points| values(points).fold(f64::NAN, least),
        "max_over_time" => |points| values(points).fold(f64::NAN, greatest),
        "last_over_time" => |points| points.last().map_or(f64::NAN, |point| point.value),
        "present_over_time" => |_| 1.0,
        "stddev_over_time" => |points| sum::variance(values(points)).sqrt(),
        "stdvar_over_time" => |points| sum::variance(values(points)),
        "changes" => |points| number(points.windows(2).filter(|pair| differ(pair)).count()),
        "resets" => {
            |points| number(points.windows(2).filter(|pair| pair[1].value < pair[0].value).count())
        }
        _ => return None,
    })
}

/// The quantile of the points' values.
pub(super) fn quantile(q: f64, points: &[Point]) -> f64 {
    sum::quantile(q, values(points).collect())
}

/// The lesser of two; NaN yields to anything.
pub(super) fn least(so_far: f64, value: f64) -> f64 {
    if value < so_far || so_far.is_nan() { value } else { so_far }
}

/// The greater of two; NaN yields to anything.
pub(super) fn greatest(so_far: f64, value: f64) -> f64 {
    if value > so_far || so_far.is_nan() { value } else { so_far }
}

fn values(points: &[Point]) -> impl Iterator<Item = f64> {
    points.iter().map(|point| point.value)
}

fn differ(pair: &[Point]) -> bool {
    let (before, after) = (pair[0].value, pair[1].value);
    before != after && !(before.is_nan() && after.is_nan())
}

//! `rate`, `increase`, `delta` and their instant kin.
//!
//! In: the points of one series in a window, and its bounds. Out: the change over the window, or
//! per second. The rule of Prometheus: samples close to a bound (up to 1.1 times their mean
//! distance) are taken to go on to it, others for half a distance; a counter never begins below 0;
//! a counter that falls began anew.

use crate::sim::prometheus::{Point, number, seconds};

/// What is asked of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Rate,
    Increase,
    Delta,
}

/// The change between the bounds, extrapolated to them.
pub(super) fn change(kind: Change, points: &[Point], start_ms: i64, end_ms: i64) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let is_counter = kind != Change::Delta;
    let mut result = last.value - first.value;
    if is_counter {
        let fell = points.windows(2).filter(|pair| pair[1].value < pair[0].value);
        result = fell.fold(result, |result, pair| result + pair[0].value);
    }
    let sampled = seconds(last.at_ms - first.at_ms);
    let distance = sampled / number(points.len() - 1);
    let extended =
        |to_bound: f64| if to_bound >= distance * 1.1 { distance / 2.0 } else { to_bound };
    let mut before = extended(seconds(first.at_ms - start_ms));
    if is_counter && result > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / result));
    }
    let after = extended(seconds(end_ms - last.at_ms));
    let mut factor = (sampled + before + after) / sampled;
    if kind == Change::Rate {
        factor /= seconds(end_ms - start_ms);
    }
    Some(result * factor)
}

/// The change between the last two samples: per second and with resets for `irate`.
pub(super) fn last_change(points: &[Point], is_rate: bool) -> Option<f64> {
    let [.., previous, last] = points else { return None };
    let mut result = last.value - previous.value;
    if is_rate && last.value < previous.value {
        result = last.value;
    }
    Some(if is_rate { result / seconds(last.at_ms - previous.at_ms) } else { result })
}

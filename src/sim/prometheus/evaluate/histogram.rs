//! `histogram_quantile` on classic histograms.
//!
//! In: a quantile and the buckets, which are series with a label `le`. Out: for each histogram the
//! value below which that share of its observations lies, linear within a bucket.

#![allow(clippy::float_cmp, reason = "the bounds of buckets are compared as they are")]

use std::collections::BTreeMap;

use super::Sample;
use crate::sim::prometheus::{Labels, NAME};

/// Relative differences up to this are errors of arithmetic, not of the counts.
const TOLERANCE: f64 = 1e-12;

#[derive(Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// The quantile of each histogram. Series whose `le` is no number are not looked at.
pub(super) fn quantiles(q: f64, samples: Vec<Sample>) -> Vec<Sample> {
    let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    let others = [NAME.to_owned(), "le".to_owned()];
    for sample in samples {
        if let Some(bound) = parse(sample.labels.get("le")) {
            let buckets = histograms.entry(sample.labels.remove(&others)).or_default();
            buckets.push(Bucket { bound, count: sample.value });
        }
    }
    let quantiles = histograms
        .into_iter()
        .map(|(labels, buckets)| Sample { labels, value: quantile(q, buckets) });
    quantiles.collect()
}

fn parse(bound: &str) -> Option<f64> {
    match bound.trim_start_matches('+') {
        "" => None,
        infinite if infinite.eq_ignore_ascii_case("inf") => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

fn quantile(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|left, right| left.bound.total_cmp(&right.bound));
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    let mut buckets = merged(buckets);
    rise(&mut buckets);
    let [below @ .., highest] = &*buckets else { return f64::NAN };
    let Some(last_below) = below.last() else { return f64::NAN };
    if highest.count == 0.0 {
        return f64::NAN;
    }
    let rank = q * highest.count;
    // As a binary search: the first for which it holds, given that it holds from there on.
    let index = below.partition_point(|bucket| bucket.count < rank || bucket.count.is_nan());
    let Some(bucket) = below.get(index) else { return last_below.bound };
    let Some(previous) = index.checked_sub(1).and_then(|index| below.get(index)) else {
        // The first bucket begins at 0, unless it ends below.
        let within = bucket.bound * (rank / bucket.count);
        return if bucket.bound <= 0.0 { bucket.bound } else { within };
    };
    let share = (rank - previous.count) / (bucket.count - previous.count);
    previous.bound + (bucket.bound - previous.bound) * share
}

/// One bucket for each bound.
fn merged(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut() {
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    merged
}

/// Makes the counts rise: buckets are scraped and added up with small errors, and their rates
/// extrapolated each on its own.
fn rise(buckets: &mut [Bucket]) {
    let Some(mut previous) = buckets.first().map(|bucket| bucket.count) else { return };
    for bucket in buckets.iter_mut().skip(1) {
        if almost_equal(previous, bucket.count) || bucket.count < previous {
            bucket.count = previous;
        } else {
            previous = bucket.count;
        }
    }
}

fn almost_equal(left: f64, right: f64) -> bool {
    if left == right {
        return true;
    }
    let (sum, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

//! Sums that lose no small numbers.
//!
//! In: values one by one. Out: their sum or mean, compensated as Prometheus does it (Kahan's method
//! with Neumaier's improvement), so that the last digits agree.

/// A running sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

// === impl Sum ===

impl Sum {
    pub(super) fn add(self, value: f64) -> Self {
        let sum = self.sum + value;
        let lost = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.lost + ((self.sum - sum) + value)
        } else {
            self.lost + ((value - sum) + self.sum)
        };
        Self { sum, lost }
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

/// The sum of `values`.
pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(Sum::default(), Sum::add).total()
}

/// The mean of `values`: their sum by their count, or, where the sum would overflow, a running mean.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut so_far = Sum::default();
    let mut running = false;
    let mut count = 0.0;
    for value in values {
        count += 1.0;
        if !running {
            let next = so_far.add(value);
            if count < 2.0 || next.sum.is_finite() || next.sum.is_nan() {
                so_far = if count < 2.0 { Sum { sum: value, lost: 0.0 } } else { next };
                continue;
            }
            running = true;
            so_far = so_far.scaled(1.0 / (count - 1.0));
        }
        so_far = so_far.scaled((count - 1.0) / count).add(value / count);
    }
    if running { so_far.sum + so_far.lost } else { so_far.sum / count + so_far.lost / count }
}

/// The variance of `values` (of the population), by Welford's method.
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean = mean.add(delta / count);
        squares = squares.add(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}

/// The quantile `q` of `values`, between two of them by their weight. NaN counts as the smallest.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|left, right| {
        left.partial_cmp(right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
    });
    let rank = q * (crate::sim::prometheus::number(values.len()) - 1.0);
    let weight = rank - rank.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the count of values"
    )]
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

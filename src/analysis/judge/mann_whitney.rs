//! The Mann–Whitney test as Kayenta's judge uses it: two series, one look.
//!
//! In: a value a minute of canary and stable. Out: whether the canary is high, low or neither, and a
//! score over metrics. Nothing corrects for looking again and again: use it at the end of a window.

use serde::Serialize;
use statrs::function::erf::erfc_inv;

use super::real;

mod root;
use root::root;

/// How sure it wants to be that there is a shift at all.
const CONFIDENCE: f64 = 0.98;

/// What two series look like beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Pairs in which the canary is higher; a tie is half a pair.
    pub u: f64,
    /// The standardised statistic, with continuity correction.
    pub z: f64,
    /// Lower end of the 98 % interval for the shift of the canary.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// The likely shift.
    pub estimate: f64,
    /// The chance that a value of the canary is above one of stable.
    pub superiority: f64,
    /// Mean of the canary over mean of stable; NaN when one of them is 0.
    pub mean_ratio: f64,
}

/// What counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Shifts up to this share of the likely shift do not count; Kayenta: 0.25.
    pub tolerance: f64,
    /// Means up to this many times stable's mean do not count as high; Kayenta: 1.
    pub allowed_increase: f64,
    /// Means down to this many times stable's mean do not count as low; Kayenta: 1.
    pub allowed_decrease: f64,
    /// Which differences count.
    pub direction: Direction,
}

/// Which differences count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The canary is higher.
    Increase,
    /// The canary is lower.
    Decrease,
    /// Both.
    Either,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// No difference that counts.
    Pass,
    /// The canary is higher.
    High,
    /// The canary is lower.
    Low,
    /// One of the series has no values.
    NoData,
}

/// What a score means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// At least the passing score.
    Pass,
    /// Less, but at least the marginal score.
    Marginal,
    /// Less than that, or too little data.
    Fail,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            tolerance: 0.25,
            allowed_increase: 1.0,
            allowed_decrease: 1.0,
            direction: Direction::Increase,
        }
    }
}

/// Compares two series. Values that are NaN are left out; nothing when that leaves one of them empty.
pub fn compare(canary: &[f64], stable: &[f64]) -> Option<Comparison> {
    let (canary, stable) = (numbers(canary), numbers(stable));
    if canary.is_empty() || stable.is_empty() {
        return None;
    }
    let constant = |series: &[f64]| series.iter().all(|value| value.total_cmp(&series[0]).is_eq());
    if constant(&canary) && constant(&stable) {
        return Some(shift(&spread(&canary), &spread(&stable)));
    }
    Some(shift(&canary, &stable))
}

/// Classifies a metric.
pub fn classify(canary: &[f64], stable: &[f64], rules: &Rules) -> Class {
    let (mut one, mut two) = (numbers(canary), numbers(stable));
    one.sort_by(f64::total_cmp);
    two.sort_by(f64::total_cmp);
    let all = one.iter().chain(&two);
    if one.is_empty() || two.is_empty() {
        return Class::NoData;
    }
    let least = all.clone().copied().fold(f64::INFINITY, f64::min);
    let most = all.copied().fold(f64::NEG_INFINITY, f64::max);
    let Some(found) = compare(canary, stable).filter(|_| one != two && least < most) else {
        return Class::Pass;
    };
    let bound = rules.tolerance * found.estimate.abs();
    // Without a ratio of means there is nothing to check.
    let ratio = found.mean_ratio;
    let high = found.lower > bound && (ratio.is_nan() || ratio >= rules.allowed_increase);
    let low = found.upper < -bound && (ratio.is_nan() || ratio <= rules.allowed_decrease);
    match rules.direction {
        Direction::Increase | Direction::Either if high => Class::High,
        Direction::Decrease | Direction::Either if low => Class::Low,
        _ => Class::Pass,
    }
}

/// The score of some metrics: the share that passes, of 100. Those without data do not count.
/// Nothing when half of them or more have no data.
pub fn score(classes: &[Class]) -> Option<f64> {
    let count = |wanted: Class| {
        let of = classes.iter().filter(|class| **class == wanted).count();
        real(of as u64)
    };
    let (passed, without) = (count(Class::Pass), count(Class::NoData));
    let all = real(classes.len() as u64);
    (2.0 * without < all).then(|| 100.0 * passed / (all - without))
}

/// Grades a score; Kayenta's documents pass at 95 and call 75 marginal.
pub fn grade(score: Option<f64>, pass: f64, marginal: f64) -> Grade {
    match score {
        Some(score) if score >= pass => Grade::Pass,
        Some(score) if score >= marginal => Grade::Marginal,
        _ => Grade::Fail,
    }
}

fn numbers(series: &[f64]) -> Vec<f64> {
    series.iter().copied().filter(|value| value.is_finite()).collect()
}

fn shift(canary: &[f64], stable: &[f64]) -> Comparison {
    let quantile = std::f64::consts::SQRT_2 * erfc_inv(1.0 - CONFIDENCE);
    let extremes = |series: &[f64]| {
        let least = series.iter().copied().fold(f64::INFINITY, f64::min);
        (least, series.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((canary_least, canary_most), (stable_least, stable_most)) =
        (extremes(canary), extremes(stable));
    let range = (canary_least - stable_most, canary_most - stable_least);
    let at = |level: f64| root(|mu| standardised(canary, stable, mu).1 - level, range);
    let (u, z) = standardised(canary, stable, 0.0);
    let mean = |series: &[f64]| series.iter().sum::<f64>() / real(series.len() as u64);
    let (canary_mean, stable_mean) = (mean(canary), mean(stable));
    let zero = |value: f64| value.abs() < f64::MIN_POSITIVE;
    Comparison {
        u,
        z,
        lower: at(quantile),
        upper: at(-quantile),
        estimate: at(0.0),
        superiority: u / (real(canary.len() as u64) * real(stable.len() as u64)),
        mean_ratio: if zero(canary_mean) || zero(stable_mean) {
            f64::NAN
        } else {
            canary_mean / stable_mean
        },
    }
}

/// The pairs in which the canary, less `mu`, is higher; and that number standardised.
fn standardised(canary: &[f64], stable: &[f64], mu: f64) -> (f64, f64) {
    let mut pooled: Vec<(f64, bool)> = canary.iter().map(|value| (value - mu, true)).collect();
    pooled.extend(stable.iter().map(|value| (*value, false)));
    pooled.sort_by(|one, two| one.0.total_cmp(&two.0));
    let (n, m) = (real(canary.len() as u64), real(stable.len() as u64));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    // `total_cmp` would tell -0 from 0; equal values must share a rank.
    #[expect(clippy::float_cmp, reason = "a tie is an equal value")]
    for tied in pooled.chunk_by(|one, two| one.0 == two.0) {
        let size = real(tied.len() as u64);
        let rank = before + f64::midpoint(size, 1.0);
        ranks += rank * real(tied.iter().filter(|(_, canary)| *canary).count() as u64);
        ties += size.powi(3) - size;
        before += size;
    }
    let u = ranks - n * (n + 1.0) / 2.0;
    let w = u - n * m / 2.0;
    let all = n + m;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    let correction = if w == 0.0 { 0.0 } else { 0.5 * w.signum() };
    if variance > 0.0 { (u, (w - correction) / variance.sqrt()) } else { (u, 0.0) }
}

/// A constant series with a little spread, as the test needs some. Kayenta adds noise by chance; this
/// is what such noise looks like on average.
fn spread(series: &[f64]) -> Vec<f64> {
    let n = real(series.len() as u64);
    let quantile = |index: usize| {
        let share = (real(index as u64) + 0.5) / n;
        -std::f64::consts::SQRT_2 * erfc_inv(2.0 * share)
    };
    let all = series.iter().enumerate();
    all.map(|(index, value)| value + value.abs() * 1e-5 * quantile(index)).collect()
}

//! Compares the values that a query has for canary and stable, as Kayenta does.
//!
//! In: series over the time of the release, told apart by a label. Out: a verdict on all of them, once
//! there are enough values. Nothing is remembered: each look reads all values again.

use std::collections::BTreeMap;

use super::rules::{Judge, rules};
use super::samples::Arms;
use crate::analysis::{
    judge::{
        mann_whitney::{Class, Comparison, Grade, classify, compare, grade, score},
        words::time,
    },
    provider::prometheus::Series,
    text::number,
    verdict::{Judged, judged, no_data},
};
use crate::api::{Metric, Verdict};

/// The values of both revisions that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// What tells it from other pairs: its other labels. Often empty.
    pub name: String,
    /// The canary's, in the order of time.
    pub canary: Vec<f64>,
    /// Stable's.
    pub stable: Vec<f64>,
}

/// Pairs the series of the two revisions by their other labels.
pub fn pairs(series: &[Series], arms: &Arms) -> Vec<Pair> {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for each in series {
        let revision = each.labels.get(&arms.label).map(String::as_str).unwrap_or_default();
        let canary = revision == arms.canary;
        if !canary && revision != arms.stable {
            continue;
        }
        let others = each.labels.iter().filter(|(name, _)| **name != arms.label);
        let others: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
        let name = others.join(", ");
        let pair = pairs.entry(name.clone()).or_insert_with(|| Pair { name, ..Pair::default() });
        let values = each.samples.iter().map(|(_, value)| *value).filter(|v| v.is_finite());
        if canary { pair.canary.extend(values) } else { pair.stable.extend(values) }
    }
    pairs.into_values().collect()
}

/// Judges the pairs, if they have enough values.
pub fn judge(metric: &Metric, pairs: &[Pair]) -> Judged {
    let prometheus = metric.provider.prometheus.as_ref();
    let checked = prometheus.and_then(|found| found.compare.as_ref()).map(|found| rules(found, 1));
    let kayenta = match checked {
        Some(Ok(rules)) => match rules.judge {
            Judge::MannWhitney(kayenta) => kayenta,
            _ => return judged(Verdict::Error, String::new(), "no comparison of values"),
        },
        Some(Err(wrong)) => return judged(Verdict::Error, String::new(), &wrong.join("; ")),
        None => return judged(Verdict::Error, String::new(), "no comparison"),
    };
    let values = |pair: &Pair| pair.canary.len().min(pair.stable.len());
    let class = |pair: &Pair| match values(pair) {
        found if found < kayenta.values => Class::NoData,
        _ => {
            let (canary, stable, _) = scaled(pair);
            classify(&canary, &stable, &kayenta.rules)
        }
    };
    let classes: Vec<Class> = pairs.iter().map(class).collect();
    let Some(score) = score(&classes) else {
        let most = pairs.iter().map(values).max().unwrap_or(0);
        let value = if pairs.is_empty() { String::new() } else { format!("{most} values") };
        return no_data(metric, value, lacks(metric, most, kayenta.values));
    };
    let (pass, marginal) = kayenta.scores;
    let verdict = match grade(Some(score), pass, marginal) {
        Grade::Pass => Verdict::Successful,
        Grade::Marginal => Verdict::Inconclusive,
        Grade::Fail => Verdict::Failed,
    };
    let bad =
        pairs.iter().zip(&classes).filter(|(_, class)| matches!(class, Class::High | Class::Low));
    let bad: Vec<String> = bad.map(|(pair, _)| different(pair)).collect();
    let all = classes.iter().filter(|class| **class != Class::NoData).count();
    let message = match (bad.as_slice(), pairs) {
        ([], [pair]) => format!("no difference that counts: {}", means(pair)),
        ([], _) => format!("no difference that counts in {all} series"),
        ([first, ..], [_]) => first.clone(),
        ([first, ..], _) => {
            format!("{} of {all} series differ, score {score:.0} of 100: {first}", bad.len())
        }
    };
    judged(verdict, format!("score {}", number(score.round())), &message)
}

fn lacks(metric: &Metric, found: usize, wanted: usize) -> String {
    if found == 0 {
        return format!("no values of both revisions yet; {wanted} of each are needed");
    }
    let interval = metric.interval.unwrap_or_default().as_secs_f64();
    let missing = u32::try_from(wanted.saturating_sub(found)).unwrap_or(u32::MAX);
    format!(
        "not enough data: {found} of {wanted} values of each revision, {} to go",
        time(f64::from(missing) * interval)
    )
}

/// The values so that the largest is 100, and by what they were multiplied: the test looks for a shift
/// to within 1e-4, which is much of a share and nothing of a number of bytes.
fn scaled(pair: &Pair) -> (Vec<f64>, Vec<f64>, f64) {
    let all = pair.canary.iter().chain(&pair.stable);
    let largest = all.map(|value| value.abs()).fold(0.0, f64::max);
    let factor = if largest > 0.0 { 100.0 / largest } else { 1.0 };
    let scaled = |values: &[f64]| values.iter().map(|value| value * factor).collect();
    (scaled(&pair.canary), scaled(&pair.stable), factor)
}

/// "canary is higher by 12 (98 % sure: 8 to 16), mean 1.3 times stable's".
fn different(pair: &Pair) -> String {
    let (canary, stable, factor) = scaled(pair);
    let Some(Comparison { lower, upper, estimate, .. }) = compare(&canary, &stable) else {
        return means(pair);
    };
    let by = |value: f64| number(digits((value / factor).abs()));
    let (less, more) = if estimate < 0.0 { (upper, lower) } else { (lower, upper) };
    let which = if estimate < 0.0 { "lower" } else { "higher" };
    let of = if pair.name.is_empty() { String::new() } else { format!(" of {}", pair.name) };
    format!(
        "the canary{of} is {which} by {} (98 % sure: {} to {}); {}",
        by(estimate),
        by(less),
        by(more),
        means(pair)
    )
}

fn means(pair: &Pair) -> String {
    let mean = |values: &[f64]| {
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        number(digits(values.iter().sum::<f64>() / f64::from(count.max(1))))
    };
    format!(
        "mean of {} values {}, of {} of stable {}",
        pair.canary.len(),
        mean(&pair.canary),
        pair.stable.len(),
        mean(&pair.stable)
    )
}

/// Three of them.
fn digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 2.0);
    // Divided, because 3 times 0.001 is not 0.003.
    let whole = (value / unit).round();
    if unit < 1.0 { whole / (1.0 / unit).round() } else { whole * unit }
}

#[cfg(test)]
mod tests;

//! Aggregations.
//!
//! In: an aggregation and the moment. Out: one sample for each group of labels, or, of `topk` and
//! `bottomk`, some of the samples as they were.

use std::collections::BTreeMap;

use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};

use super::call::sorted;
use super::window::{greatest, least};
use super::{Moment, Sample, sum};
use crate::sim::prometheus::format::plain;
use crate::sim::prometheus::{Labels, NAME, QueryError, number};

/// The samples of an aggregation.
pub(super) fn aggregate(
    moment: Moment<'_>,
    aggregate: &AggregateExpr,
) -> Result<Vec<Sample>, QueryError> {
    let name = aggregate.op.to_string();
    let samples = moment.vector(&aggregate.expr)?;
    let parameter = || {
        let missing = || QueryError::Execution(format!("{name}() lacks its parameter"));
        aggregate.param.as_deref().ok_or_else(missing)
    };
    let grouping = Grouping::of(aggregate.modifier.as_ref());
    match name.as_str() {
        "topk" | "bottomk" => {
            let count = count(moment.scalar(parameter()?)?)?;
            Ok(some(samples, &grouping, count, name == "topk"))
        }
        "count_values" => {
            let label = text(moment, parameter()?)?;
            Ok(count_values(samples, grouping, &label))
        }
        "quantile" => {
            let q = moment.scalar(parameter()?)?;
            Ok(each(samples, &grouping, |values| sum::quantile(q, values)))
        }
        _ => {
            let function = function(&name)
                .ok_or_else(|| QueryError::Unsupported(format!("the aggregation {name}()")))?;
            Ok(each(samples, &grouping, |values| function(&values)))
        }
    }
}

fn function(name: &str) -> Option<fn(&[f64]) -> f64> {
    Some(match name {
        "sum" => |values| sum::sum(values.iter().copied()),
        "avg" => |values| sum::mean(values.iter().copied()),
        "min" => |values| values.iter().copied().fold(f64::NAN, least),
        "max" => |values| values.iter().copied().fold(f64::NAN, greatest),
        "count" => |values| number(values.len()),
        "group" => |_| 1.0,
        "stddev" => |values| sum::variance(values.iter().copied()).sqrt(),
        "stdvar" => |values| sum::variance(values.iter().copied()),
        _ => return None,
    })
}

/// The labels that make a group.
enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

// === impl Grouping ===

impl Grouping {
    fn of(modifier: Option<&LabelModifier>) -> Self {
        match modifier {
            None => Self::By(Vec::new()),
            Some(LabelModifier::Include(labels)) => Self::By(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => {
                let mut labels = labels.labels.clone();
                labels.push(NAME.to_owned());
                Self::Without(labels)
            }
        }
    }

    fn labels(&self, labels: &Labels) -> Labels {
        match self {
            Self::By(names) if names.is_empty() => Labels::default(),
            Self::By(names) => labels.keep(names),
            Self::Without(names) => labels.remove(names),
        }
    }

    /// The samples of each group, groups and samples in the order in which they came.
    fn groups(&self, samples: Vec<Sample>) -> Vec<(Labels, Vec<Sample>)> {
        let mut groups: Vec<(Labels, Vec<Sample>)> = Vec::new();
        let mut places: BTreeMap<Labels, usize> = BTreeMap::new();
        for sample in samples {
            let labels = self.labels(&sample.labels);
            let place = *places.entry(labels.clone()).or_insert(groups.len());
            if place == groups.len() {
                groups.push((labels, Vec::new()));
            }
            groups[place].1.push(sample);
        }
        groups
    }
}

/// One value for each group.
fn each(
    samples: Vec<Sample>,
    grouping: &Grouping,
    function: impl Fn(Vec<f64>) -> f64,
) -> Vec<Sample> {
    let groups = grouping.groups(samples).into_iter();
    let values = |samples: Vec<Sample>| samples.into_iter().map(|sample| sample.value).collect();
    groups.map(|(labels, samples)| Sample { labels, value: function(values(samples)) }).collect()
}

/// The greatest or least samples of each group.
fn some(samples: Vec<Sample>, grouping: &Grouping, count: usize, greatest: bool) -> Vec<Sample> {
    let groups = grouping.groups(samples).into_iter();
    groups.flat_map(|(_, samples)| sorted(samples, greatest).into_iter().take(count)).collect()
}

/// How many samples of each group have which value, the value being a label.
fn count_values(samples: Vec<Sample>, mut grouping: Grouping, label: &str) -> Vec<Sample> {
    if let Grouping::By(names) = &mut grouping {
        names.push(label.to_owned());
    }
    let valued = samples
        .into_iter()
        .map(|sample| Sample { labels: sample.labels.with(label, &plain(sample.value)), ..sample });
    each(valued.collect(), &grouping, |values| number(values.len()))
}

fn count(parameter: f64) -> Result<usize, QueryError> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
    let whole = parameter as i64;
    #[expect(clippy::cast_precision_loss, reason = "the bound itself is exact")]
    let fits = parameter.abs() < i64::MAX as f64;
    if !fits {
        let why = format!("Scalar value {} overflows int64", plain(parameter));
        return Err(QueryError::Execution(why));
    }
    Ok(usize::try_from(whole).unwrap_or(0))
}

fn text(moment: Moment<'_>, parameter: &Expr) -> Result<String, QueryError> {
    let label = moment.text(parameter)?;
    if label.is_empty() {
        return Err(QueryError::Execution("invalid label name \"\"".to_owned()));
    }
    Ok(label)
}

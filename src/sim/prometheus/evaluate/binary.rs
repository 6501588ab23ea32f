//! Operators between two expressions.
//!
//! In: the operator, its modifiers and the moment. Out: a number or samples. Arithmetic takes the
//! metric's name away; a comparison without `bool` keeps the left side where it holds.

#![allow(clippy::float_cmp, reason = "PromQL compares the values themselves")]

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::{Moment, Sample, Term, unexpected, unique};
use crate::sim::prometheus::{Labels, NAME, QueryError};

/// The value of an operation.
pub(super) fn binary<'d>(moment: Moment<'d>, binary: &BinaryExpr) -> Result<Term<'d>, QueryError> {
    let operator = Operator::of(&binary.op.to_string())?;
    let default = BinModifier::default();
    let modifier = binary.modifier.as_ref().unwrap_or(&default);
    let as_bool = modifier.return_bool;
    let samples = match (moment.evaluate(&binary.lhs)?, moment.evaluate(&binary.rhs)?) {
        (Term::Scalar(left), Term::Scalar(right)) => {
            let (value, holds) = operator.apply(left, right);
            let is_comparison = matches!(operator, Operator::Comparison(_));
            let value = if is_comparison { f64::from(u8::from(holds)) } else { value };
            return Ok(Term::Scalar(value));
        }
        (Term::Vector(samples), Term::Scalar(right)) => {
            with_scalar(operator, samples, as_bool, |value| operator.apply(value, right))
        }
        (Term::Scalar(left), Term::Vector(samples)) => {
            with_scalar(operator, samples, as_bool, |value| {
                let (result, holds) = operator.apply(left, value);
                // A comparison keeps the value of the vector, also where that is on the right.
                let is_comparison = matches!(operator, Operator::Comparison(_));
                (if is_comparison { value } else { result }, holds)
            })
        }
        (Term::Vector(left), Term::Vector(right)) => match operator {
            Operator::And => kept(left, &right, &Matching::of(modifier), true),
            Operator::Unless => kept(left, &right, &Matching::of(modifier), false),
            Operator::Or => {
                let more = kept(right, &left, &Matching::of(modifier), false);
                left.into_iter().chain(more).collect()
            }
            _ => pairs(operator, left, right, modifier)?,
        },
        _ => return Err(unexpected("numbers or instant vectors", &binary.lhs)),
    };
    unique(samples).map(Term::Vector)
}

#[derive(Clone, Copy)]
enum Operator {
    Arithmetic(fn(f64, f64) -> f64),
    Comparison(fn(&f64, &f64) -> bool),
    And,
    Or,
    Unless,
}

// === impl Operator ===

impl Operator {
    fn of(name: &str) -> Result<Self, QueryError> {
        Ok(match name {
            "+" => Self::Arithmetic(|left, right| left + right),
            "-" => Self::Arithmetic(|left, right| left - right),
            "*" => Self::Arithmetic(|left, right| left * right),
            "/" => Self::Arithmetic(|left, right| left / right),
            "%" => Self::Arithmetic(|left, right| left % right),
            "^" => Self::Arithmetic(f64::powf),
            "atan2" => Self::Arithmetic(f64::atan2),
            "==" => Self::Comparison(f64::eq),
            "!=" => Self::Comparison(f64::ne),
            "<" => Self::Comparison(f64::lt),
            "<=" => Self::Comparison(f64::le),
            ">" => Self::Comparison(f64::gt),
            ">=" => Self::Comparison(f64::ge),
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            other => return Err(QueryError::Unsupported(format!("the operator {other}"))),
        })
    }

    /// The value, and whether it is to be kept.
    fn apply(self, left: f64, right: f64) -> (f64, bool) {
        match self {
            Self::Arithmetic(function) => (function(left, right), true),
            Self::Comparison(function) => (left, function(&left, &right)),
            Self::And | Self::Or | Self::Unless => (left, true),
        }
    }

    /// Whether the result is no longer a sample of the metric.
    fn drops_name(self, as_bool: bool) -> bool {
        as_bool || matches!(self, Self::Arithmetic(_))
    }
}

fn with_scalar(
    operator: Operator,
    samples: Vec<Sample>,
    as_bool: bool,
    apply: impl Fn(f64) -> (f64, bool),
) -> Vec<Sample> {
    let applied = samples.into_iter().filter_map(|Sample { labels, value }| {
        let (value, holds) = apply(value);
        let value = if as_bool { f64::from(u8::from(holds)) } else { value };
        let name_goes = operator.drops_name(as_bool);
        let labels = if name_goes { labels.without_name() } else { labels };
        (holds || as_bool).then_some(Sample { labels, value })
    });
    applied.collect()
}

/// The labels by which samples of both sides find each other.
enum Matching {
    On(Vec<String>),
    Ignoring(Vec<String>),
}

// === impl Matching ===

impl Matching {
    fn of(modifier: &BinModifier) -> Self {
        match &modifier.matching {
            Some(LabelModifier::Include(labels)) => Self::On(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => Self::Ignoring(labels.labels.clone()),
            None => Self::Ignoring(Vec::new()),
        }
    }

    fn signature(&self, labels: &Labels) -> Labels {
        match self {
            Self::On(names) => labels.keep(names),
            Self::Ignoring(names) => labels.remove(names).without_name(),
        }
    }
}

/// The samples that have a partner, or those that have none.
fn kept(samples: Vec<Sample>, others: &[Sample], matching: &Matching, want: bool) -> Vec<Sample> {
    let present: BTreeSet<Labels> =
        others.iter().map(|other| matching.signature(&other.labels)).collect();
    let is_wanted = |sample: &Sample| present.contains(&matching.signature(&sample.labels)) == want;
    samples.into_iter().filter(is_wanted).collect()
}

/// The operation between each sample and its partner.
fn pairs(
    operator: Operator,
    left: Vec<Sample>,
    right: Vec<Sample>,
    modifier: &BinModifier,
) -> Result<Vec<Sample>, QueryError> {
    if left.is_empty() || right.is_empty() {
        return Ok(Vec::new());
    }
    let matching = Matching::of(modifier);
    // `group_right` is `group_left` with the sides swapped.
    let swapped = matches!(modifier.card, VectorMatchCardinality::OneToMany(_));
    let one_to_one = matches!(modifier.card, VectorMatchCardinality::OneToOne);
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let partners = partners(one, &matching, if swapped { "left" } else { "right" })?;
    let mut results = Vec::with_capacity(many.len());
    let mut seen: BTreeSet<(Labels, Labels)> = BTreeSet::new();
    for sample in many {
        let signature = matching.signature(&sample.labels);
        let Some(partner) = partners.get(&signature) else { continue };
        let (a, b) =
            if swapped { (partner.value, sample.value) } else { (sample.value, partner.value) };
        let (value, holds) = operator.apply(a, b);
        let labels = labels(&sample.labels, &partner.labels, operator, modifier, &matching);
        let result = if one_to_one { Labels::default() } else { labels.clone() };
        if !seen.insert((signature, result)) {
            return Err(QueryError::Execution(if one_to_one {
                "multiple matches for labels: many-to-one matching must be explicit \
                 (group_left/group_right)"
                    .to_owned()
            } else {
                "multiple matches for labels: grouping labels must ensure unique matches".to_owned()
            }));
        }
        let value = if modifier.return_bool { f64::from(u8::from(holds)) } else { value };
        if holds || modifier.return_bool {
            results.push(Sample { labels, value });
        }
    }
    Ok(results)
}

/// The samples of the side that has one for each signature.
fn partners(
    one: Vec<Sample>,
    matching: &Matching,
    side: &str,
) -> Result<BTreeMap<Labels, Sample>, QueryError> {
    let mut partners: BTreeMap<Labels, Sample> = BTreeMap::new();
    for sample in one {
        let signature = matching.signature(&sample.labels);
        if let Some(other) = partners.get(&signature) {
            return Err(QueryError::Execution(format!(
                "found duplicate series for the match group {signature} on the {side} hand-side of \
                 the operation: [{}, {}];many-to-many matching not allowed: matching labels must \
                 be unique on one side",
                sample.labels, other.labels
            )));
        }
        partners.insert(signature, sample);
    }
    Ok(partners)
}

/// The labels of a pair's result.
fn labels(
    many: &Labels,
    one: &Labels,
    operator: Operator,
    modifier: &BinModifier,
    matching: &Matching,
) -> Labels {
    let name_goes = operator.drops_name(modifier.return_bool);
    let mut labels = if name_goes { many.without_name() } else { many.clone() };
    if modifier.card == VectorMatchCardinality::OneToOne {
        labels = match matching {
            Matching::On(names) => labels.keep(names),
            Matching::Ignoring(names) => labels.remove(names),
        };
    }
    let included = modifier.card.labels().map(|labels| labels.labels.as_slice());
    for name in included.unwrap_or_default() {
        labels = labels.with(name, one.get(name));
    }
    if modifier.return_bool { labels.remove(&[NAME.to_owned()]) } else { labels }
}

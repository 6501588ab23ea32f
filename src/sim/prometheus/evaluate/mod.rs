//! The value of a query.
//!
//! In: a [`Query`], a [`Database`] and a time, or a range of times. Out: a [`Value`], or rows of
//! points. A range query is the instant query at each of its steps, which is what Prometheus' own
//! evaluation amounts to.
//!
//! - [`select`]: series at a time, ranges of them, subqueries.
//! - [`call`]: functions; [`rate`] and [`window`] those over ranges; [`histogram`] quantiles.
//! - [`aggregate`], [`binary`]: aggregations and operators.

mod aggregate;
mod binary;
mod call;
mod histogram;
mod rate;
mod relabel;
mod select;
mod sum;
mod window;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use promql_parser::parser::Expr;

use super::{Database, Labels, Point, Query, QueryError};

/// A value of one series at the time of the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels of the series.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// Points of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The labels of the series.
    pub labels: Labels,
    /// Its points in the order of time.
    pub points: Vec<Point>,
}

/// The answer to an instant query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A value for each series.
    Vector(Vec<Sample>),
    /// Points of each series: the query ends in a range.
    Matrix(Vec<Row>),
    /// A text.
    String(String),
}

// === impl Query ===

impl Query {
    /// The value at a time.
    ///
    /// # Errors
    ///
    /// [`QueryError::Execution`]: for example many series on both sides of an operator.
    pub fn instant(&self, database: &Database, at: Timestamp) -> Result<Value, QueryError> {
        let at_ms = at.as_millisecond();
        let moment = Moment { database, at_ms, start_ms: at_ms, end_ms: at_ms };
        Ok(match moment.evaluate(&self.expr)? {
            Term::Scalar(value) => Value::Scalar(value),
            Term::Vector(samples) => Value::Vector(samples),
            Term::String(text) => Value::String(text),
            Term::Windows(windows) => {
                let rows = windows
                    .series
                    .into_iter()
                    .map(|(labels, points)| Row { labels, points: points.into_owned() });
                let mut rows: Vec<Row> = rows.collect();
                rows.sort_by(|left, right| left.labels.cmp(&right.labels));
                Value::Matrix(rows)
            }
        })
    }

    /// The values at `start`, `start + step`, ... not later than `end`, in the order of the labels.
    ///
    /// # Errors
    ///
    /// As [`Query::instant`], and for a query whose value is a range or a text.
    pub fn range(
        &self,
        database: &Database,
        start: Timestamp,
        end: Timestamp,
        step_ms: i64,
    ) -> Result<Vec<Row>, QueryError> {
        let (start_ms, end_ms) = (start.as_millisecond(), end.as_millisecond());
        let mut rows: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        let mut at_ms = start_ms;
        while at_ms <= end_ms {
            let moment = Moment { database, at_ms, start_ms, end_ms };
            let samples = match moment.evaluate(&self.expr)? {
                Term::Scalar(value) => vec![Sample { labels: Labels::default(), value }],
                Term::Vector(samples) => samples,
                Term::Windows(_) | Term::String(_) => {
                    return Err(QueryError::Execution(format!(
                        "invalid expression type \"{}\" for range query, must be Scalar or \
                         instant Vector",
                        self.result_type()
                    )));
                }
            };
            for Sample { labels, value } in samples {
                rows.entry(labels).or_default().push(Point { at_ms, value });
            }
            at_ms += step_ms.max(1);
        }
        Ok(rows.into_iter().map(|(labels, points)| Row { labels, points }).collect())
    }
}

/// Where and when an expression is evaluated.
#[derive(Clone, Copy)]
struct Moment<'d> {
    database: &'d Database,
    at_ms: i64,
    /// What `@ start()` and `@ end()` mean: the bounds of the whole query.
    start_ms: i64,
    end_ms: i64,
}

/// What an expression is at a moment.
enum Term<'d> {
    Scalar(f64),
    Vector(Vec<Sample>),
    Windows(Windows<'d>),
    String(String),
}

/// The points of each series later than `start_ms` and not later than `end_ms`.
struct Windows<'d> {
    start_ms: i64,
    end_ms: i64,
    series: Vec<(Labels, Cow<'d, [Point]>)>,
}

// === impl Moment ===

impl<'d> Moment<'d> {
    fn evaluate(self, expr: &Expr) -> Result<Term<'d>, QueryError> {
        Ok(match expr {
            Expr::NumberLiteral(number) => Term::Scalar(number.val),
            Expr::StringLiteral(string) => Term::String(string.val.clone()),
            Expr::Paren(paren) => self.evaluate(&paren.expr)?,
            Expr::VectorSelector(selector) => Term::Vector(select::vector(self, selector)),
            Expr::MatrixSelector(matrix) => Term::Windows(select::windows(self, matrix)),
            Expr::Subquery(subquery) => Term::Windows(select::subquery(self, subquery)?),
            Expr::Call(call) => call::call(self, call)?,
            Expr::Aggregate(aggregate) => Term::Vector(aggregate::aggregate(self, aggregate)?),
            Expr::Binary(binary) => binary::binary(self, binary)?,
            Expr::Unary(unary) => match self.evaluate(&unary.expr)? {
                Term::Scalar(value) => Term::Scalar(-value),
                Term::Vector(samples) => Term::Vector(unique(
                    samples.into_iter().map(|sample| sample.nameless(|value| -value)).collect(),
                )?),
                _ => return Err(unexpected("a number or an instant vector", expr)),
            },
            Expr::Extension(_) => return Err(unexpected("PromQL", expr)),
        })
    }

    fn vector(self, expr: &Expr) -> Result<Vec<Sample>, QueryError> {
        match self.evaluate(expr)? {
            Term::Vector(samples) => Ok(samples),
            _ => Err(unexpected("an instant vector", expr)),
        }
    }

    fn scalar(self, expr: &Expr) -> Result<f64, QueryError> {
        match self.evaluate(expr)? {
            Term::Scalar(value) => Ok(value),
            _ => Err(unexpected("a number", expr)),
        }
    }

    fn windows(self, expr: &Expr) -> Result<Windows<'d>, QueryError> {
        match self.evaluate(expr)? {
            Term::Windows(windows) => Ok(windows),
            _ => Err(unexpected("a range vector", expr)),
        }
    }

    fn text(self, expr: &Expr) -> Result<String, QueryError> {
        match self.evaluate(expr)? {
            Term::String(text) => Ok(text),
            _ => Err(unexpected("a text", expr)),
        }
    }
}

// === impl Sample ===

impl Sample {
    /// The same series without its name, with another value.
    fn nameless(self, value: impl Fn(f64) -> f64) -> Self {
        Self { labels: self.labels.without_name(), value: value(self.value) }
    }
}

/// The samples, if no two have the same labels.
fn unique(samples: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
    let mut labels: Vec<&Labels> = samples.iter().map(|sample| &sample.labels).collect();
    labels.sort_unstable();
    if labels.is_sorted_by(|left, right| left < right) {
        return Ok(samples);
    }
    let why = "vector cannot contain metrics with the same labelset";
    Err(QueryError::Execution(why.to_owned()))
}

/// The parser checks the types, so that this is for what it lets pass.
fn unexpected(expected: &str, found: &Expr) -> QueryError {
    QueryError::Execution(format!("expected {expected}, got `{found}`"))
}

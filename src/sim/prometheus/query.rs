//! A query: read, checked and ready to be asked.
//!
//! In: the text of a PromQL expression. Out: a [`Query`], or why it is none, or what in it the
//! simulation does not have. It also says which metrics it reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use promql_parser::label::{MatchOp, Matchers};
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr, VectorSelector};

use super::{Database, NAME};

/// Queries that are kept: an analysis asks the same ones again and again.
const KEPT: usize = 256;

static READ: LazyLock<Mutex<BTreeMap<String, Arc<Query>>>> = LazyLock::new(Mutex::default);

/// The functions that there are.
pub const FUNCTIONS: [&str; 52] = [
    "abs",
    "absent",
    "absent_over_time",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "exp",
    "floor",
    "histogram_quantile",
    "idelta",
    "increase",
    "irate",
    "label_join",
    "label_replace",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "scalar",
    "sgn",
    "sort",
    "sort_desc",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "time",
    "timestamp",
    "vector",
    // Trigonometry is as simple as `abs`.
    "acos",
    "asin",
    "atan",
    "cos",
    "cosh",
    "deg",
    "pi",
    "rad",
    "sin",
    "sinh",
    "tan",
];

/// The aggregations that there are.
pub const AGGREGATIONS: [&str; 12] = [
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];

/// A query that can be asked.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) expr: Expr,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is not PromQL.
    #[error("parse error: {0}")]
    Syntax(String),
    /// It has something that the simulation does not have.
    #[error("the simulation does not have {0}, and guesses nothing")]
    Unsupported(String),
    /// It cannot be evaluated on these samples.
    #[error("{0}")]
    Execution(String),
}

// === impl Query ===

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    ///
    /// It is not PromQL, or has something that the simulation does not have.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let expr = parser::parse(text).map_err(|why| QueryError::Syntax(why.clone()))?;
        let mut unsupported = None;
        visit(&expr, &mut |expr| {
            unsupported = unsupported.take().or_else(|| missing(expr));
        });
        match unsupported {
            Some(what) => Err(QueryError::Unsupported(what)),
            None => Ok(Self { expr }),
        }
    }

    /// The same, but a query that was read before is not read again: that costs more than most
    /// answers.
    ///
    /// # Errors
    ///
    /// As [`Query::parse`].
    pub(super) fn known(text: &str) -> Result<Arc<Self>, QueryError> {
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(query) = read.get(text) {
            return Ok(query.clone());
        }
        let query = Arc::new(Self::parse(text)?);
        if read.len() >= KEPT {
            read.clear();
        }
        read.insert(text.to_owned(), query.clone());
        Ok(query)
    }

    /// The type of its result, as Prometheus calls it in messages.
    pub fn result_type(&self) -> &'static str {
        match self.expr.value_type() {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            ValueType::String => "string",
        }
    }

    /// The names of the metrics that it reads, as far as it names them exactly.
    pub fn metrics(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        visit(&self.expr, &mut |expr| {
            if let Some(selector) = selector(expr) {
                names.extend(selector.name.clone());
                let exact =
                    selector.matchers.matchers.iter().filter(|matcher| {
                        matcher.name == NAME && matches!(matcher.op, MatchOp::Equal)
                    });
                names.extend(exact.map(|matcher| matcher.value.clone()));
            }
        });
        names
    }

    /// Those of its metrics that the database has never seen: most likely a wrong name, or a metric
    /// of something that is not simulated.
    pub fn unknown_metrics(&self, database: &Database) -> BTreeSet<String> {
        self.metrics().into_iter().filter(|name| !database.has(name)).collect()
    }
}

/// The selector that `expr` is, if it is one.
fn selector(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    }
}

/// What of `expr` itself, not of what is in it, the simulation does not have.
fn missing(expr: &Expr) -> Option<String> {
    let or = |matchers: &Matchers| {
        (!matchers.or_matchers.is_empty()).then(|| "`or` between matchers of a selector".to_owned())
    };
    match expr {
        Expr::Call(call) if !FUNCTIONS.contains(&call.func.name) => {
            Some(format!("the function {}()", call.func.name))
        }
        Expr::Aggregate(aggregate) => {
            let name = aggregate.op.to_string();
            let known = AGGREGATIONS.contains(&name.as_str());
            (!known).then(|| format!("the aggregation {name}()"))
        }
        Expr::Binary(binary) => {
            let fill = binary.modifier.as_ref().is_some_and(|modifier| {
                modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some()
            });
            fill.then(|| "the modifier fill()".to_owned())
        }
        Expr::Extension(_) => Some("extensions of PromQL".to_owned()),
        _ => selector(expr).and_then(|selector| or(&selector.matchers)),
    }
}

/// Shows `expr` and all in it to `visitor`, from the outside in.
fn visit(expr: &Expr, visitor: &mut impl FnMut(&Expr)) {
    visitor(expr);
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(parameter) = &aggregate.param {
                visit(parameter, visitor);
            }
            visit(&aggregate.expr, visitor);
        }
        Expr::Unary(unary) => visit(&unary.expr, visitor),
        Expr::Binary(binary) => {
            visit(&binary.lhs, visitor);
            visit(&binary.rhs, visitor);
        }
        Expr::Paren(paren) => visit(&paren.expr, visitor),
        Expr::Subquery(subquery) => visit(&subquery.expr, visitor),
        Expr::Call(call) => {
            for argument in &call.args.args {
                visit(argument, visitor);
            }
        }
        Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::Extension(_) => {}
    }
}

//! Calls of functions.
//!
//! In: a call and the moment. Out: its value. A function that makes new numbers takes the metric's
//! name away; one that picks a sample (`last_over_time`, `sort`) leaves it.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Call, Expr, VectorSelector};

use super::rate::{self, Change};
use super::{Moment, Sample, Term, histogram, relabel, select, unexpected, unique, window};
use crate::sim::prometheus::{Labels, NAME, Point, QueryError, seconds};

/// The value of a call.
pub(super) fn call<'d>(moment: Moment<'d>, call: &Call) -> Result<Term<'d>, QueryError> {
    let name = call.func.name;
    let args: Vec<&Expr> = call.args.args.iter().map(|argument| &**argument).collect();
    if let Some(over) = window::over(name) {
        let keeps_name = name == "last_over_time";
        return over_windows(moment, arg(&args, 0)?, keeps_name, |points, _, _| Some(over(points)));
    }
    if let Some(math) = math(name) {
        // Without an argument, as `round(x)` and not `round(x, 5)`.
        return nameless(moment.vector(arg(&args, 0)?)?, math);
    }
    match name {
        "rate" | "increase" | "delta" | "irate" | "idelta" => {
            over_windows(moment, arg(&args, 0)?, false, |points, start_ms, end_ms| match name {
                "rate" => rate::change(Change::Rate, points, start_ms, end_ms),
                "increase" => rate::change(Change::Increase, points, start_ms, end_ms),
                "delta" => rate::change(Change::Delta, points, start_ms, end_ms),
                _ => rate::last_change(points, name == "irate"),
            })
        }
        "quantile_over_time" => {
            let q = moment.scalar(arg(&args, 0)?)?;
            let quantile = |points: &[Point], _, _| Some(window::quantile(q, points));
            over_windows(moment, arg(&args, 1)?, false, quantile)
        }
        "time" => Ok(Term::Scalar(seconds(moment.at_ms))),
        "pi" => Ok(Term::Scalar(std::f64::consts::PI)),
        "scalar" => Ok(Term::Scalar(match &*moment.vector(arg(&args, 0)?)? {
            [only] => only.value,
            _ => f64::NAN,
        })),
        "vector" => {
            let value = moment.scalar(arg(&args, 0)?)?;
            Ok(Term::Vector(vec![Sample { labels: Labels::default(), value }]))
        }
        "clamp" | "clamp_min" | "clamp_max" | "round" => with_numbers(moment, name, &args),
        _ => with_series(moment, name, &args),
    }
}

/// Functions that look at the samples as such.
fn with_series<'d>(moment: Moment<'d>, name: &str, args: &[&Expr]) -> Result<Term<'d>, QueryError> {
    let first = arg(args, 0)?;
    let samples = match name {
        "timestamp" => timestamps(moment, first)?,
        "absent" => absent(moment.vector(first)?.is_empty(), first),
        "absent_over_time" => absent(moment.windows(first)?.series.is_empty(), first),
        "sort" => sorted(moment.vector(first)?, false),
        "sort_desc" => sorted(moment.vector(first)?, true),
        "histogram_quantile" => {
            histogram::quantiles(moment.scalar(first)?, moment.vector(arg(args, 1)?)?)
        }
        "label_replace" => {
            let texts = args.iter().skip(1).map(|text| moment.text(text));
            let texts = texts.collect::<Result<Vec<String>, QueryError>>()?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let texts =
                <[&str; 4]>::try_from(texts).map_err(|_| unexpected("5 arguments", first))?;
            relabel::replace(moment.vector(first)?, texts)?
        }
        "label_join" => {
            let (target, separator) = (moment.text(arg(args, 1)?)?, moment.text(arg(args, 2)?)?);
            let sources = args.iter().skip(3).map(|text| moment.text(text));
            let sources = sources.collect::<Result<Vec<String>, QueryError>>()?;
            relabel::join(moment.vector(first)?, &target, &separator, &sources)?
        }
        _ => return Err(QueryError::Unsupported(format!("the function {name}()"))),
    };
    Ok(Term::Vector(samples))
}

/// Functions of a sample and numbers.
fn with_numbers<'d>(
    moment: Moment<'d>,
    name: &str,
    args: &[&Expr],
) -> Result<Term<'d>, QueryError> {
    let samples = moment.vector(arg(args, 0)?)?;
    let number = |index: usize| moment.scalar(arg(args, index)?);
    if name == "round" {
        let to = if args.len() > 1 { number(1)? } else { 1.0 };
        let inverse = 1.0 / to;
        return nameless(samples, |value| (value * inverse + 0.5).floor() / inverse);
    }
    let (least, greatest) = match name {
        "clamp_min" => (number(1)?, f64::INFINITY),
        "clamp_max" => (f64::NEG_INFINITY, number(1)?),
        _ => (number(1)?, number(2)?),
    };
    if greatest < least {
        return Ok(Term::Vector(Vec::new()));
    }
    nameless(samples, |value| {
        // Unlike Rust's, Go's minimum and maximum of NaN and anything are NaN.
        if value.is_nan() || least.is_nan() || greatest.is_nan() {
            return f64::NAN;
        }
        value.min(greatest).max(least)
    })
}

/// The function of one number of that name.
fn math(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sqrt" => f64::sqrt,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        _ => return None,
    })
}

fn arg<'e>(args: &[&'e Expr], index: usize) -> Result<&'e Expr, QueryError> {
    let found = args.get(index).copied();
    found.ok_or_else(|| QueryError::Execution(format!("argument {} is missing", index + 1)))
}

/// A function of each window's points and the windows' bounds.
fn over_windows<'d>(
    moment: Moment<'d>,
    range: &Expr,
    keeps_name: bool,
    function: impl Fn(&[Point], i64, i64) -> Option<f64>,
) -> Result<Term<'d>, QueryError> {
    let windows = moment.windows(range)?;
    // Series of one metric stay apart without its name, and need no check.
    let mut names = windows.series.iter().map(|(labels, _)| labels.name());
    let first = names.next().unwrap_or_default();
    let is_one_metric = !first.is_empty() && names.all(|name| name == first);
    let samples = windows.series.iter().filter_map(|(labels, points)| {
        let value = function(points, windows.start_ms, windows.end_ms)?;
        let labels = if keeps_name { labels.clone() } else { labels.without_name() };
        Some(Sample { labels, value })
    });
    let samples = samples.collect();
    Ok(Term::Vector(if is_one_metric { samples } else { unique(samples)? }))
}

fn nameless<'d>(
    samples: Vec<Sample>,
    function: impl Fn(f64) -> f64,
) -> Result<Term<'d>, QueryError> {
    let samples = samples.into_iter().map(|sample| sample.nameless(&function));
    unique(samples.collect()).map(Term::Vector)
}

/// The times of a selector's samples; of any other vector, the time of the evaluation.
fn timestamps(moment: Moment<'_>, expr: &Expr) -> Result<Vec<Sample>, QueryError> {
    let samples = match bare(expr) {
        Expr::VectorSelector(selector) => select::times(moment, selector),
        other => moment.vector(other)?,
    };
    let now = seconds(moment.at_ms);
    let is_selector = matches!(bare(expr), Expr::VectorSelector(_));
    let time = |value| if is_selector { value } else { now };
    unique(samples.into_iter().map(|sample| sample.nameless(time)).collect())
}

/// What is inside of parentheses.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => bare(&paren.expr),
        other => other,
    }
}

/// 1 with the labels that the selector demands by `=`, if nothing is there.
fn absent(nothing: bool, expr: &Expr) -> Vec<Sample> {
    if !nothing {
        return Vec::new();
    }
    let labels = match expr {
        Expr::VectorSelector(selector) => demanded(selector),
        Expr::MatrixSelector(matrix) => demanded(&matrix.vs),
        _ => Labels::default(),
    };
    vec![Sample { labels, value: 1.0 }]
}

fn demanded(selector: &VectorSelector) -> Labels {
    let matchers = &selector.matchers.matchers;
    let once = |matcher: &&Matcher| {
        let same = matchers.iter().filter(|other| other.name == matcher.name);
        matcher.name != NAME && matches!(matcher.op, MatchOp::Equal) && same.count() == 1
    };
    let demanded = matchers.iter().filter(once);
    Labels::new(demanded.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

/// In the order of the values, NaN last in both directions.
pub(super) fn sorted(mut samples: Vec<Sample>, descending: bool) -> Vec<Sample> {
    samples.sort_by(|left, right| {
        let (left, right) = (left.value, right.value);
        let order = if descending { right.partial_cmp(&left) } else { left.partial_cmp(&right) };
        order.unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
    });
    samples
}

//! Conditions: CEL expressions over `result`.
//!
//! In: the text of a condition and one sample. Out: whether it holds, or a sentence that says why
//! that cannot be told.
//!
//! The `cel` crate parses (its Pratt parser: the default one overflows a 2 MiB stack at 24 nested
//! brackets); the evaluation is ours, for four reasons: every number is a float, so that
//! `result[0] * 100 > 95` works; a comparison with NaN is false, as CEL specifies, where `cel`
//! 0.15 fails; a name that does not exist is found when the template is read and not at the first
//! measurement; and the work is bounded, so that no condition can hang the controller.

mod check;
mod evaluate;

use cel::parser::{Expression, PrattParser};

/// Longest condition, in bytes, after its arguments have been put in. The CRD allows 2000
/// characters before that.
pub const MAX_BYTES: usize = 8_000;

/// A condition that has been parsed and checked.
#[derive(Debug)]
pub struct Condition {
    expression: Expression,
    handles_nan: bool,
}

/// What a condition is asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sample<'a> {
    /// `result` is a number.
    Scalar(f64),
    /// `result` is a list of numbers.
    Vector(&'a [f64]),
}

/// The answer of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the condition is true.
    pub holds: bool,
    /// Whether a NaN was compared on the way and the condition does not speak of NaN (`isNaN`,
    /// `default`): then its answer is by accident.
    pub by_accident: bool,
}

/// Why a condition cannot be used, or not on this sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It is not CEL.
    #[error("found `{text}`, which is not a CEL expression ({detail} at character {column})")]
    Syntax {
        /// The condition, shortened.
        text: String,
        /// What the parser says.
        detail: String,
        /// Where, counted from 1.
        column: usize,
    },
    /// It is CEL, but says something that a condition cannot.
    #[error("found {found}, allowed is {allowed}")]
    Refused {
        /// What was found.
        found: String,
        /// What is allowed.
        allowed: String,
    },
    /// It combines values that do not go together, such as a list and a number.
    #[error("{0}")]
    Type(String),
    /// It asks for an element that the sample does not have.
    #[error("the condition asks for element {index} of a list of {len}")]
    OutOfRange {
        /// The index asked for.
        index: String,
        /// Number of elements.
        len: usize,
    },
    /// It needs more steps than a condition may take.
    #[error("the condition takes too many steps on a result of this size; aggregate in the query")]
    TooMuchWork,
}

impl Condition {
    /// Parses and checks a condition whose arguments have been put in.
    ///
    /// # Errors
    ///
    /// The text is not CEL, uses a name or function that does not exist, is not true or false, or
    /// can never work on numbers. Never panics, whatever the text.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        if text.len() > MAX_BYTES {
            return Err(ConditionError::Refused {
                found: format!("a condition of {} bytes", text.len()),
                allowed: format!("at most {MAX_BYTES}"),
            });
        }
        // The parser has unreachable!() and indexing of its own; a text of a user must not be able
        // to end a worker, whatever a later version of the crate does.
        let parsed = std::panic::catch_unwind(|| {
            PrattParser::new().max_recursion_depth(32).max_expression_node_count(4_000).parse(text)
        });
        let syntax = |detail: &str, column: usize| ConditionError::Syntax {
            text: shorten(text),
            detail: shorten(detail),
            column,
        };
        let expression = match parsed {
            Ok(Ok(expression)) => expression,
            Ok(Err(errors)) => {
                let first = errors.errors.first();
                let detail = first.map_or("it cannot be parsed", |error| error.msg.as_str());
                let column = first.map_or(1, |error| usize::try_from(error.pos.1).unwrap_or(1));
                return Err(syntax(detail, column.max(1)));
            }
            Err(_) => return Err(syntax("it cannot be parsed", 1)),
        };
        let facts = check::check(&expression)?;
        let condition = Self { expression, handles_nan: facts.handles_nan };
        condition.try_out()?;
        Ok(condition)
    }

    /// Evaluates the condition on one sample.
    ///
    /// # Errors
    ///
    /// It combines values that do not go together, reads past the end of the list, or takes too
    /// many steps.
    pub fn evaluate(&self, result: Sample) -> Result<Outcome, ConditionError> {
        let (holds, compared_nan) = evaluate::evaluate(&self.expression, result)?;
        Ok(Outcome { holds, by_accident: compared_nan && !self.handles_nan })
    }

    /// A condition that fits neither a scalar nor a vector fits nothing: say so at once.
    fn try_out(&self) -> Result<(), ConditionError> {
        let scalar = self.evaluate(Sample::Scalar(1.0));
        let vector = self.evaluate(Sample::Vector(&[1.0]));
        match (scalar, vector) {
            (Err(ConditionError::Type(_)), Err(error @ ConditionError::Type(_))) => Err(error),
            _ => Ok(()),
        }
    }
}

fn shorten(text: &str) -> String {
    crate::analysis::text::bounded(text, 120)
}

#[cfg(test)]
mod tests;

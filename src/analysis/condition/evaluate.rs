//! The evaluation of a checked expression. Every number is a float; CEL's other rules hold.
//!
//! In: an expression that [`super::check`] has passed, and a sample. Out: true or false, and
//! whether a NaN was compared; or the reason why not.

use std::cmp::Ordering;
use std::rc::Rc;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::{ConditionError, Sample};
use crate::analysis::text;

/// Steps that one evaluation may take: about a tenth of a second. A linear condition over the
/// largest answer that is read takes fewer.
const MAX_STEPS: u64 = 3_000_000;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<str>),
    List(Rc<Vec<Self>>),
}

type Found = Result<Value, ConditionError>;

/// Evaluates, and tells whether a NaN was compared.
pub(super) fn evaluate(
    expression: &Expression,
    sample: Sample,
) -> Result<(bool, bool), ConditionError> {
    let result = match sample {
        Sample::Scalar(value) => Value::Number(value),
        Sample::Vector(values) => {
            Value::List(Rc::new(values.iter().map(|v| Value::Number(*v)).collect()))
        }
    };
    let mut scope = Scope { names: vec![("result", result)], steps: 0, compared_nan: false };
    let value = scope.value(expression)?;
    Ok((boolean(&value, "the condition")?, scope.compared_nan))
}

struct Scope<'e> {
    names: Vec<(&'e str, Value)>,
    steps: u64,
    compared_nan: bool,
}

impl<'e> Scope<'e> {
    fn work(&mut self, steps: usize) -> Result<(), ConditionError> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps > MAX_STEPS {
            return Err(ConditionError::TooMuchWork);
        }
        Ok(())
    }

    fn value(&mut self, expression: &'e Expression) -> Found {
        self.work(1)?;
        match &expression.expr {
            Expr::Literal(literal) => Ok(literal_value(literal)),
            Expr::Ident(name) => self
                .names
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| ConditionError::Type(format!("the name `{name}` is unknown"))),
            Expr::List(list) => {
                let elements: Result<Vec<_>, _> =
                    list.elements.iter().map(|each| self.value(each)).collect();
                Ok(Value::List(Rc::new(elements?)))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            _ => Err(ConditionError::Type("a condition has no maps".to_owned())),
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Found {
        let arguments: Vec<&'e Expression> =
            call.target.as_deref().into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), arguments.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => {
                let condition = self.value(condition)?;
                self.value(if boolean(&condition, "before `?`")? { yes } else { no })
            }
            (operators::LOGICAL_AND, [left, right]) => self.logical(left, right, false),
            (operators::LOGICAL_OR, [left, right]) => self.logical(left, right, true),
            (operators::ADD, [left, right]) if is_accumulator(left) => self.append(left, right),
            ("default", [first, second]) => self.default(first, second),
            (name, [only]) => {
                let only = self.value(only)?;
                unary(name, &only)
            }
            (name, [left, right]) => {
                let left = self.value(left)?;
                let right = self.value(right)?;
                self.binary(name, &left, &right)
            }
            (name, _) => Err(ConditionError::Type(format!("`{name}` is unknown"))),
        }
    }

    /// `&&` and `||`: the side that decides wins, even when the other cannot be evaluated.
    fn logical(&mut self, left: &'e Expression, right: &'e Expression, decides: bool) -> Found {
        let sign = if decides { "beside `||`" } else { "beside `&&`" };
        let left = self.value(left).and_then(|value| boolean(&value, sign));
        match left {
            Ok(value) if value == decides => return Ok(Value::Bool(decides)),
            Err(ConditionError::TooMuchWork) => return Err(ConditionError::TooMuchWork),
            _ => {}
        }
        let right = self.value(right)?;
        let right = boolean(&right, sign)?;
        if right == decides {
            return Ok(Value::Bool(decides));
        }
        left.map(Value::Bool)
    }

    /// `default(x, y)`: `y` when `x` is NaN, null or not there.
    fn default(&mut self, first: &'e Expression, second: &'e Expression) -> Found {
        match self.value(first) {
            Ok(Value::Null) | Err(ConditionError::OutOfRange { .. }) => self.value(second),
            Ok(Value::Number(value)) if value.is_nan() => self.value(second),
            other => other,
        }
    }

    /// `@result + [x]`, by which `map` and `filter` grow their list: in place, not by copies.
    fn append(&mut self, list: &'e Expression, more: &'e Expression) -> Found {
        let more = self.value(more)?;
        let slot = self.names.iter_mut().rev().find(|(name, _)| *name == ACCUMULATOR);
        let taken = slot.map(|(_, value)| std::mem::replace(value, Value::Null));
        match (taken, more) {
            (Some(Value::List(mut grown)), Value::List(more)) => {
                Rc::make_mut(&mut grown).extend(more.iter().cloned());
                Ok(Value::List(grown))
            }
            (Some(value), more) => {
                if let Some(slot) =
                    self.names.iter_mut().rev().find(|(name, _)| *name == ACCUMULATOR)
                {
                    slot.1 = value.clone();
                }
                self.binary(operators::ADD, &value, &more)
            }
            (None, _) => self.value(list),
        }
    }

    fn comprehension(&mut self, loops: &'e ComprehensionExpr) -> Found {
        let Value::List(items) = self.value(&loops.iter_range)? else {
            return Err(ConditionError::Type(
                "found a macro such as `all` on something else than a list".to_owned(),
            ));
        };
        let begin = self.value(&loops.accu_init)?;
        let depth = self.names.len();
        self.names.push((loops.accu_var.as_str(), begin));
        self.names.push((loops.iter_var.as_str(), Value::Null));
        let outcome = self.run_loop(loops, &items, depth);
        self.names.truncate(depth);
        outcome
    }

    fn run_loop(&mut self, loops: &'e ComprehensionExpr, items: &[Value], depth: usize) -> Found {
        for item in items {
            let go_on = self.value(&loops.loop_cond)?;
            if !boolean(&go_on, "a loop")? {
                break;
            }
            self.bind(depth + 1, item.clone());
            let step = self.value(&loops.loop_step)?;
            self.bind(depth, step);
        }
        // The variable of the loop is not in scope any more.
        self.names.truncate(depth + 1);
        self.value(&loops.result)
    }

    fn bind(&mut self, at: usize, value: Value) {
        if let Some(slot) = self.names.get_mut(at) {
            slot.1 = value;
        }
    }

    fn binary(&mut self, name: &str, left: &Value, right: &Value) -> Found {
        match name {
            operators::EQUALS => self.equal(left, right).map(Value::Bool),
            operators::NOT_EQUALS => self.equal(left, right).map(|same| Value::Bool(!same)),
            operators::LESS => self.compare(name, left, right, Ordering::is_lt),
            operators::LESS_EQUALS => self.compare(name, left, right, Ordering::is_le),
            operators::GREATER => self.compare(name, left, right, Ordering::is_gt),
            operators::GREATER_EQUALS => self.compare(name, left, right, Ordering::is_ge),
            operators::INDEX => index(left, right),
            operators::IN => self.contains(left, right),
            operators::ADD => match (left, right) {
                (Value::List(left), Value::List(right)) => {
                    self.work(left.len() + right.len())?;
                    Ok(Value::List(Rc::new(left.iter().chain(right.iter()).cloned().collect())))
                }
                _ => arithmetic(name, left, right, |a, b| a + b),
            },
            operators::SUBSTRACT => arithmetic(name, left, right, |a, b| a - b),
            operators::MULTIPLY => arithmetic(name, left, right, |a, b| a * b),
            operators::DIVIDE => arithmetic(name, left, right, |a, b| a / b),
            operators::MODULO => arithmetic(name, left, right, |a, b| a % b),
            _ => Err(ConditionError::Type(format!("`{name}` is unknown"))),
        }
    }

    /// Equality of values of one type. Of two types it would be false, always, without a word.
    fn equal(&mut self, left: &Value, right: &Value) -> Result<bool, ConditionError> {
        match (left, right) {
            (Value::Number(a), Value::Number(b)) => {
                self.compared_nan |= a.is_nan() || b.is_nan();
                Ok(a.partial_cmp(b) == Some(Ordering::Equal))
            }
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b.iter()) {
                    self.work(1)?;
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Text(a), Value::Text(b)) => Ok(a == b),
            (Value::Null, _) | (_, Value::Null) => Ok(left == right),
            _ => Err(mismatch(operators::EQUALS, left, right)),
        }
    }

    fn compare(
        &mut self,
        name: &str,
        left: &Value,
        right: &Value,
        holds: fn(Ordering) -> bool,
    ) -> Found {
        let order = match (left, right) {
            (Value::Number(a), Value::Number(b)) => {
                self.compared_nan |= a.is_nan() || b.is_nan();
                a.partial_cmp(b)
            }
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            _ => return Err(mismatch(name, left, right)),
        };
        Ok(Value::Bool(order.is_some_and(holds)))
    }

    fn contains(&mut self, element: &Value, list: &Value) -> Found {
        let Value::List(list) = list else {
            return Err(mismatch(operators::IN, element, list));
        };
        for each in list.iter() {
            self.work(1)?;
            if self.equal(element, each)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }
}

/// The accumulator of CEL's macros; no user can write this name.
const ACCUMULATOR: &str = "@result";

fn is_accumulator(expression: &Expression) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name == ACCUMULATOR)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "integers of a condition are small; 2^53 and more is not measured exactly anyway"
)]
fn literal_value(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Double(value) => Value::Number(*value.inner()),
        LiteralValue::Int(value) => Value::Number(*value.inner() as f64),
        LiteralValue::UInt(value) => Value::Number(*value.inner() as f64),
        LiteralValue::String(value) => Value::Text(value.inner().into()),
        LiteralValue::Null | LiteralValue::Bytes(_) => Value::Null,
    }
}

#[allow(clippy::cast_precision_loss, reason = "a list has fewer than 2^53 elements")]
fn unary(name: &str, value: &Value) -> Found {
    match (name, value) {
        (operators::LOGICAL_NOT, Value::Bool(value)) => Ok(Value::Bool(!value)),
        (operators::NOT_STRICTLY_FALSE, value) => Ok(Value::Bool(*value != Value::Bool(false))),
        (operators::NEGATE, Value::Number(value)) => Ok(Value::Number(-value)),
        ("isNaN", Value::Number(value)) => Ok(Value::Bool(value.is_nan())),
        ("isInf", Value::Number(value)) => Ok(Value::Bool(value.is_infinite())),
        ("double", Value::Number(value)) => Ok(Value::Number(*value)),
        ("int", Value::Number(value)) => Ok(Value::Number(value.trunc())),
        ("abs", Value::Number(value)) => Ok(Value::Number(value.abs())),
        ("size", Value::List(list)) => Ok(Value::Number(list.len() as f64)),
        ("size", Value::Text(text)) => Ok(Value::Number(text.chars().count() as f64)),
        _ => Err(ConditionError::Type(format!(
            "found `{}` on {}{}",
            sign(name),
            kind(value),
            hint(value)
        ))),
    }
}

fn arithmetic(name: &str, left: &Value, right: &Value, combine: fn(f64, f64) -> f64) -> Found {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Ok(Value::Number(combine(*a, *b))),
        _ => Err(mismatch(name, left, right)),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a whole number that is not negative; `as` saturates"
)]
fn index(list: &Value, at: &Value) -> Found {
    let (Value::List(list), Value::Number(at)) = (list, at) else {
        return Err(mismatch(operators::INDEX, list, at));
    };
    let place = (at.fract() == 0.0 && *at >= 0.0).then_some(*at as usize);
    place
        .and_then(|place| list.get(place))
        .cloned()
        .ok_or_else(|| ConditionError::OutOfRange { index: text::number(*at), len: list.len() })
}

fn boolean(value: &Value, place: &str) -> Result<bool, ConditionError> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(ConditionError::Type(format!(
            "found {} {place}, allowed is true or false",
            kind(other)
        ))),
    }
}

fn mismatch(name: &str, left: &Value, right: &Value) -> ConditionError {
    let hint = if hint(left).is_empty() { hint(right) } else { hint(left) };
    let hint = match (name, left) {
        (operators::INDEX, Value::Number(_)) => "; a scalar has no index, write `result`",
        _ => hint,
    };
    ConditionError::Type(format!(
        "found `{}` between {} and {}{hint}",
        sign(name),
        kind(left),
        kind(right)
    ))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::List(_) => "a list",
    }
}

fn hint(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "; for its first element write `result[0]`",
        Value::Text(_) => "; write numbers without quotes",
        _ => "",
    }
}

/// An operator as it is written: `_+_` is `+`.
fn sign(name: &str) -> &str {
    match name {
        operators::INDEX => "[]",
        _ => name.trim_matches(['_', '@']),
    }
}

//! What a condition may say: known names, known functions, numbers and booleans.
//!
//! In: a parsed expression. Out: facts about it, or the sentence that refuses it.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators};
use cel::parser::Expression;

use super::ConditionError;

/// Deepest nesting of an expression. It bounds the stack that the evaluation takes.
const MAX_DEPTH: usize = 100;

const FUNCTIONS: &str =
    "size, isNaN, isInf, default, double, int, abs, all, exists, exists_one, map and filter";

/// What is known of a condition before it is evaluated.
pub(super) struct Facts {
    /// It says itself what NaN means (`isNaN`, `default`).
    pub(super) handles_nan: bool,
}

/// Checks every part of the expression.
pub(super) fn check(expression: &Expression) -> Result<Facts, ConditionError> {
    let mut walk = Walk { names: vec!["result".to_owned()], facts: Facts { handles_nan: false } };
    walk.expression(expression, 0)?;
    if !is_boolean(expression) {
        return Err(refused(
            "an expression that is not true or false",
            "a comparison such as `result[0] >= 0.95`",
        ));
    }
    Ok(walk.facts)
}

struct Walk {
    names: Vec<String>,
    facts: Facts,
}

impl Walk {
    fn expression(&mut self, expression: &Expression, depth: usize) -> Result<(), ConditionError> {
        if depth > MAX_DEPTH {
            return Err(refused(
                format!("an expression nested deeper than {MAX_DEPTH} levels"),
                "a simpler one",
            ));
        }
        match &expression.expr {
            Expr::Literal(LiteralValue::Bytes(_)) => Err(refused("bytes", "numbers")),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::List(list) if list.optional_indices.is_empty() => {
                list.elements.iter().try_for_each(|element| self.expression(element, depth + 1))
            }
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
            Expr::Select(select) => Err(refused(
                format!("the field `.{}`", select.field),
                "`result`, which is a number or a list of numbers, without fields",
            )),
            Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(refused("a map", "numbers and lists"))
            }
        }
    }

    fn name(&self, name: &str) -> Result<(), ConditionError> {
        if self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(refused(format!("the name `{name}`"), "`result`"))
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Result<(), ConditionError> {
        let target = call.target.as_deref();
        let count = call.args.len() + usize::from(target.is_some());
        let name = call.func_name.as_str();
        let Some(expected) = parameters(name) else {
            return Err(refused(format!("the function `{name}`"), FUNCTIONS));
        };
        if count != expected {
            return Err(refused(format!("`{name}` with {count} arguments"), format!("{expected}")));
        }
        if matches!(name, "isNaN" | "default") {
            self.facts.handles_nan = true;
        }
        target
            .into_iter()
            .chain(&call.args)
            .try_for_each(|argument| self.expression(argument, depth + 1))
    }

    fn comprehension(
        &mut self,
        comprehension: &ComprehensionExpr,
        depth: usize,
    ) -> Result<(), ConditionError> {
        self.expression(&comprehension.iter_range, depth + 1)?;
        self.expression(&comprehension.accu_init, depth + 1)?;
        let known = self.names.len();
        self.names.push(comprehension.iter_var.clone());
        self.names.push(comprehension.accu_var.clone());
        for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
            self.expression(part, depth + 1)?;
        }
        self.names.truncate(known);
        Ok(())
    }
}

/// Number of parameters of a function or operator, its target included; nothing when unknown.
fn parameters(name: &str) -> Option<usize> {
    match name {
        operators::CONDITIONAL => Some(3),
        operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::SUBSTRACT
        | operators::ADD
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::EQUALS
        | operators::NOT_EQUALS
        | operators::GREATER_EQUALS
        | operators::LESS_EQUALS
        | operators::GREATER
        | operators::LESS
        | operators::INDEX
        | operators::IN
        | "default" => Some(2),
        operators::LOGICAL_NOT
        | operators::NEGATE
        | operators::NOT_STRICTLY_FALSE
        | "size"
        | "isNaN"
        | "isInf"
        | "double"
        | "int"
        | "abs" => Some(1),
        _ => None,
    }
}

/// Whether the expression, as far as its form tells, is true or false.
fn is_boolean(expression: &Expression) -> bool {
    match &expression.expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Call(call) => match call.func_name.as_str() {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::GREATER_EQUALS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::LESS
            | operators::IN
            | "isNaN"
            | "isInf" => true,
            operators::CONDITIONAL => call.args.iter().skip(1).all(is_boolean),
            "default" => call.args.iter().all(is_boolean),
            _ => false,
        },
        // `all` and `exists` begin with a boolean, `exists_one` ends with a comparison.
        Expr::Comprehension(loops) => is_boolean(&loops.accu_init) || is_boolean(&loops.result),
        _ => false,
    }
}

pub(super) fn refused(found: impl Into<String>, allowed: impl Into<String>) -> ConditionError {
    ConditionError::Refused {
        found: crate::analysis::text::bounded(&found.into(), 120),
        allowed: allowed.into(),
    }
}

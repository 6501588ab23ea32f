//! The CEL rules of a schema (`x-kubernetes-validations`).
//!
//! A rule that names `oldSelf` judges a change, and so runs on updates only, and only where the old
//! value can be found. A rule whose value an update leaves as it was does not refuse it; so what is
//! unchanged is not looked at, which is most of an object in most writes.

use std::{
    cell::LazyCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use cel::{Context, Program, Value as Cel, objects::Key};
use serde_json::Value;

use super::{
    causes::{self, Cause},
    schema::below,
};

/// Rules, compiled once; none where a rule cannot be understood.
static PROGRAMS: LazyLock<Mutex<BTreeMap<String, Option<Arc<Program>>>>> =
    LazyLock::new(Mutex::default);

/// CEL's own functions, made when the first rule needs them: they cost more than most rules.
type Functions = LazyCell<Context<'static, 'static>>;

/// What of `new` breaks a rule.
pub fn judge(
    schema: &Value,
    subresource: Option<&str>,
    old: Option<&Value>,
    new: &Value,
) -> Vec<Cause> {
    let mut found = Vec::new();
    let functions = Functions::new(Context::default);
    if subresource == Some("status") {
        let (schema, old) =
            (&schema["properties"]["status"], old.and_then(|old| old.get("status")));
        visit(&functions, schema, "status", old, &new["status"], &mut found);
        return found;
    }
    visit(&functions, schema, "", old, new, &mut found);
    found
}

fn visit(
    functions: &Functions,
    schema: &Value,
    path: &str,
    old: Option<&Value>,
    value: &Value,
    found: &mut Vec<Cause>,
) {
    if value.is_null() || old == Some(value) {
        return;
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.extend(broken(functions, rule, schema, path, old, value));
    }
    match value {
        Value::Object(fields) => {
            let others = &schema["additionalProperties"];
            for (name, field) in fields {
                let before = old.and_then(|old| old.get(name));
                let schema = schema["properties"].get(name).unwrap_or(others);
                if schema.is_object() {
                    visit(functions, schema, &below(path, name), before, field, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = format!("{path}[{index}]");
                visit(functions, &schema["items"], &place, None, item, found);
            }
        }
        _ => {}
    }
}

fn broken(
    functions: &Functions,
    rule: &Value,
    schema: &Value,
    path: &str,
    old: Option<&Value>,
    value: &Value,
) -> Option<Cause> {
    let text = rule["rule"].as_str()?;
    let transition = text.contains("oldSelf");
    if transition && old.is_none() {
        return None;
    }
    let holds =
        program(text).is_some_and(|program| evaluate(functions, &program, schema, old, value));
    if holds {
        return None;
    }
    let message = rule["message"]
        .as_str()
        .map_or_else(|| format!("failed rule: {}", text.trim()), |text| text.trim().to_owned());
    let path = if path.is_empty() { "<nil>" } else { path };
    Some(if value.is_object() || value.is_array() {
        causes::invalid_unshown(path, &message)
    } else {
        causes::invalid(path, value, &message)
    })
}

fn program(text: &str) -> Option<Arc<Program>> {
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || Program::compile(text).ok().map(Arc::new);
    programs.entry(text.to_owned()).or_insert_with(compile).clone()
}

fn evaluate(
    functions: &Functions,
    program: &Program,
    schema: &Value,
    old: Option<&Value>,
    value: &Value,
) -> bool {
    let mut context = functions.new_inner_scope();
    context.add_variable_from_value("self", cel(schema, value));
    if let Some(old) = old {
        context.add_variable_from_value("oldSelf", cel(schema, old));
    }
    matches!(program.execute(&context), Ok(Cel::Bool(true)))
}

/// A value as CEL sees it: a number is what its schema says, not how it is written.
fn cel(schema: &Value, value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Number(number) => match number.as_i64() {
            Some(number) if schema["type"] != "number" => Cel::Int(number),
            _ => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::Array(items) => {
            Cel::List(Arc::new(items.iter().map(|item| cel(&schema["items"], item)).collect()))
        }
        Value::Object(fields) => {
            let others = &schema["additionalProperties"];
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            let field = |(name, field): (&String, &Value)| {
                let schema = schema["properties"].get(name).unwrap_or(others);
                (Key::from(name.as_str()), cel(schema, field))
            };
            Cel::Map(cel::objects::Map { map: Arc::new(fields.map(field).collect()) })
        }
    }
}

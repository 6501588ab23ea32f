//! Validation by a schema: types, bounds, lengths, patterns.
//!
//! What an update leaves as it was is not judged again, as in Kubernetes since 1.33 (ratcheting).

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use regex::Regex;
use serde_json::Value;

use super::causes::{self, Cause};

/// What of `new` breaks `schema`.
pub fn judge(
    schema: &Value,
    subresource: Option<&str>,
    old: Option<&Value>,
    new: &Value,
) -> Vec<Cause> {
    let mut judge = Judge { causes: Vec::new() };
    if subresource != Some("status") {
        judge.value(schema, "", old, new);
        return judge.causes;
    }
    // A status is judged as if it were the whole, but told where it is.
    let schema = &schema["properties"]["status"];
    judge.value(schema, "", old.and_then(|old| old.get("status")), &new["status"]);
    for (path, ..) in &mut judge.causes {
        *path = below("status", path);
    }
    judge.causes
}

struct Judge {
    causes: Vec<Cause>,
}

/// `path.name`, or `name` at the root.
pub fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Judge {
    fn value(&mut self, schema: &Value, path: &str, old: Option<&Value>, value: &Value) {
        if old == Some(value) {
            return;
        }
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(expected) = expected(schema)
            && !is_of(&expected, value)
        {
            self.causes.push(causes::wrong_type(path, &expected, type_of(value)));
            self.one_of(schema, path, value);
            return;
        }
        self.one_of(schema, path, value);
        match value {
            Value::String(text) => self.string(schema, path, text, value),
            Value::Number(_) => self.number(schema, path, value),
            Value::Array(items) => self.list(schema, path, old, items),
            Value::Object(_) => self.object(schema, path, old, value),
            _ => {}
        }
    }

    fn one_of(&mut self, schema: &Value, path: &str, value: &Value) {
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let names: Vec<String> = allowed.iter().map(plain).collect();
            self.causes.push(causes::not_supported(path, value, &names));
        }
    }

    fn string(&mut self, schema: &Value, path: &str, text: &str, value: &Value) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(limit) = schema["maxLength"].as_i64().filter(|limit| length > *limit) {
            self.causes.push(causes::too_long(path, limit));
        }
        if let Some(limit) = schema["minLength"].as_i64().filter(|limit| length < *limit) {
            let why = format!("{path} in body should be at least {limit} chars long");
            self.causes.push(causes::invalid(path, value, &why));
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && compiled(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            let why = format!("{path} in body should match '{pattern}'");
            self.causes.push(causes::invalid(path, value, &why));
        }
    }

    fn number(&mut self, schema: &Value, path: &str, value: &Value) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(limit) = schema["maximum"].as_f64().filter(|limit| number > *limit) {
            let why = format!("{path} in body should be less than or equal to {limit}");
            self.causes.push(causes::invalid(path, value, &why));
        }
        if let Some(limit) = schema["minimum"].as_f64().filter(|limit| number < *limit) {
            let why = format!("{path} in body should be greater than or equal to {limit}");
            self.causes.push(causes::invalid(path, value, &why));
        }
    }

    fn list(&mut self, schema: &Value, path: &str, old: Option<&Value>, items: &[Value]) {
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(limit) = schema["maxItems"].as_i64().filter(|limit| count > *limit) {
            self.causes.push(causes::too_many(path, items.len(), limit));
        }
        if let Some(limit) = schema["minItems"].as_i64().filter(|limit| count < *limit) {
            let why = format!("{path} in body should have at least {limit} items");
            self.causes.push(causes::invalid(path, &Value::from(count), &why));
        }
        // Items of a plain list have no identity, so an item is compared with none.
        let _ = old;
        for (index, item) in items.iter().enumerate() {
            self.value(&schema["items"], &format!("{path}[{index}]"), None, item);
        }
    }

    fn object(&mut self, schema: &Value, path: &str, old: Option<&Value>, value: &Value) {
        let Some(fields) = value.as_object() else { return };
        let count = i64::try_from(fields.len()).unwrap_or(i64::MAX);
        if let Some(limit) = schema["maxProperties"].as_i64().filter(|limit| count > *limit) {
            self.causes.push(causes::too_many(path, fields.len(), limit));
        }
        if let Some(limit) = schema["minProperties"].as_i64().filter(|limit| count < *limit) {
            let why = format!("{path} in body should have at least {limit} properties");
            self.causes.push(causes::invalid(path, &Value::from(count), &why));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.causes.push(causes::required(&below(path, name), ""));
            }
        }
        let others = &schema["additionalProperties"];
        for (name, field) in fields {
            let before = old.and_then(|old| old.get(name));
            if let Some(schema) = schema["properties"].get(name) {
                self.value(schema, &below(path, name), before, field);
            } else if others.is_object() {
                self.value(others, &below(path, name), before, field);
            }
        }
    }
}

/// A pattern, compiled once; none if it is malformed.
fn compiled(pattern: &str) -> Option<Regex> {
    static PATTERNS: Mutex<BTreeMap<String, Option<Regex>>> = Mutex::new(BTreeMap::new());
    let mut patterns = PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok()).clone()
}

/// The types that are allowed, as the API server names them.
fn expected(schema: &Value) -> Option<String> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Some("integer,string".to_owned());
    }
    schema["type"].as_str().map(str::to_owned)
}

fn is_of(expected: &str, value: &Value) -> bool {
    expected.split(',').any(|one| match one {
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        one => one == type_of(value),
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

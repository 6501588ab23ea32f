//! Pruning: fields that a schema does not know are dropped, or told.

use serde_json::Value;

/// Fields of an object that every kind has.
const ALWAYS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops the fields that `schema` does not know.
pub fn prune(schema: &Value, object: &mut Value) {
    walk(schema, object, &mut Vec::new(), &mut |_| true, true);
}

/// The same for the value of one field.
pub fn prune_field(schema: &Value, value: &mut Value) {
    walk(schema, value, &mut Vec::new(), &mut |_| true, false);
}

/// The paths of the fields that `schema` does not know.
pub fn unknown(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut copy = object.clone();
    let mut note = |path: &[String]| {
        found.push(path.concat().trim_start_matches('.').to_owned());
        false
    };
    walk(schema, &mut copy, &mut Vec::new(), &mut note, true);
    found
}

fn walk(
    schema: &Value,
    value: &mut Value,
    path: &mut Vec<String>,
    drop: &mut dyn FnMut(&[String]) -> bool,
    root: bool,
) {
    let preserved = schema["x-kubernetes-preserve-unknown-fields"] == true;
    match value {
        Value::Object(fields) => {
            let properties = &schema["properties"];
            let others = &schema["additionalProperties"];
            fields.retain(|name, field| {
                if root && ALWAYS.contains(&name.as_str()) {
                    return true;
                }
                path.push(format!(".{name}"));
                let kept = match properties.get(name) {
                    Some(below) => {
                        walk(below, field, path, drop, false);
                        true
                    }
                    None if others.is_object() => {
                        walk(others, field, path, drop, false);
                        true
                    }
                    None => preserved || others == true || !drop(path),
                };
                path.pop();
                kept
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(format!("[{index}]"));
                walk(&schema["items"], item, path, drop, false);
                path.pop();
            }
        }
        _ => {}
    }
}

//! Defaults of a schema.

use serde_json::Value;

/// Fills in the defaults that `schema` has for fields that are absent. A null where none is allowed
/// counts as absent.
pub fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(properties) = schema["properties"].as_object() {
                for (name, below) in properties {
                    let none = below["nullable"] != true && below.get("default").is_some();
                    if none && fields.get(name).is_some_and(Value::is_null) {
                        fields.remove(name);
                    }
                    if let Some(default) = below.get("default")
                        && !fields.contains_key(name)
                    {
                        fields.insert(name.clone(), default.clone());
                    }
                    if let Some(field) = fields.get_mut(name) {
                        fill(below, field);
                    }
                }
            }
            let others = &schema["additionalProperties"];
            if others.is_object() {
                let known = |name: &String| schema["properties"].get(name).is_some();
                for (_, field) in fields.iter_mut().filter(|(name, _)| !known(name)) {
                    fill(others, field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

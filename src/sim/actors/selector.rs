//! Which labels a Service or a label selector asks for.

use std::collections::BTreeMap;

use serde_json::Value;

/// What labels must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels with these values.
    pub pairs: BTreeMap<String, String>,
    expressions: Vec<Value>,
}

impl Selector {
    /// A Service's selector; none if it selects nothing by itself.
    pub fn of_service(service: &Value) -> Option<Self> {
        let pairs = pairs(&service["spec"]["selector"]);
        let external = service["spec"]["type"] == "ExternalName";
        (!external && !pairs.is_empty()).then_some(Self { pairs, expressions: Vec::new() })
    }

    /// A label selector (`matchLabels`, `matchExpressions`); an empty one selects everything, an
    /// absent one nothing.
    pub fn of(selector: &Value) -> Option<Self> {
        selector.as_object()?;
        let expressions = selector["matchExpressions"].as_array().cloned().unwrap_or_default();
        Some(Self { pairs: pairs(&selector["matchLabels"]), expressions })
    }

    /// Whether these labels are as asked for.
    pub fn matches(&self, labels: &Value) -> bool {
        self.pairs.iter().all(|(key, value)| labels[key] == **value)
            && self.expressions.iter().all(|expression| holds(expression, labels))
    }
}

fn pairs(map: &Value) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned())).collect()
}

fn holds(expression: &Value, labels: &Value) -> bool {
    let found = expression["key"].as_str().and_then(|key| labels.get(key));
    let listed = |value: &Value| {
        expression["values"].as_array().is_some_and(|values| values.contains(value))
    };
    match expression["operator"].as_str() {
        Some("In") => found.is_some_and(listed),
        Some("NotIn") => !found.is_some_and(listed),
        Some("Exists") => found.is_some(),
        Some("DoesNotExist") => found.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_matches_as_its_expressions_say() {
        let labels = json!({"app": "web", "tier": "front"});
        let table = [
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "api"}}), false),
            (expression("In", "app", &["web", "api"]), true),
            (expression("In", "zone", &["a"]), false),
            (expression("NotIn", "app", &["api"]), true),
            (expression("NotIn", "zone", &["a"]), true),
            (expression("Exists", "tier", &[]), true),
            (expression("DoesNotExist", "tier", &[]), false),
        ];
        for (selector, expected) in table {
            assert_eq!(Selector::of(&selector).unwrap().matches(&labels), expected, "{selector}");
        }
        assert_eq!(Selector::of(&Value::Null), None);
        assert_eq!(Selector::of_service(&json!({"spec": {}})), None);
    }

    fn expression(operator: &str, key: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }
}

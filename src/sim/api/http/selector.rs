//! Label and field selectors.

use serde_json::Value;

use super::Context;
use crate::sim::api::Refusal;

/// What labels must be like.
#[derive(Clone, Debug, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, Debug)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
}

impl Selector {
    /// Whether `labels` (an object, or null) are so.
    pub fn matches(&self, labels: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key).and_then(Value::as_str);
            let among = || value.is_some_and(|v| requirement.values.iter().any(|one| one == v));
            match requirement.operator {
                Operator::In => among(),
                Operator::NotIn => !among(),
                Operator::Exists => value.is_some(),
                Operator::Absent => value.is_none(),
            }
        })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The selector of an object's `spec.selector`, with `matchLabels` and `matchExpressions`.
pub fn of_object(selector: &Value) -> Selector {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = selector["matchLabels"].as_object().into_iter().flatten().map(|(key, value)| {
        Requirement { key: key.clone(), operator: Operator::In, values: vec![text(value)] }
    });
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let expressions = expressions.map(|expression| Requirement {
        key: text(&expression["key"]),
        operator: match expression["operator"].as_str() {
            Some("NotIn") => Operator::NotIn,
            Some("Exists") => Operator::Exists,
            Some("DoesNotExist") => Operator::Absent,
            _ => Operator::In,
        },
        values: expression["values"].as_array().into_iter().flatten().map(text).collect(),
    });
    Selector(labels.chain(expressions).collect())
}

/// Reads a selector such as `a=b,c!=d,e in (f,g),h,!i`.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<Selector, Refusal> {
    split(text).into_iter().map(|part| requirement(&part)).collect::<Result<_, _>>().map(Selector)
}

/// Splits at commas outside parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let text = text.trim();
    let make = |key: &str, operator, values: Vec<String>| Requirement {
        key: key.trim().to_owned(),
        operator,
        values,
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = text.strip_prefix('!') {
        return Ok(make(key, Operator::Absent, Vec::new()));
    }
    if let Some((head, list)) = text.split_once('(') {
        let values = list.trim_end_matches(')').split(',').map(|v| v.trim().to_owned()).collect();
        let words: Vec<&str> = head.split_whitespace().collect();
        return match words.as_slice() {
            [key, "in"] => Ok(make(key, Operator::In, values)),
            [key, "notin"] => Ok(make(key, Operator::NotIn, values)),
            [_, word, ..] => Err(unexpected(word)),
            _ => Err(unexpected(text)),
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(make(key, Operator::NotIn, one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(make(key, Operator::In, one(value)));
    }
    if let Some(word) = text.split_whitespace().nth(1) {
        return Err(unexpected(word));
    }
    Ok(make(text, Operator::Exists, Vec::new()))
}

fn unexpected(word: &str) -> Refusal {
    let expected = "expected: in, notin, =, ==, !=, gt, lt";
    Refusal::bad_request(format!("unable to parse requirement: found '{word}', {expected}"))
}

/// What a list or a watch selects.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    labels: Selector,
    fields: Vec<(String, bool, String)>,
}

impl Filter {
    /// The filter that a request's query says.
    ///
    /// # Errors
    /// A selector is malformed, or names a field that cannot be selected by.
    pub(super) fn of(context: &Context) -> Result<Self, Refusal> {
        let query = &context.request.query;
        let labels = parse(query.get("labelSelector").unwrap_or_default())?;
        let mut fields = Vec::new();
        for part in query.get("fieldSelector").unwrap_or_default().split(',') {
            if part.is_empty() {
                continue;
            }
            let (name, equal, value) = if let Some((name, value)) = part.split_once("!=") {
                (name, false, value)
            } else if let Some((name, value)) =
                part.split_once("==").or_else(|| part.split_once('='))
            {
                (name, true, value)
            } else {
                let why = format!("invalid selector: '{part}'; can't understand '{part}'");
                return Err(Refusal::bad_request(why));
            };
            let common = ["metadata.name", "metadata.namespace"].contains(&name);
            if !common && (context.resource.custom || !is_selectable(context.resource.kind, name)) {
                return Err(Refusal::bad_request(unsupported(context, name)));
            }
            fields.push((name.to_owned(), equal, value.to_owned()));
        }
        Ok(Self { labels, fields })
    }

    /// Whether an object passes.
    pub fn passes(&self, object: &Value) -> bool {
        let at = |path: &str| path.split('.').fold(object, |value, part| &value[part]);
        let equal = |value: &Value, text: &str| match value {
            Value::String(value) => value == text,
            Value::Null => text.is_empty(),
            value => serde_json::from_str(text).is_ok_and(|text: Value| *value == text),
        };
        self.labels.matches(&object["metadata"]["labels"])
            && self.fields.iter().all(|(path, same, text)| equal(at(path), text) == *same)
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

fn is_selectable(kind: &str, field: &str) -> bool {
    match kind {
        "Pod" => matches!(
            field,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "status.phase"
                | "status.podIP"
        ),
        "Event" => {
            let head = field.split('.').next().unwrap_or_default();
            ["regarding", "involvedObject", "reason", "type", "reportingController", "source"]
                .contains(&head)
        }
        "ReplicaSet" => field == "status.replicas",
        "Job" => field == "status.successful",
        "Namespace" => field == "status.phase",
        "Secret" => field == "type",
        "Service" => matches!(field, "spec.clusterIP" | "spec.type"),
        _ => false,
    }
}

fn unsupported(context: &Context, name: &str) -> String {
    let own = ["Pod", "Event", "ReplicaSet", "Job", "Namespace", "Secret", "Service"];
    if context.resource.custom || own.contains(&context.resource.kind) {
        return format!("field label not supported: {name}");
    }
    format!(
        "\"{name}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    )
}

//! Arguments: what `{{args.NAME}}` stands for.
//!
//! In: texts and JSON with placeholders, arguments with values. Out: the texts with the values put
//! in, or a sentence that names what is missing.
//!
//! A value is put in as it is and not searched again, so that a value cannot name another argument.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compare::query::texts;
use crate::api::{AnalysisArgument, Metric, RevisionChoice, SecretKeyRef};

/// Values of Secrets, by name and key, as the caller has read them.
pub type Secrets = BTreeMap<(String, String), String>;

/// Why an argument has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// A placeholder names an argument that does not exist.
    #[error("found {{{{args.{name}}}}}, allowed are the arguments {known}")]
    Unknown {
        /// The name in the placeholder.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A placeholder that is not closed or whose name cannot be one.
    #[error("found the placeholder `{found}`, allowed is {{{{args.NAME}}}}")]
    Malformed {
        /// The placeholder, shortened.
        found: String,
    },
    /// A Secret or its key is missing.
    #[error("argument \"{argument}\": there is no key \"{key}\" in a Secret \"{secret}\"")]
    NoSecret {
        /// The argument.
        argument: String,
        /// The Secret.
        secret: String,
        /// The key in it.
        key: String,
    },
    /// The argument has neither a value nor a Secret.
    #[error("argument \"{0}\" has no value")]
    NoValue(String),
}

/// Puts values in for the placeholders of a text: `{{args.NAME}}`, with or without spaces inside
/// the braces. Other text in double braces stays as it is.
///
/// # Errors
///
/// A placeholder is malformed, or names no argument of `values`.
pub fn substitute(text: &str, values: &BTreeMap<String, String>) -> Result<String, ArgumentError> {
    let mut out = String::with_capacity(text.len());
    for part in parts(text) {
        let piece = match part? {
            Part::Text(text) => text,
            Part::Argument(name) => values.get(name).ok_or_else(|| ArgumentError::Unknown {
                name: name.to_owned(),
                known: known_names(values.keys().map(String::as_str)),
            })?,
        };
        out.push_str(piece);
    }
    Ok(out)
}

/// Puts values in for the placeholders in every string of a JSON value. Keys stay as they are.
///
/// # Errors
///
/// As [`substitute`].
pub fn substitute_json(
    value: &Value,
    values: &BTreeMap<String, String>,
) -> Result<Value, ArgumentError> {
    Ok(match value {
        Value::String(text) => Value::String(substitute(text, values)?),
        Value::Array(items) => Value::Array(
            items.iter().map(|item| substitute_json(item, values)).collect::<Result<_, _>>()?,
        ),
        Value::Object(object) => Value::Object(substitute_object(object, values)?),
        other => other.clone(),
    })
}

/// Puts values in for the placeholders in every string below a JSON object.
///
/// # Errors
///
/// As [`substitute`].
pub fn substitute_object(
    object: &Map<String, Value>,
    values: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, ArgumentError> {
    object.iter().map(|(key, value)| Ok((key.clone(), substitute_json(value, values)?))).collect()
}

/// The names in the placeholders of a text.
///
/// # Errors
///
/// A placeholder is malformed.
pub fn placeholders(text: &str) -> Result<BTreeSet<&str>, ArgumentError> {
    parts(text)
        .filter_map(|part| match part {
            Ok(Part::Argument(name)) => Some(Ok(name)),
            Ok(Part::Text(_)) => None,
            Err(error) => Some(Err(error)),
        })
        .collect()
}

/// The arguments that have a value in the spec itself: no Secrets among them.
pub fn plain_values(args: &[AnalysisArgument]) -> BTreeMap<String, String> {
    args.iter()
        .filter_map(|argument| Some((argument.name.clone(), argument.value.clone()?)))
        .collect()
}

/// The arguments that stand for a key of a Secret.
pub fn secret_arguments(args: &[AnalysisArgument]) -> BTreeMap<&str, &SecretKeyRef> {
    args.iter()
        .filter_map(|argument| {
            let source = argument.value_from.as_ref()?.secret_key_ref.as_ref()?;
            Some((argument.name.as_str(), source))
        })
        .collect()
}

/// The value of every argument that the texts use, Secrets included.
///
/// # Errors
///
/// A used argument has no value, or its Secret or key is missing. No error shows a value.
pub fn values_for<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    args: &[AnalysisArgument],
    secrets: &Secrets,
) -> Result<BTreeMap<String, String>, ArgumentError> {
    let mut values = plain_values(args);
    let from_secrets = secret_arguments(args);
    for text in texts {
        for name in placeholders(text)? {
            if values.contains_key(name) {
                continue;
            }
            let Some(source) = from_secrets.get(name) else {
                return Err(ArgumentError::Unknown {
                    name: name.to_owned(),
                    known: known_names(args.iter().map(|argument| argument.name.as_str())),
                });
            };
            let value =
                secrets.get(&(source.name.clone(), source.key.clone())).ok_or_else(|| {
                    ArgumentError::NoSecret {
                        argument: name.to_owned(),
                        secret: source.name.clone(),
                        key: source.key.clone(),
                    }
                })?;
            values.insert(name.to_owned(), value.clone());
        }
    }
    Ok(values)
}

/// The Secrets (name, key) that a measurement of the metric reads: those of its headers, log-in and
/// certificates, and those of the arguments that it uses. The caller reads them before it measures.
pub fn needed_secrets(metric: &Metric, args: &[AnalysisArgument]) -> BTreeSet<(String, String)> {
    let Some(prometheus) = &metric.provider.prometheus else {
        return BTreeSet::new();
    };
    let log_in = prometheus.authentication.iter().flat_map(|how| {
        let basic = how.basic.iter();
        how.bearer.iter().chain(basic.flat_map(|basic| [&basic.username, &basic.password]))
    });
    let headers = prometheus.headers.iter();
    let mut needed: BTreeSet<_> = headers
        .filter_map(|header| header.secret_key_ref.as_ref())
        .chain(log_in)
        .chain(prometheus.tls.iter().filter_map(|tls| tls.ca.as_ref()))
        .map(|source| (source.name.clone(), source.key.clone()))
        .collect();
    let from_secrets = secret_arguments(args);
    for text in prometheus_texts(prometheus) {
        for name in placeholders(text).unwrap_or_default() {
            if let Some(source) = from_secrets.get(name) {
                needed.insert((source.name.clone(), source.key.clone()));
            }
        }
    }
    needed
}

/// The texts of a Prometheus provider in which placeholders stand.
pub(crate) fn prometheus_texts(
    prometheus: &crate::api::PrometheusProvider,
) -> impl Iterator<Item = &str> {
    let headers = prometheus.headers.iter();
    prometheus
        .address
        .as_deref()
        .into_iter()
        .chain([prometheus.query.as_str()])
        .chain(prometheus.compare.iter().flat_map(texts))
        .chain(headers.filter_map(|header| header.value.as_deref()))
}

/// The value at a path of the Rollout such as `metadata.labels['team']`, as text.
///
/// # Errors
///
/// The path cannot be read, or leads to nothing, or to something that is not one value. The text
/// completes "found PATH, ...".
pub fn field(rollout: &Value, path: &str) -> Result<String, String> {
    let mut at = rollout;
    for key in path_keys(path).ok_or("allowed is a path such as metadata.labels['team']")? {
        let next = match at {
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(&key),
        };
        at = next.ok_or_else(|| format!("but the Rollout has no `{key}` there"))?;
    }
    match at {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null => Err("but the Rollout has no value there".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err("which is not a single value; allowed is a text, number or boolean".to_owned())
        }
    }
}

/// The revision hash that an argument asks for.
pub(crate) fn revision<'a>(
    choice: RevisionChoice,
    stable: Option<&'a str>,
    latest: &'a str,
) -> Option<&'a str> {
    match choice {
        RevisionChoice::Stable => stable,
        RevisionChoice::Latest => Some(latest),
    }
}

/// Names for an error: `"a", "b"`, or `(none)`.
pub(crate) fn known_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() {
        return "(none)".to_owned();
    }
    super::text::bounded(&names.join(", "), 200)
}

/// Splits `a.b['c'].d[0]` into its keys.
fn path_keys(path: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let quote = inside.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let (key, after) = match quote {
                Some(quote) => inside.get(1..)?.split_once(&format!("{quote}]"))?,
                None => inside.split_once(']')?,
            };
            keys.push(key.to_owned());
            rest = after;
        } else {
            let name = if keys.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (key, after) = name.split_at(end);
            if key.is_empty() {
                return None;
            }
            keys.push(key.to_owned());
            rest = after;
        }
    }
    (!keys.is_empty()).then_some(keys)
}

enum Part<'a> {
    Text(&'a str),
    Argument(&'a str),
}

/// Splits a text into what stays and what stands for an argument.
fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, ArgumentError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((start, name_at)) = next_placeholder(rest) else {
            return Some(Ok(Part::Text(std::mem::take(&mut rest))));
        };
        if start > 0 {
            let (before, after) = rest.split_at(start);
            rest = after;
            return Some(Ok(Part::Text(before)));
        }
        let inside = rest.get(name_at..).unwrap_or_default();
        let name = inside.split_once("}}").map(|(name, after)| (name.trim_end(), after));
        match name {
            Some((name, after)) if is_name(name) => {
                rest = after;
                Some(Ok(Part::Argument(name)))
            }
            _ => {
                let found = super::text::bounded(std::mem::take(&mut rest), 40);
                Some(Err(ArgumentError::Malformed { found }))
            }
        }
    })
}

/// Where the next `{{args.` begins and ends.
fn next_placeholder(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find("{{") {
        let start = from + at;
        let inside = text.get(start + 2..)?;
        let trimmed = inside.trim_start_matches([' ', '\t']);
        if let Some(name) = trimmed.strip_prefix("args.") {
            return Some((start, text.len() - name.len()));
        }
        // One brace on: in `{{{args.x}}`, which is `{` and a placeholder, the second pair counts.
        from = start + 1;
    }
    None
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests;

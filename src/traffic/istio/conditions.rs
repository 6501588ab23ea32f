//! Conditions on a request that hold together: those of an http match, and those of a step.
//!
//! In: an entry of a route's `match` list, and what a step asks for. Out: an entry for the requests
//! that fulfil both. A match has one place for each header, for the path and for the method: two
//! conditions on one of them must become one.

use serde_json::{Map, Value, json};

use super::{
    RouteError,
    match_route::{Base, Condition, MatchRoute, Part},
};
use crate::api::StringMatch;

/// Why no entry can be written.
pub(super) enum Clash {
    /// Two conditions on one part of the request, which Istio cannot write as one.
    Two { found: String, wanted: String },
    /// A condition without a text.
    Empty { part: String },
    /// A header that no request can have.
    BadHeader { name: String },
}

/// The requests that fulfil both; none if there can be none.
pub(super) fn both(
    entry: &Map<String, Value>,
    asked: &[Condition],
) -> Result<Option<Map<String, Value>>, Clash> {
    let mut entry = entry.clone();
    let own = entry.get("headers").and_then(Value::as_object);
    let mut headers = own.cloned().unwrap_or_default();
    let any_case = entry.get("ignoreUriCase") == Some(&Value::Bool(true));
    for condition in asked {
        let of_path = matches!(condition.of, Part::Path);
        let (place, key) = match condition.of {
            Part::Method => (&mut entry, "method".to_owned()),
            Part::Path => (&mut entry, "uri".to_owned()),
            Part::Header(name) => (&mut headers, header_name(name)?),
        };
        if !add(place, key, condition, any_case && of_path)? {
            return Ok(None);
        }
    }
    if !headers.is_empty() {
        entry.insert("headers".into(), headers.into());
    }
    Ok(Some(entry))
}

/// Adds a condition to those in `place`. Returns whether a request can fulfil it together with what
/// is there.
fn add(
    place: &mut Map<String, Value>,
    key: String,
    condition: &Condition,
    any_case: bool,
) -> Result<bool, Clash> {
    // Istio wants headers in lower case; what the user wrote stays as it is.
    let known = place.keys().find(|known| known.eq_ignore_ascii_case(&key)).cloned();
    let key = known.unwrap_or(key);
    let part = || match condition.of {
        Part::Header(_) => format!("header {key}"),
        Part::Method | Part::Path => key.clone(),
    };
    let wanted = words(condition.text).ok_or_else(|| Clash::Empty { part: part() })?;
    let found = place.get(&key).and_then(Value::as_object);
    let narrower = match found.and_then(|found| found.iter().next()) {
        // An empty condition asks only that the header is there.
        None => Some(json!({ (wanted.0): wanted.1 })),
        Some((kind, text)) => {
            let text = text.as_str().unwrap_or_default();
            let narrower = narrower((kind, text), wanted, any_case);
            narrower.map_err(|()| Clash::Two {
                found: format!("{} ({kind} {text})", part()),
                wanted: format!("{} ({} {})", part(), wanted.0, wanted.1),
            })?
        }
    };
    let Some(narrower) = narrower else { return Ok(false) };
    place.insert(key, narrower);
    Ok(true)
}

fn header_name(name: &str) -> Result<String, Clash> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(letter) {
        return Err(Clash::BadHeader { name: name.into() });
    }
    Ok(name.to_ascii_lowercase())
}

/// How a text is compared, and with what; none where the API server let an empty one pass.
fn words(text: &StringMatch) -> Option<(&'static str, &str)> {
    let filled = |text: &&String| !text.is_empty();
    let exact = text.exact.as_ref().map(|text| ("exact", text));
    let prefix = text.prefix.as_ref().filter(filled).map(|text| ("prefix", text));
    let regex = text.regex.as_ref().filter(filled).map(|text| ("regex", text));
    exact.or(prefix).or(regex).map(|(kind, text)| (kind, text.as_str()))
}

/// One condition for two; none if no text fulfils both. An error if Istio has no words for it.
fn narrower(
    found: (&str, &str),
    wanted: (&str, &str),
    any_case: bool,
) -> Result<Option<Value>, ()> {
    let same_case = |text: &str| if any_case { text.to_lowercase() } else { text.to_owned() };
    let (a, b) = (same_case(found.1), same_case(wanted.1));
    let of = |(kind, text): (&str, &str)| Some(json!({ (kind): text }));
    match (found.0, wanted.0) {
        (one, other) if one == other && a == b => Ok(of(found)),
        ("exact", "exact") => Ok(None),
        ("exact", "prefix") => Ok(a.starts_with(&b).then(|| of(found)).flatten()),
        ("prefix", "exact") => Ok(b.starts_with(&a).then(|| of(wanted)).flatten()),
        ("prefix", "prefix") if a.starts_with(&b) => Ok(of(found)),
        ("prefix", "prefix") => Ok(b.starts_with(&a).then(|| of(wanted)).flatten()),
        _ => Err(()),
    }
}

// === impl Clash ===

impl Clash {
    /// The clash in words for people.
    pub(super) fn error(self, base: &Base, wanted: &MatchRoute) -> RouteError {
        let name = wanted.name().to_owned();
        match self {
            Self::Two { found, wanted } => RouteError::MatchClash {
                object: base.object.into(),
                route: base.name.clone(),
                name,
                found,
                wanted,
            },
            Self::Empty { part } => RouteError::EmptyMatch { name, part },
            Self::BadHeader { name: header } => RouteError::BadHeader { name, header },
        }
    }
}

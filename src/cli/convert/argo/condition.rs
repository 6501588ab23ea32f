//! Conditions: from Argo's expression language to CEL.
//!
//! In: the text of a condition. Out: one that our own compiler accepts, or why there is none.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;

use crate::analysis::{arguments::placeholders, arguments::substitute, condition::Condition};

/// A condition in CEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The text; none where nothing but a test for missing data was asked.
    pub text: Option<String>,
    /// Whether an empty answer made it true; none where it does not say.
    pub empty: Option<bool>,
}

/// Reads a condition.
///
/// # Errors
/// What our conditions cannot say, in a sentence.
pub fn condition(text: &str) -> Result<Converted, String> {
    let (text, empty) = without_emptiness(text.trim());
    let text = words(&text);
    if text.is_empty() {
        return Ok(Converted { text: None, empty });
    }
    compiles(&text)?;
    Ok(Converted { text: Some(text), empty })
}

/// Whether our compiler accepts it; arguments count as numbers.
fn compiles(text: &str) -> Result<(), String> {
    let names = placeholders(text).map_err(|error| error.to_string())?;
    let values: BTreeMap<String, String> =
        names.into_iter().map(|name| (name.to_owned(), "1".to_owned())).collect();
    let filled = substitute(text, &values).map_err(|error| error.to_string())?;
    Condition::compile(&filled).map(drop).map_err(|error| error.to_string())
}

/// Takes the tests for an empty answer off the ends of a row of alternatives or demands: with us an
/// empty answer is no data, and never reaches a condition.
fn without_emptiness(text: &str) -> (String, Option<bool>) {
    for (separators, pattern, empty) in
        [(["||", " or "], &*IS_EMPTY, true), (["&&", " and "], &*IS_FULL, false)]
    {
        let Some(parts) = parts(text, separators) else { continue };
        let left: Vec<&str> =
            parts.iter().copied().filter(|part| !pattern.is_match(part.trim())).collect();
        if left.len() < parts.len() {
            let joined = left.iter().map(|part| part.trim()).collect::<Vec<_>>();
            let between = format!(" {} ", separators[0]);
            return (joined.join(&between), Some(empty));
        }
    }
    (text.to_owned(), None)
}

/// The parts at the top, unless brackets or texts make that hard to tell.
fn parts<'t>(text: &'t str, separators: [&str; 2]) -> Option<Vec<&'t str>> {
    let mixed = ["||", " or ", "&&", " and "].iter().filter(|found| text.contains(**found));
    if mixed.clone().any(|found| !separators.contains(found)) || text.contains(['"', '\'', '?']) {
        return None;
    }
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    let mut index = 0;
    while let Some(letter) = text[index..].chars().next() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        let here = separators.iter().find(|separator| text[index..].starts_with(**separator));
        match here.filter(|_| depth == 0) {
            Some(separator) => {
                found.push(&text[start..index]);
                index += separator.len();
                start = index;
            }
            None => index += letter.len_utf8(),
        }
    }
    found.push(&text[start..]);
    Some(found)
}

/// The same in the words of CEL.
fn words(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in WORDS.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text.trim().to_owned()
}

#[allow(clippy::expect_used, reason = "the patterns are constants, and a test compiles them")]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

static IS_EMPTY: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\(?\s*len\(result\)\s*(==\s*0|<\s*1|<=\s*0)\s*\)?$"));

static IS_FULL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\(?\s*len\(result\)\s*(>\s*0|!=\s*0|>=\s*1)\s*\)?$"));

static WORDS: LazyLock<[(Regex, &'static str); 10]> = LazyLock::new(|| {
    [
        (
            regex(r"\ball\(\s*(result)\s*,\s*\{?\s*#(?P<rest>[^#{}()]*?)\}?\s*\)"),
            "result.all(x, x$rest)",
        ),
        (
            regex(r"\bany\(\s*(result)\s*,\s*\{?\s*#(?P<rest>[^#{}()]*?)\}?\s*\)"),
            "result.exists(x, x$rest)",
        ),
        (
            regex(r"\bnone\(\s*(result)\s*,\s*\{?\s*#(?P<rest>[^#{}()]*?)\}?\s*\)"),
            "!result.exists(x, x$rest)",
        ),
        (
            regex(r"\bone\(\s*(result)\s*,\s*\{?\s*#(?P<rest>[^#{}()]*?)\}?\s*\)"),
            "result.exists_one(x, x$rest)",
        ),
        (regex(r"\blen\("), "size("),
        (regex(r"\basFloat\("), "double("),
        (regex(r"\basInt\("), "int("),
        (regex(r"\s+and\s+"), " && "),
        (regex(r"\s+or\s+"), " || "),
        (regex(r"\bnot\s+"), "!"),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_cel() {
        for (argo, cel) in [
            ("result[0] >= 0.95", "result[0] >= 0.95"),
            ("result[0] >= {{args.min}}", "result[0] >= {{args.min}}"),
            ("result < 5 and not (result < 1)", "result < 5 && !(result < 1)"),
            ("result[0] > 1 or isNaN(result[0])", "result[0] > 1 || isNaN(result[0])"),
            ("all(result, # < 0.5)", "result.all(x, x < 0.5)"),
            ("all(result, {# >= 0.5})", "result.all(x, x >= 0.5)"),
            ("any(result, {# > 2 })", "result.exists(x, x > 2 )"),
            ("default(result, 0) < 0.05", "default(result, 0) < 0.05"),
            ("asFloat(result) > 1", "double(result) > 1"),
            ("len(result) >= 2 && result[1] < 1", "size(result) >= 2 && result[1] < 1"),
        ] {
            let found = condition(argo).unwrap();
            assert_eq!(found, Converted { text: Some(cel.into()), empty: None }, "{argo}");
        }
    }

    #[test]
    fn a_test_for_no_data_is_told_apart() {
        for (argo, cel, empty) in [
            ("len(result) == 0 || result[0] < 0.05", Some("result[0] < 0.05"), true),
            ("result[0] < 0.05 || len(result) == 0", Some("result[0] < 0.05"), true),
            ("len(result) > 0 && result[0] < 0.05", Some("result[0] < 0.05"), false),
            ("len(result) == 0 or all(result, # < 1)", Some("result.all(x, x < 1)"), true),
            ("len(result) == 0", None, true),
        ] {
            let found = condition(argo).unwrap();
            assert_eq!(found.text.as_deref(), cel, "{argo}");
            assert_eq!(found.empty, Some(empty), "{argo}");
        }
    }

    #[test]
    fn what_has_no_equal_is_refused() {
        for argo in [
            "result.ok == true",
            "result in ['a', 'b']",
            "filter(result, # > 1)[0] < 2",
            "result ?? 0 > 1",
            "asFloat(result.data.rate) < 1",
        ] {
            assert!(condition(argo).is_err(), "{argo}: {:?}", condition(argo));
        }
    }
}

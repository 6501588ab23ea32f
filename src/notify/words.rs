//! Texts with named places: the defaults, and those that the ConfigMap puts in their stead.
//!
//! In: a template and values. Out: a text. A place that does not exist is an error when the template
//! is read, never when something is to be said.

use std::collections::BTreeMap;

/// Texts that can be overridden, each with its default.
pub const DEFAULTS: [(&str, &str); 12] = [
    ("title", "{icon} *{rollout}* in {namespace}: revision {number} ({images})"),
    ("live", "{bar}\n{phase}: {message}"),
    ("end", "{outcome} after {duration} by {by}: {reason}"),
    ("started", "revision {number} (`{revision}`) starts, attempt {attempt}: {images}"),
    ("step", "{bar}\nstep {step}: {what}"),
    ("analysis", "analysis {name}: {verdict}: {reason}\n{values}"),
    ("command", "{verb} by {by}: {reason}"),
    ("refused", "{verb} by {by} refused: {reason}"),
    ("degraded", "degraded: {message}"),
    ("promoted", "promoted after {duration} by {by}: {reason}"),
    ("aborted", "rolled back after {duration} by {by}: {reason}"),
    ("superseded", "ended after {duration}: {reason}"),
];

/// Places that every text may have.
const ANYWHERE: [&str; 12] = [
    "namespace",
    "rollout",
    "revision",
    "number",
    "attempt",
    "images",
    "phase",
    "message",
    "weight",
    "bar",
    "step",
    "icon",
];

/// Places that only some texts may have.
fn own_places(template: &str) -> &'static [&'static str] {
    match template {
        "end" => &["outcome", "duration", "by", "reason"],
        "promoted" | "aborted" | "superseded" => &["duration", "by", "reason"],
        "step" => &["what"],
        "analysis" => &["name", "verdict", "reason", "values"],
        "command" | "refused" => &["verb", "by", "reason"],
        _ => &[],
    }
}

/// What stands in the places.
pub type Values = BTreeMap<&'static str, String>;

/// The texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(BTreeMap<&'static str, String>);

impl Default for Words {
    fn default() -> Self {
        Self(DEFAULTS.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
    }
}

impl Words {
    /// The defaults with `overrides` in their stead.
    ///
    /// # Errors
    /// A sentence for each template that does not exist or names a place that does not.
    pub fn with(overrides: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut words = Self::default();
        let mut errors = Vec::new();
        for (name, text) in overrides {
            let Some((name, _)) = DEFAULTS.iter().find(|(known, _)| known == name) else {
                let known: Vec<&str> = DEFAULTS.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                errors.push(format!("templates: found `{name}`, allowed are {known}"));
                continue;
            };
            errors.extend(unknown_places(name, text));
            words.0.insert(name, text.clone());
        }
        if errors.is_empty() { Ok(words) } else { Err(errors) }
    }

    /// The text `name` with `values` in its places; empty places leave no empty lines.
    pub fn say(&self, name: &str, values: &Values) -> String {
        let template = self.0.get(name).map_or("", String::as_str);
        let mut text = String::new();
        for (before, place) in pieces(template) {
            text.push_str(before);
            if let Some(place) = place {
                text.push_str(values.get(place).map_or("", String::as_str));
            }
        }
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn unknown_places(name: &str, text: &str) -> Vec<String> {
    let allowed: Vec<&str> = ANYWHERE.iter().chain(own_places(name)).copied().collect();
    let unknown = pieces(text).filter_map(|(_, place)| place);
    let unknown = unknown.filter(|place| !allowed.contains(place));
    let allowed = allowed.iter().map(|place| format!("{{{place}}}")).collect::<Vec<_>>().join(", ");
    let error = |place| format!("templates.{name}: found {{{place}}}, allowed are {allowed}");
    unknown.map(error).collect()
}

/// A template as texts, each with the place that follows it.
fn pieces(template: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(template);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some((before, after)) = text.split_once('{') else { return Some((text, None)) };
        let Some((place, after)) = after.split_once('}') else { return Some((text, None)) };
        rest = Some(after);
        Some((before, Some(place)))
    })
}

/// A weight as a row of ten cells and a number.
pub fn bar(weight: i32, total: i32) -> String {
    let total = total.max(1);
    let weight = weight.clamp(0, total);
    let tenths = usize::try_from((i64::from(weight) * 10) / i64::from(total)).unwrap_or(0);
    // A little is not nothing.
    let full = if weight > 0 { tenths.max(1) } else { 0 };
    let percent = i64::from(weight) * 100 / i64::from(total);
    format!("{}{} {percent} %", "▓".repeat(full), "░".repeat(10 - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overridden(name: &str, text: &str) -> Result<Words, Vec<String>> {
        Words::with(&[(name.to_owned(), text.to_owned())].into())
    }

    #[test]
    fn a_text_can_be_replaced() {
        let words = overridden("degraded", "{rollout} is stuck: {message} {").unwrap();
        let values = [("rollout", "web".to_owned()), ("message", "no pods".to_owned())].into();
        assert_eq!(words.say("degraded", &values), "web is stuck: no pods {");
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let errors = overridden("begin", "x").unwrap_err();
        assert!(errors[0].starts_with("templates: found `begin`, allowed are title, live, end"));
        let errors = overridden("degraded", "{messsage} of {rollout}").unwrap_err();
        assert_eq!(
            errors,
            ["templates.degraded: found {messsage}, allowed are {namespace}, {rollout}, \
              {revision}, {number}, {attempt}, {images}, {phase}, {message}, {weight}, {bar}, \
              {step}, {icon}"]
        );
        assert!(overridden("live", "{by}").is_err(), "it has an end only in the end");
    }

    #[test]
    fn the_defaults_name_only_places_that_exist() {
        for (name, text) in DEFAULTS {
            assert_eq!(unknown_places(name, text), Vec::<String>::new());
        }
    }

    #[test]
    fn bars_show_a_little_and_all() {
        assert_eq!(bar(0, 100), "░░░░░░░░░░ 0 %");
        assert_eq!(bar(1, 100), "▓░░░░░░░░░ 1 %");
        assert_eq!(bar(25, 100), "▓▓░░░░░░░░ 25 %");
        assert_eq!(bar(500, 1000), "▓▓▓▓▓░░░░░ 50 %");
        assert_eq!(bar(100, 100), "▓▓▓▓▓▓▓▓▓▓ 100 %");
    }
}

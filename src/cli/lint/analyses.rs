//! The checks of analyses: each template by itself, then what Rollouts make of them.

use serde_json::Value;

use super::{
    Level, Rule,
    checks::{About, Checks},
};
use crate::{
    api::AnalysisArgument,
    cli::manifests::{Analysis, Templates, of_rollout, texts},
};

/// What may stand for an argument without a value: a number, a duration, a name.
const SOME_VALUES: [&str; 3] = ["1", "1m", "name"];

pub(super) fn check(checks: &mut Checks<'_>) {
    let (objects, namespaces) = (checks.objects.clone(), namespaces(checks));
    let mut wrong = Vec::new();
    for namespace in &namespaces {
        let templates = Templates::of(&objects, namespace);
        let open = templates.open_arguments();
        let mut kept: Option<Vec<(String, String, Rule)>> = None;
        // What any value would do for is right; what none does is told as for the first.
        for value in SOME_VALUES {
            let value = |name: &String| AnalysisArgument {
                name: name.clone(),
                value: Some(value.to_owned()),
                value_from: None,
            };
            let args: Vec<AnalysisArgument> = open.iter().map(value).collect();
            let found = alone(&templates, namespace, &args);
            let found = match kept {
                None => found,
                Some(before) => both(before, &found),
            };
            let done = found.is_empty() || open.is_empty();
            kept = Some(found);
            if done {
                break;
            }
        }
        wrong.extend(kept.unwrap_or_default());
    }
    wrong.sort();
    wrong.dedup();
    let owners: Vec<String> = wrong.iter().map(|(owner, ..)| owner.clone()).collect();
    for (owner, sentence, rule) in wrong {
        tell(checks, &owner, &sentence, rule);
    }
    of_rollouts(checks, &objects, &owners);
}

/// The namespaces that templates are in.
fn namespaces(checks: &Checks<'_>) -> Vec<String> {
    let all = checks.objects.iter().filter(|object| object["kind"] == "AnalysisTemplate");
    let names = all.filter_map(|object| object["metadata"]["namespace"].as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.push(checks.namespace.clone());
    names.sort();
    names.dedup();
    names
}

/// What is wrong with templates by themselves: owner, sentence, and which check found it.
fn alone(
    templates: &Templates,
    namespace: &str,
    args: &[AnalysisArgument],
) -> Vec<(String, String, Rule)> {
    let mut found = Vec::new();
    for Analysis { owner, run } in templates.metric_by_metric(namespace, args) {
        match run {
            Err(error) => found.push((owner.clone(), error.sentence, Rule::Analysis)),
            Ok(run) => {
                let all = texts(&run, &owner, templates).into_iter();
                for (place, why) in
                    all.filter_map(|(place, text)| Some((place, wrong(&text).err()?)))
                {
                    found.push((owner.clone(), format!("{place}: {why}"), Rule::Query));
                }
            }
        }
    }
    found
}

/// Those that both have, by their place.
fn both(
    one: Vec<(String, String, Rule)>,
    two: &[(String, String, Rule)],
) -> Vec<(String, String, Rule)> {
    // The same place, whatever the value made of it.
    let place = |sentence: &str| sentence.split(": found ").next().unwrap_or_default().to_owned();
    let is_in = |one: &(String, String, Rule)| {
        two.iter().any(|other| one.0 == other.0 && place(&one.1) == place(&other.1))
    };
    one.into_iter().filter(is_in).collect()
}

/// What is wrong with a query.
fn wrong(text: &Result<String, String>) -> Result<(), String> {
    use promql_parser::parser::{self, value::ValueType};
    let text = text.as_ref().map_err(Clone::clone)?;
    let expr =
        parser::parse(text).map_err(|why| format!("found `{text}`, which is not PromQL: {why}"))?;
    if matches!(expr.value_type(), ValueType::String) {
        return Err(format!("found `{text}`, which gives a text; allowed is what gives numbers"));
    }
    Ok(())
}

fn of_rollouts(checks: &mut Checks<'_>, objects: &[Value], wrong_already: &[String]) {
    for (object, rollout, namespace) in checks.rollouts() {
        let templates = Templates::of(objects, &namespace);
        for Analysis { owner, run } in of_rollout(&object, &rollout, &templates) {
            match run {
                Err(error) if error.no_template && !any_template(objects) => {
                    checks.lacks();
                    let sentence = error.sentence.replace(" (templates: there is none)", "");
                    let sentence = format!("{sentence} in these files, so that it is not checked");
                    checks.say(Level::Warning, Rule::Reference, &sentence);
                }
                Err(error) => {
                    // What a template gets wrong is told where it is written.
                    let in_template = error.sentence.contains("].metrics[");
                    if !in_template || wrong_already.is_empty() {
                        let rule = if error.no_template { Rule::Reference } else { Rule::Analysis };
                        // Which templates there are helps where one is missing, only.
                        let sentence = match error.sentence.split_once(" (templates: ") {
                            Some((sentence, _)) if !error.no_template => sentence,
                            _ => &error.sentence,
                        };
                        checks.say(Level::Error, rule, sentence);
                    }
                }
                Ok(run) => {
                    for (place, text) in texts(&run, &owner, &templates) {
                        let is_template = !place.starts_with("Rollout ");
                        if let Err(why) = wrong(&text)
                            && (!is_template || wrong_already.is_empty())
                        {
                            let place = place.clone();
                            tell(checks, &place, &format!("{place}: {why}"), Rule::Query);
                        }
                    }
                }
            }
        }
    }
}

fn any_template(objects: &[Value]) -> bool {
    objects.iter().any(|object| {
        object["kind"] == "AnalysisTemplate" || object["kind"] == "ClusterAnalysisTemplate"
    })
}

/// Tells `KIND NAME, metric M: query: WHY`, or `KIND NAME: FIELD: WHY`.
fn tell(checks: &mut Checks<'_>, owner: &str, sentence: &str, rule: Rule) {
    let head = owner.split([',', ':']).next().unwrap_or_default();
    let rest = sentence.strip_prefix(head).unwrap_or(sentence);
    let metric = rest
        .split_once(", metric ")
        .and_then(|(_, rest)| rest.split_once(": "))
        .map(|(name, rest)| (name.to_owned(), rest));
    let (Some(index), Some((metric, rest))) = (checks.find(head), metric) else {
        checks.say(Level::Error, rule, sentence);
        return;
    };
    let (part, message) = rest.split_once(": ").unwrap_or(("", rest));
    let at = checks.objects.get(index).and_then(|object| place_of(object, &metric, ""));
    let field = at.map_or_else(String::new, |at| format!("{at}.provider.prometheus.{part}"));
    let message = message.to_owned();
    checks.add(index, About { level: Level::Error, rule, field: &field, message });
}

/// The path of the metric of that name.
fn place_of(value: &Value, metric: &str, path: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name == "metrics" {
                let all = value.as_array()?.iter();
                let index = all.into_iter().position(|one| one["name"] == *metric)?;
                return Some(format!("{path}[{index}]"));
            }
            place_of(value, metric, &path)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| place_of(item, metric, &format!("{path}[{index}]"))),
        _ => None,
    }
}

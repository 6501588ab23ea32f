//! Findings as text, JSON, SARIF and annotations of GitHub. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Finding, Level, Lint, Rule};
use crate::cli::style::{Paint, Style};

const RULES: [Rule; 8] = [
    Rule::Syntax,
    Rule::UnknownField,
    Rule::Schema,
    Rule::Reference,
    Rule::Analysis,
    Rule::Query,
    Rule::Release,
    Rule::Outlook,
];

impl Finding {
    /// Object, field and message.
    fn sentence(&self) -> String {
        let parts = [self.object.as_str(), self.field.as_str(), self.message.as_str()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    }
}

impl Level {
    /// As SARIF and GitHub call it, but that GitHub's `note` is `notice`.
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A finding a line, and how many there are.
pub(super) fn text(lint: &Lint, style: Style) -> String {
    let mut text = String::new();
    for finding in &lint.findings {
        let place = finding.line.map_or_else(String::new, |line| format!(":{line}"));
        let (word, paint) = match finding.level {
            Level::Error => ("error", Paint::Bad),
            Level::Warning => ("warning", Paint::Wait),
            Level::Note => ("note", Paint::Dim),
        };
        let word = style.paint(paint, word);
        let _ = writeln!(text, "{}{place}: {word}: {}", finding.file, finding.sentence());
    }
    text.push_str(&summary(lint));
    text.push('\n');
    text
}

/// `2 errors, 1 warning in 5 objects of 3 files`.
fn summary(lint: &Lint) -> String {
    let many = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    let objects = format!("{} of {}", many(lint.objects, "object"), many(lint.files, "file"));
    let levels = [(Level::Error, "error"), (Level::Warning, "warning")];
    let found: Vec<String> = levels
        .into_iter()
        .filter(|(level, _)| lint.count(*level) > 0)
        .map(|(level, word)| many(lint.count(level), word))
        .collect();
    if found.is_empty() {
        format!("nothing wrong in {objects}")
    } else {
        format!("{} in {objects}", found.join(", "))
    }
}

/// One document.
pub(super) fn json(lint: &Lint) -> String {
    let document = json!({
        "errors": lint.count(Level::Error),
        "warnings": lint.count(Level::Warning),
        "objects": lint.objects,
        "files": lint.files,
        "findings": lint.findings,
    });
    pretty(&document)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// SARIF 2.1.0.
pub(super) fn sarif(lint: &Lint) -> String {
    let rules =
        RULES.map(|rule| json!({"id": rule.name(), "shortDescription": {"text": rule.about()}}));
    let results: Vec<Value> = lint.findings.iter().map(result).collect();
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "kubectl-sluice lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    }))
}

fn result(finding: &Finding) -> Value {
    let mut place = json!({"artifactLocation": {"uri": finding.file.trim_start_matches("./")}});
    if let Some(line) = finding.line {
        place["region"] = json!({"startLine": line});
    }
    json!({
        "ruleId": finding.rule.name(),
        "ruleIndex": RULES.iter().position(|rule| *rule == finding.rule),
        "level": finding.level.word(),
        "message": {"text": finding.sentence()},
        "locations": [{"physicalLocation": place}],
    })
}

/// Workflow commands, and the summary as a last line.
pub(super) fn github(lint: &Lint) -> String {
    let mut text = String::new();
    for finding in &lint.findings {
        let word = match finding.level {
            Level::Note => "notice",
            other => other.word(),
        };
        let place = finding.line.map_or_else(String::new, |line| format!(",line={line}"));
        let file = property(&finding.file);
        let title = property(&format!("sluice {}", finding.rule.name()));
        let message = data(&finding.sentence());
        let _ = writeln!(text, "::{word} file={file}{place},title={title}::{message}");
    }
    text.push_str(&summary(lint));
    text.push('\n');
    text
}

/// What stands behind the last colons of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands in front of them.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lint(level: Level) -> Lint {
        let finding = Finding {
            level,
            rule: Rule::Query,
            file: "a,b.yaml".to_owned(),
            line: Some(7),
            object: "AnalysisTemplate errors".to_owned(),
            field: "spec.metrics[0]".to_owned(),
            message: "found 100 %\nof it".to_owned(),
        };
        Lint { findings: vec![finding], objects: 2, files: 1 }
    }

    #[test]
    fn github_reads_what_is_written() {
        assert_eq!(
            github(&lint(Level::Note)),
            "::notice file=a%2Cb.yaml,line=7,title=sluice query::AnalysisTemplate errors: spec.metrics[0]: found 100 %25%0Aof it\nnothing wrong in 2 objects of 1 file\n"
        );
    }

    #[test]
    fn sarif_names_rule_and_place() {
        let sarif: Value = serde_json::from_str(&sarif(&lint(Level::Error))).unwrap();
        let run = &sarif["runs"][0];
        let result = &run["results"][0];
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "query");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            (place["region"]["startLine"].as_u64(), &result["level"]),
            (Some(7), &json!("error"))
        );
    }

    #[test]
    fn the_text_counts() {
        let text = text(&lint(Level::Error), Style::PLAIN);
        assert!(
            text.starts_with("a,b.yaml:7: error: AnalysisTemplate errors: spec.metrics[0]: found")
        );
        assert!(text.ends_with("\n1 error in 2 objects of 1 file\n"), "{text}");
    }
}

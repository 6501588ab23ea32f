//! What came of a simulated release: as text, and as JSON. Pure.

use jiff::SignedDuration;
use serde::Serialize;

use crate::{
    api::Duration,
    cli::{
        exit::Exit,
        style::{Paint, Style},
        timeline,
        trial::{Outcome, Requests},
    },
    sim::transcript::Line,
};

/// What came of a release.
#[derive(Clone, Debug)]
pub struct Report {
    /// `NAMESPACE/NAME` of the Rollout.
    pub rollout: String,
    /// The image before.
    pub from: String,
    /// The image that was released.
    pub to: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Time from the release to its end.
    pub took: SignedDuration,
    /// Users' requests.
    pub requests: Requests,
    /// What most likely is wrong.
    pub warnings: Vec<String>,
    /// What was left out.
    pub notes: Vec<String>,
    /// What each comparison can find within the steps, at the traffic described.
    pub outlook: Vec<String>,
    /// The story.
    pub lines: Vec<Line>,
}

/// The JSON document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    rollout: &'a str,
    from: &'a str,
    to: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
    exit_code: u8,
    seconds: f64,
    requests: Requests,
    warnings: &'a [String],
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    outlook: &'a [String],
    timeline: Vec<Told<'a>>,
}

/// A line of the story.
#[derive(Serialize)]
struct Told<'a> {
    seconds: f64,
    who: &'a str,
    what: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl Outcome {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Promoted => Exit::Done,
            Self::RolledBack { .. } => Exit::Aborted,
            Self::Waiting { .. } => Exit::Waiting,
            Self::Stuck { .. } => Exit::Degraded,
            Self::Limit { .. } => Exit::TimedOut,
        }
    }

    /// The verdict in one word, for programs.
    fn word(&self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolledBack",
            Self::Waiting { .. } => "waitingForPerson",
            Self::Stuck { .. } => "stuck",
            Self::Limit { .. } => "limitReached",
        }
    }

    fn text(&self) -> (&'static str, Paint) {
        match self {
            Self::Promoted => ("promoted", Paint::Good),
            Self::RolledBack { .. } => ("rolled back", Paint::Bad),
            Self::Waiting { .. } => ("waiting for a person", Paint::Wait),
            Self::Stuck { .. } => ("stuck", Paint::Bad),
            Self::Limit { .. } => ("not ended within --limit", Paint::Wait),
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Promoted => "",
            Self::RolledBack { reason, .. } => reason,
            Self::Waiting { message } | Self::Stuck { message } | Self::Limit { message } => {
                message
            }
        }
    }

    fn by(&self) -> &str {
        match self {
            Self::RolledBack { by, .. } => by,
            _ => "",
        }
    }
}

impl Report {
    /// How it ended, and when, in a sentence.
    pub fn ending(&self) -> String {
        let (verdict, _) = self.outcome.text();
        let took = Duration::from_secs(self.took.unsigned_abs().as_secs());
        let reason = self.outcome.reason();
        let colon = if reason.is_empty() { "" } else { ": " };
        format!("{verdict} after {took}{colon}{reason}")
    }

    /// For people.
    pub fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let mut say = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let title = format!("{}: {} -> {}", self.rollout, self.from, self.to);
        say(&style.paint(Paint::Bold, &title));
        for note in &self.notes {
            say(&style.paint(Paint::Dim, &format!("Note: {note}")));
        }
        for warning in &self.warnings {
            say(&style.paint(Paint::Wait, &format!("Warning: {warning}")));
        }
        for outlook in &self.outlook {
            say(&format!("Outlook: {outlook}"));
        }
        say("");
        for line in &self.lines {
            say(&timeline::line(line, style, None));
        }
        say("");
        let (verdict, paint) = self.outcome.text();
        let took = Duration::from_secs(self.took.unsigned_abs().as_secs());
        let reason = self.outcome.reason();
        let colon = if reason.is_empty() { "" } else { ": " };
        let verdict = style.paint(paint, verdict);
        say(&format!("Verdict:   {verdict} after {took}{colon}{reason}"));
        let Requests { sent, failed, lost, canary_sent, canary_failed, because_of_canary } =
            self.requests;
        say(&format!(
            "Requests:  {sent} sent, {failed} failed, {because_of_canary} of them because of the canary, {lost} lost without an answer"
        ));
        say(&format!("Canary:    {canary_sent} sent to it, {canary_failed} of them failed"));
        text
    }

    /// For programs.
    ///
    /// # Errors
    /// It cannot be written as JSON, which is a bug.
    pub fn json(&self) -> serde_json::Result<String> {
        let line = |line: &'_ Line| (seconds(line.millis), line.clone());
        let lines: Vec<(f64, Line)> = self.lines.iter().map(line).collect();
        let told = lines.iter().map(|(seconds, line)| Told {
            seconds: *seconds,
            who: &line.who,
            what: &line.what,
            text: &line.text,
            why: line.why.as_deref(),
        });
        let mut text = serde_json::to_string_pretty(&Document {
            rollout: &self.rollout,
            from: &self.from,
            to: &self.to,
            verdict: self.outcome.word(),
            reason: self.outcome.reason(),
            by: self.outcome.by(),
            exit_code: self.outcome.exit().code(),
            seconds: self.took.as_secs_f64(),
            requests: self.requests,
            warnings: &self.warnings,
            notes: &self.notes,
            outlook: &self.outlook,
            timeline: told.collect(),
        })?;
        text.push('\n');
        Ok(text)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time of a simulation")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        Report {
            rollout: "shop/web".to_owned(),
            from: "web:1".to_owned(),
            to: "web:2".to_owned(),
            outcome,
            took: SignedDuration::from_secs(133),
            requests: Requests { sent: 10, failed: 3, ..Requests::default() },
            warnings: vec!["no data".to_owned()],
            notes: Vec::new(),
            outlook: vec!["metric errors: a doubling can be found".to_owned()],
            lines: Vec::new(),
        }
    }

    #[test]
    fn says_the_verdict_with_its_reason() {
        let reason = "too many errors".to_owned();
        let outcome = Outcome::RolledBack { reason, by: "sluice".to_owned() };
        let text = report(outcome.clone()).text(Style::PLAIN);
        assert!(text.contains("Verdict:   rolled back after 2m13s: too many errors\n"), "{text}");
        assert!(text.starts_with("shop/web: web:1 -> web:2\nWarning: no data\n"), "{text}");
        assert!(text.contains("\nOutlook: metric errors: a doubling can be found\n"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&report(outcome).json().unwrap()).unwrap();
        assert_eq!(
            (json["verdict"].as_str(), json["exitCode"].as_i64()),
            (Some("rolledBack"), Some(4))
        );
    }

    #[test]
    fn the_exit_codes_are_the_plugins() {
        let message = String::new;
        for (outcome, code) in [
            (Outcome::Promoted, 0),
            (Outcome::Stuck { message: message() }, 3),
            (Outcome::RolledBack { reason: message(), by: message() }, 4),
            (Outcome::Waiting { message: message() }, 5),
            (Outcome::Limit { message: message() }, 6),
        ] {
            assert_eq!(outcome.exit().code(), code);
            assert!(super::super::HELP.contains(&format!("\n  {code}  ")));
        }
    }
}

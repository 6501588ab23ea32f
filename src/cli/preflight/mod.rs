//! `preflight`: whether a release can go through, before it begins.
//!
//! `read` takes a snapshot at once and asks what only a try can tell (queries, a Job's dry run,
//! rights); `judge` turns it into [`Check`]s, purely.

mod ask;
mod judge;
mod read;
mod rights;
mod room;
mod snapshot;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{
    args::{Format, rollout_name},
    exit::{Exit, Failure},
    get::encode,
    session::Session,
    style::{Paint, Style},
};

/// Flags of `preflight`.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// The Rollout in the cluster
    #[arg(value_parser = rollout_name, required_unless_present = "filename")]
    pub name: Option<String>,
    /// A Rollout that is not there yet, with templates; files, folders, or - for standard input.
    /// What else it names is looked for in the cluster
    #[arg(short, long, value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// Prometheus to ask for the queries of its analysis, from here; default: each metric's address
    #[arg(long, value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// The controller's service account
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "sluice-system/sluice",
        value_parser = account
    )]
    pub controller_service_account: (String, String),
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

fn account(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty());
    let (namespace, name) = parts.ok_or("write NAMESPACE/NAME, such as sluice-system/sluice")?;
    Ok((namespace.to_owned(), name.to_owned()))
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is as it should be.
    Ok,
    /// It could not be looked at from here.
    NotChecked,
    /// A release goes, but something is to be known.
    Warn,
    /// A release would not go through.
    Fail,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Ok => Paint::Good,
            Self::NotChecked => Paint::Dim,
            Self::Warn => Paint::Wait,
            Self::Fail => Paint::Bad,
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// How it went.
    pub level: Level,
    /// What was looked at: `services`.
    pub about: &'static str,
    /// What was found, in a sentence.
    pub text: String,
    /// What to do; empty where there is nothing to do.
    pub next: String,
}

impl Check {
    fn new(level: Level, about: &'static str, text: impl Into<String>) -> Self {
        Self { level, about, text: text.into(), next: String::new() }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
}

/// Reads, judges, shows.
pub async fn run(session: &mut Session<'_>, flags: &Flags) -> Result<Exit, Failure> {
    let snapshot = read::read(session, flags).await?;
    let checks = judge::judge(&snapshot);
    let shown = match flags.output {
        None => text(&snapshot.name, &checks, session.terminal.style),
        Some(Format::Json) => encode(&document(&snapshot.name, &checks), true)?,
    };
    session.print(&shown)?;
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn text(name: &str, checks: &[Check], style: Style) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let level = style.paint(check.level.paint(), &format!("{:<11}", check.level.as_str()));
        lines.push(format!("{level}  {:<17}  {}", check.about, check.text));
        if !check.next.is_empty() {
            let next = style.paint(Paint::Bold, &format!("Next: {}", check.next));
            lines.push(format!("{:32}{next}", ""));
        }
    }
    lines.push(format!("{name}: {}\n", summary(checks)));
    lines.join("\n")
}

fn summary(checks: &[Check]) -> String {
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => "nothing is in the way of a release".to_owned(),
        (0, warnings) => format!("nothing is in the way of a release; {warnings} to know"),
        (failures, _) => format!("{failures} in the way of a release"),
    }
}

fn document(name: &str, checks: &[Check]) -> Value {
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({"level": check.level.as_str(), "about": check.about,
                   "text": check.text, "next": check.next})
        })
        .collect();
    json!({"rollout": name, "passed": !failed, "checks": checks})
}

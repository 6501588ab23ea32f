//! `kubectl sluice lint`: what is wrong with manifests, before a cluster sees them.
//!
//! In: files. Out: findings, each with file and line, field, what was found and what is allowed; as
//! text, JSON, SARIF, or annotations of GitHub. The rules are those of the API server and of the
//! controller, which both run here on simulated parts. `--cluster` asks the Prometheus of the metrics
//! what can be found at the present traffic.

mod analyses;
mod checks;
mod locate;
mod output;
mod present;

use std::io::Write;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{
    exit::{Exit, Failure},
    manifests::{self, Choice, Source},
    session::Terminal,
};
use crate::analysis::provider::prometheus::HttpClients;
use std::path::PathBuf;

/// The exit codes as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  no error was found; there may be warnings
  1  an error was found, or a file cannot be read
  2  wrong usage";

/// Flags of `kubectl sluice lint`.
#[derive(Args, Clone, Debug)]
#[command(after_help = HELP)]
pub struct Flags {
    /// Manifests: files, folders (*.yaml, *.yml, *.json), or - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Asks the Prometheus of each comparison for the present traffic, and says what can be found in
    /// the Rollout's steps
    #[arg(long)]
    pub cluster: bool,
    /// Address of Prometheus for --cluster; default: the metric's
    #[arg(long, value_name = "URL", requires = "cluster")]
    pub prometheus_url: Option<String>,
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// The formats of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations for GitHub Actions
    Github,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// It will not work.
    Error,
    /// It could not be checked, or is not what people want.
    Warning,
    /// Good to know.
    Note,
}

/// Which check found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The file is no YAML, or has no objects that are known.
    Syntax,
    /// A field that does not exist.
    UnknownField,
    /// What the API server refuses.
    Schema,
    /// An object that is named and not there.
    Reference,
    /// Templates, arguments, conditions and limits.
    Analysis,
    /// A query that is no PromQL.
    Query,
    /// What the controller would not release.
    Release,
    /// What can be found at the present traffic.
    Outlook,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Which check found it.
    pub rule: Rule,
    /// The file.
    pub file: String,
    /// The line, from 1; nothing where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Kind and name of the object; empty for a file that has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What was found, and what is allowed.
    pub message: String,
}

/// What lint says of some files.
#[derive(Clone, Debug, Default)]
pub struct Lint {
    /// All of it, by file and line.
    pub findings: Vec<Finding>,
    /// How many objects were looked at.
    pub objects: usize,
    /// How many files they are in.
    pub files: usize,
}

impl Rule {
    /// As in the output.
    pub fn name(self) -> &'static str {
        self.parts().0
    }

    /// What it looks for.
    pub fn about(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Syntax => ("syntax", "The file is YAML or JSON with objects that are known"),
            Self::UnknownField => ("unknown-field", "Every field exists"),
            Self::Schema => ("schema", "The API server takes the object"),
            Self::Reference => ("reference", "What is named is there"),
            Self::Analysis => ("analysis", "Templates, arguments, conditions and limits fit"),
            Self::Query => ("query", "Queries are PromQL that gives numbers"),
            Self::Release => ("release", "The controller would release it"),
            Self::Outlook => ("outlook", "Bad releases can be found at the present traffic"),
        }
    }
}

impl Lint {
    /// How many findings of a level there are.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// Checks the files.
///
/// # Errors
/// A file cannot be read, or the output is gone.
pub async fn run(
    flags: &Flags,
    namespace: Option<&str>,
    terminal: Terminal,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let sources = manifests::sources(&flags.files).map_err(Failure::plain)?;
    let choice = Choice { rollout: None, namespace: namespace.map(str::to_owned) };
    let present =
        present::Asking { http: HttpClients::new(), url: flags.prometheus_url.clone(), now };
    let lint = lint(&sources, &choice, flags.cluster.then_some(&present)).await;
    let text = match flags.output {
        None => output::text(&lint, terminal.style),
        Some(Format::Json) => output::json(&lint),
        Some(Format::Sarif) => output::sarif(&lint),
        Some(Format::Github) => output::github(&lint),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let failed = lint.count(Level::Error) > 0;
    // The findings are all there is to say.
    if failed { Err(Failure::new(Exit::Failed, "")) } else { Ok(Exit::Done) }
}

/// What is wrong with these texts.
async fn lint(sources: &[Source], choice: &Choice, present: Option<&present::Asking>) -> Lint {
    let mut checks = checks::Checks::new(sources, choice);
    checks.documents();
    analyses::check(&mut checks);
    checks.release().await;
    if let Some(present) = present {
        present::check(&mut checks, present).await;
    }
    checks.done()
}

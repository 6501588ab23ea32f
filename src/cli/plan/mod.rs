//! `plan`: every write that a change would cause, in order, with its reason.
//!
//! The objects are read from the cluster and played on the simulated one, with a new version that
//! behaves as the present one. Nothing in the cluster is written.

mod live;

use std::path::PathBuf;

use clap::{Args, Parser};
use serde_json::{Value, json};

use crate::plan::FIELD_MANAGER;

use super::{
    args::{Format, rollout_name},
    exit::{Exit, Failure},
    manifests::{self, Choice, Manifests, Source},
    session::Session,
    simulate::{self, Play, Report},
    style::{Paint, Style},
    timeline,
    trial::{Change, Outcome},
};

/// Flags of `plan`.
#[derive(Args, Debug)]
pub struct Flags {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// The change: manifests of the Rollout, its workload, or other objects that it names; files,
    /// folders, or - for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "image")]
    pub filename: Vec<PathBuf>,
    /// The change: another image of the pods' first container; default: a new tag
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// How the simulation is to go: as `simulate` without flags.
#[derive(Parser)]
struct Course {
    #[command(flatten)]
    flags: simulate::Flags,
}

/// Plays the change and shows the controller's writes.
pub async fn run(session: &mut Session<'_>, flags: &Flags) -> Result<Exit, Failure> {
    let found = live::read(session, &flags.name).await?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": found.objects});
    let source = Source { name: "the cluster".to_owned(), text: list.to_string() };
    let namespace = Some(session.namespace.clone());
    let choice = Choice { rollout: Some(flags.name.clone()), namespace };
    let mut manifests = Manifests::read(&[source], &choice).map_err(failure)?;
    manifests.notes.splice(0..0, found.notes);
    let (change, to) = change(flags, &choice, &manifests)?;
    let course =
        Course::try_parse_from(["plan", "-"]).map_err(|error| Failure::plain(error.to_string()))?;
    let play = Play { flags: &course.flags, manifests, change, to };
    let (report, broken) = Box::pin(simulate::play(play)).await?;
    let shown = match flags.output {
        None => text(&report, session.terminal.style),
        Some(Format::Json) => format!("{:#}\n", document(&report)),
    };
    session.print(&shown)?;
    simulate::sound(&broken)?;
    Ok(match report.outcome {
        Outcome::Promoted | Outcome::Waiting { .. } => Exit::Done,
        other => other.exit(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure(errors: Vec<String>) -> Failure {
    Failure::plain(errors.join("\nerror: "))
}

/// The change that is asked for, and the image after it.
fn change(
    flags: &Flags,
    choice: &Choice,
    present: &Manifests,
) -> Result<(Change, String), Failure> {
    if flags.filename.is_empty() {
        let to = flags.image.clone().unwrap_or_else(|| simulate::next(&present.image));
        return Ok((Change::Image(to.clone()), to));
    }
    let mut sources = manifests::sources(&flags.filename).map_err(Failure::plain)?;
    let changed = manifests::objects(&sources, choice).map_err(failure)?;
    // What is not in the files stays as it is; together they must be sound.
    let same = |a: &Value, b: &Value| {
        ["/kind", "/metadata/name", "/metadata/namespace"]
            .iter()
            .all(|field| a.pointer(field) == b.pointer(field))
    };
    let kept = present.objects.iter().filter(|old| !changed.iter().any(|new| same(old, new)));
    let kept = json!({"apiVersion": "v1", "kind": "List", "items": kept.collect::<Vec<_>>()});
    sources.push(Source { name: "the cluster".to_owned(), text: kept.to_string() });
    let after = Manifests::read(&sources, choice).map_err(failure)?;
    Ok((Change::Objects(changed, after.image.clone()), after.image))
}

/// The controller's writes; the status is what they are decided from, not what they do.
fn writes(report: &Report) -> impl Iterator<Item = &crate::sim::transcript::Line> {
    let lines = report.lines.iter();
    lines.filter(|line| line.who == FIELD_MANAGER && !line.what.starts_with("Rollout "))
}

fn text(report: &Report, style: Style) -> String {
    let mut text = String::new();
    let change = if report.from == report.to {
        report.to.clone()
    } else {
        format!("{} -> {}", report.from, report.to)
    };
    let title =
        format!("{}: {change}, with a version that behaves as the present one", report.rollout);
    let notes = report.notes.iter().map(|note| (Paint::Dim, format!("Note: {note}")));
    let warnings = report.warnings.iter().map(|it| (Paint::Wait, format!("Warning: {it}")));
    for (paint, line) in [(Paint::Bold, title)].into_iter().chain(notes).chain(warnings) {
        text.push_str(&style.paint(paint, &line));
        text.push('\n');
    }
    text.push('\n');
    let mut none = true;
    for line in writes(report) {
        text.push_str(&timeline::line(line, style, None));
        text.push('\n');
        none = false;
    }
    if none {
        text.push_str("nothing is written\n");
    }
    format!("{text}\n{}\n", report.ending())
}

fn document(report: &Report) -> Value {
    let writes = writes(report).map(|line| {
        json!({"afterMilliseconds": line.millis, "object": line.what, "write": line.text, "why": line.why})
    });
    json!({
        "rollout": report.rollout,
        "from": report.from,
        "to": report.to,
        "writes": writes.collect::<Vec<_>>(),
        "ending": report.ending(),
        "notes": report.notes,
        "warnings": report.warnings,
    })
}

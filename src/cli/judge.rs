//! `kubectl sluice judge`: the judges on counts in a file, without a cluster.
//!
//! A line of JSON for every interval goes to standard output, a last line for people to standard
//! error; the exit code says the verdict.

mod flags;
mod intervals;
mod rows;
mod series;
mod table;
mod verdicts;

use std::{
    fs,
    io::{self, Read, Write},
};

use super::exit::{Exit, Failure};
pub use flags::{Flags, HELP};
use flags::{Judge, Metric};
use rows::Rows;
use verdicts::Ending;

/// Judges the file.
///
/// # Errors
/// The file or a flag is wrong, or the output is gone.
pub fn run(flags: &Flags, out: &mut dyn Write) -> Result<Exit, Failure> {
    let name = if flags.file.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        flags.file.display().to_string()
    };
    let text = text(flags).map_err(|error| {
        let next = "name a file that can be read as UTF-8 text, or - for standard input";
        Failure::plain(format!("cannot read {name}: {error}; {next}"))
    })?;
    let Judged { lines, ending, notes } = judge(&text, flags).map_err(|wrong| match wrong {
        Wrong::Flags(errors) => Failure::usage(errors.join("\nerror: ")),
        Wrong::File(errors) => {
            let errors: Vec<String> = errors.iter().map(|e| format!("{name}: {e}")).collect();
            Failure::plain(errors.join("\nerror: "))
        }
    })?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    let mut told = io::stderr().lock();
    for note in notes {
        // With standard error closed there is nobody left to tell; the exit code still does.
        let _ = writeln!(told, "note: {note}");
    }
    let _ = writeln!(told, "{}", ending.text);
    Ok(ending.exit)
}

fn text(flags: &Flags) -> io::Result<String> {
    if flags.file.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(&flags.file)
}

/// What is wrong, in sentences.
enum Wrong {
    Flags(Vec<String>),
    File(Vec<String>),
}

/// What is shown.
struct Judged {
    /// JSON, one for each interval.
    lines: Vec<String>,
    ending: Ending,
    notes: Vec<String>,
}

fn judge(text: &str, flags: &Flags) -> Result<Judged, Wrong> {
    let records = table::read(text).map_err(|error| Wrong::File(vec![error]))?;
    let rows = rows::read(&records).map_err(Wrong::File)?;
    let metrics = metrics(&rows, flags)?;
    let slices = intervals::slices(&rows);
    let (lines, ending) = match flags.judge {
        Judge::Compare => {
            verdicts::compare(&slices, &rows.bounds, &metrics, flags).map_err(Wrong::Flags)?
        }
        Judge::MannWhitney => series::mann_whitney(&slices, &rows.bounds, &metrics),
    };
    Ok(Judged { lines, ending, notes: notes(&rows, flags) })
}

/// What the file has and the flags want.
fn metrics(rows: &Rows, flags: &Flags) -> Result<Vec<Metric>, Wrong> {
    let all = [(Metric::Errors, rows.has_errors), (Metric::Latency, !rows.bounds.is_empty())];
    let wanted = |metric: &Metric| flags.metric.is_none_or(|wanted| wanted == *metric);
    let has = all.into_iter().filter(|(_, has)| *has).map(|(metric, _)| metric);
    let metrics: Vec<Metric> = has.filter(wanted).collect();
    if metrics.is_empty() {
        let (flag, needs) = match flags.metric {
            Some(Metric::Latency) => ("latency", "columns of buckets, such as le_0.25"),
            _ => ("errors", "a column errors"),
        };
        let error = format!("found --metric {flag}; allowed is that with {needs}");
        return Err(Wrong::File(vec![error]));
    }
    if flags.objective.is_some() && !rows.has_errors {
        let error = "found --objective; allowed is that with a column errors".to_owned();
        return Err(Wrong::File(vec![error]));
    }
    Ok(metrics)
}

fn notes(rows: &Rows, flags: &Flags) -> Vec<String> {
    let mut notes = Vec::new();
    if intervals::stable_pods(rows) < 2 && flags.judge == Judge::Compare {
        notes.push("stable has one pod, so that bursts of errors are not told from rates that move, and the judge is slow. A column pod, with a row for each pod, makes it quicker".to_owned());
    }
    notes
}

//! `kubectl sluice backtest`: the judges on the past of a Prometheus.
//!
//! Quiet times show false alarms: releases are pretended in them, with some of the pods as the canary.
//! Bad releases that people name show when they would have been caught. The samples are read and cut
//! into intervals as in a release; the rules that people use elsewhere stand beside ours.

mod asked;
mod bad;
mod flags;
mod plot;
mod quiet;
mod release;
mod replay;
mod report;
mod source;

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::Path,
};

use jiff::Timestamp;

use super::{
    args::Format,
    exit::{Exit, Failure},
    session::Terminal,
};
use crate::{
    analysis::{compare::rules, provider::prometheus::HttpClients},
    api::Duration,
};
use asked::{Spans, asked};
use bad::Wanted;
pub use flags::{Flags, HELP};
use replay::{HISTORY, Replay};
use report::Report;
use source::Source;

/// The label by which Istio's metrics tell revisions apart.
const LABEL: &str = "destination_canonical_revision";

/// Reads, judges and reports.
///
/// # Errors
/// A flag or a manifest is wrong, Prometheus does not answer, or there is nothing to judge.
pub async fn run(
    flags: &Flags,
    namespace: Option<&str>,
    terminal: Terminal,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut bar = io::stderr();
    // A bar is drawn over and over, which only a terminal can.
    let draws = bar.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let bar: Option<&mut dyn Write> = if draws { Some(&mut bar) } else { None };
    let report = report_of(flags, namespace, HttpClients::new(), now, bar).await?;
    let text = match flags.output {
        None => report.text(terminal.style),
        Some(Format::Json) => {
            let json = serde_json::to_string_pretty(&report);
            json.map_err(|error| Failure::plain(error.to_string()))? + "\n"
        }
    };
    if let Some(path) = &flags.report {
        write(path, &report)?;
    }
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}

/// Writes the page or the plot.
fn write(path: &Path, report: &Report) -> Result<(), Failure> {
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    let text = match kind {
        "svg" => plot::svg(report),
        _ => plot::html(report),
    };
    fs::write(path, text).map_err(|error| {
        Failure::plain(format!("--report: cannot write {}: {error}", path.display()))
    })
}

/// Flags whose values no type refuses.
fn check(flags: &Flags) -> Result<(), Failure> {
    if let Some(path) = &flags.report
        && !path.extension().is_some_and(|kind| kind == "svg" || kind == "html")
    {
        let found = path.display();
        return Err(Failure::usage(format!(
            "--report: found {found}, allowed is a file *.html or *.svg"
        )));
    }
    if !(0.001..=0.5).contains(&flags.weight.0) {
        let found = flags.weight;
        return Err(Failure::usage(format!(
            "--weight: found {found}, allowed is a share from 0.1% to 50%"
        )));
    }
    let seconds = |step: Duration| (1.0..=300.0).contains(&step.as_secs_f64());
    if let Some(step) = flags.step.filter(|step| !seconds(*step)) {
        return Err(Failure::usage(format!(
            "--step: found {step}, allowed is a time from 1s to 5m, best that of the scrapes"
        )));
    }
    Ok(())
}

/// Reads and judges; `bar` is where progress is shown.
async fn report_of(
    flags: &Flags,
    namespace: Option<&str>,
    http: HttpClients,
    now: Timestamp,
    bar: Option<&mut dyn Write>,
) -> Result<Report, Failure> {
    check(flags)?;
    let asked = asked(flags, namespace)?;
    let params =
        rules(&asked.compare, 1).map_err(|wrong| Failure::usage(wrong.join("\nerror: ")))?.params;
    let source = Source {
        provider: asked.provider,
        args: asked.args,
        url: flags.prometheus_url.clone(),
        http,
        requests: asked.requests,
        errors: asked.errors,
        step: flags.step,
    };
    let spans = Spans::of(flags, &source, &params, now, HISTORY)?;
    let label = flags.label.clone().or(asked.compare.label).unwrap_or_else(|| LABEL.to_owned());
    let wanted = Wanted { label, canary: flags.canary.clone(), stable: flags.stable.clone() };
    let replay = Replay {
        metric: asked.metric,
        weight: flags.weight.0,
        max_points: flags.max_points,
        source,
        params,
        spans,
        wanted,
    };
    let limit = flags.timeout;
    let replayed = tokio::time::timeout(limit.0, Box::pin(replay.all(bar))).await;
    replayed.unwrap_or_else(|_| {
        Err(Failure::plain(format!(
            "not all was read within {limit}; ask for less time, for a --step, or give a longer --timeout"
        )))
    })
}

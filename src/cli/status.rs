//! `status`: how a Rollout stands, by text and exit code.

mod goal;
mod report;

use std::{fs::OpenOptions, io::Write, path::Path};

use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use crate::api::Rollout;

use super::{
    args::Status,
    exit::{Exit, Failure},
    session::Session,
    snapshot, state,
    style::{self, Paint, Style},
    watch, workload,
};
pub use goal::Goal;
use report::Report;

/// Says how the Rollout stands; with `--watch` or `--for`, once what is waited for has come.
pub async fn run(session: &mut Session<'_>, args: &Status) -> Result<Exit, Failure> {
    let mut last = None;
    let result = match args.goal() {
        None => once(session, args, &mut last).await,
        Some(goal) => until(session, args, goal, &mut last).await,
    };
    if let Some(rollout) = &last {
        let exit = result.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
        report(session, args, rollout, exit).await?;
    }
    result
}

/// Writes the files for pipelines, however the command ends.
async fn report(
    session: &Session<'_>,
    args: &Status,
    rollout: &Rollout,
    exit: Exit,
) -> Result<(), Failure> {
    if args.summary.is_none() && args.junit.is_none() {
        return Ok(());
    }
    // Without the right to read them the rest is still worth telling.
    let runs =
        snapshot::read(session, &args.name).await.map_or_else(|_| Vec::new(), |all| all.runs);
    let report = Report { rollout, runs: &runs, exit, now: (session.clock)() };
    if let Some(file) = &args.summary {
        // A job's page has what earlier steps wrote, too.
        write(file, &report.markdown(), OpenOptions::new().create(true).append(true), "--summary")?;
    }
    if let Some(file) = &args.junit {
        let options = &mut OpenOptions::new();
        let options = options.create(true).write(true).truncate(true);
        write(file, &report.junit(), options, "--junit")?;
    }
    Ok(())
}

fn write(file: &Path, text: &str, options: &OpenOptions, flag: &str) -> Result<(), Failure> {
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        Failure::plain(format!("{flag}: cannot write {}: {error}", file.display()))
    })
}

async fn once(
    session: &mut Session<'_>,
    args: &Status,
    last: &mut Option<Rollout>,
) -> Result<Exit, Failure> {
    let rollout = session.fetch(&args.name).await?;
    let exit = verdict(session, &rollout).await;
    show(session, args, &rollout, exit, true)?;
    *last = Some(rollout);
    Ok(exit)
}

/// Shows a state; with what a person may do if it is the `last` one.
fn show(
    session: &mut Session<'_>,
    args: &Status,
    rollout: &Rollout,
    exit: Exit,
    last: bool,
) -> Result<(), Failure> {
    if args.output.is_some() {
        let now = (session.clock)();
        return session.say(&report::json(rollout, exit, now).to_string());
    }
    if last {
        return session.print(&text(rollout, session.terminal.style));
    }
    session.say(&state::line(rollout))
}

/// The exit code. What the workload asks for and the controller has not seen yet is in progress.
async fn verdict(session: &Session<'_>, rollout: &Rollout) -> Exit {
    let exit = state::exit_code(rollout);
    let ends = exit != Exit::InProgress;
    if ends && workload::is_ahead(&session.client, &session.namespace, rollout).await {
        return Exit::InProgress;
    }
    exit
}

async fn until(
    session: &mut Session<'_>,
    args: &Status,
    goal: Goal,
    last: &mut Option<Rollout>,
) -> Result<Exit, Failure> {
    let name = &args.name;
    let deadline = args.timeout.and_then(|limit| Instant::now().checked_add(limit.0));
    let mut states = watch::follow(session.rollouts(), name);
    let mut shown = String::new();
    loop {
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let state = tokio::select! {
            state = states.next() => state,
            () = over => return Err(timed_out(args, goal, last.as_ref())),
        };
        let rollout = match state {
            Some(Ok(Some(rollout))) => rollout,
            Some(Ok(None)) if last.is_none() => {
                return Err(Failure::not_found(&session.namespace, name));
            }
            Some(Ok(None)) => {
                let text = format!("the Rollout `{name}` was deleted while it was watched");
                return Err(Failure::new(Exit::NotFound, text));
            }
            Some(Err(failure)) => return Err(failure),
            None => return Err(Failure::plain("the watch ended; try again")),
        };
        let exit = verdict(session, &rollout).await;
        let end = goal::reached(goal, &rollout, exit);
        let line = state::line(&rollout);
        if end.is_some() || shown != line {
            show(session, args, &rollout, end.unwrap_or(exit), end.is_some())?;
            shown = line;
        }
        *last = Some(rollout);
        match end {
            Some(Exit::Failed) => {
                let text = format!("{name}: the release has ended without a pause");
                return Err(Failure::plain(text));
            }
            Some(end) => return Ok(end),
            None => {}
        }
    }
}

fn timed_out(args: &Status, goal: Goal, last: Option<&Rollout>) -> Failure {
    let limit = args.timeout.unwrap_or_default();
    let last = last.map_or_else(|| format!("{}: nothing was seen of it", args.name), state::line);
    let what = match goal {
        Goal::Turn | Goal::Completed => "the release has not ended".to_owned(),
        Goal::Healthy => "the Rollout has not become healthy".to_owned(),
        Goal::Paused => "the release has not paused".to_owned(),
        Goal::Step(number) => format!("the release has not reached step {number}"),
    };
    Failure::new(
        Exit::TimedOut,
        format!("{what} within {limit}, and nothing was changed; last seen: {last}"),
    )
}

/// The line, and what a person may do.
fn text(rollout: &Rollout, style: Style) -> String {
    let phase = rollout.status.as_ref().and_then(|status| status.phase);
    let mut text = style.paint(style::phase(phase), &state::line(rollout));
    text.push('\n');
    if let Some(next) = state::next_step(rollout) {
        text.push_str(&style.paint(Paint::Bold, &format!("Next: {next}")));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{healthy, paused};

    #[test]
    fn a_person_is_told_what_to_do() {
        assert_eq!(
            text(&paused(), Style::PLAIN),
            "checkout: Paused, canary 20%: step 2/4 (pause): waiting for a person\n\
             Next: `promote` goes on, `promote --full` skips all steps, `abort` rolls back\n"
        );
        assert_eq!(text(&healthy(), Style::PLAIN), "checkout: Healthy: revision 2 is stable\n");
    }
}

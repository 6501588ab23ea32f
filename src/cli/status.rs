//! `status`: how a Rollout stands, by text and exit code.

use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

use crate::api::Rollout;

use super::{
    args::Status,
    exit::{Exit, Failure},
    session::Session,
    state,
    style::{self, Paint, Style},
    watch, workload,
};

/// Says how the Rollout stands; with `--watch`, waits for the end of the release.
pub async fn run(session: &mut Session<'_>, args: &Status) -> Result<Exit, Failure> {
    if !args.watch {
        let rollout = session.fetch(&args.name).await?;
        session.print(&text(&rollout, session.terminal.style))?;
        return Ok(verdict(session, &rollout).await);
    }
    until_end(session, args).await
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

async fn until_end(session: &mut Session<'_>, args: &Status) -> Result<Exit, Failure> {
    let name = &args.name;
    let deadline = args.timeout.and_then(|limit| Instant::now().checked_add(limit.0));
    let mut states = watch::follow(session.rollouts(), name);
    let mut shown: Option<String> = None;
    loop {
        let over = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let state = tokio::select! {
            state = states.next() => state,
            () = over => return Err(timed_out(args, shown.as_deref())),
        };
        let rollout = match state {
            Some(Ok(Some(rollout))) => rollout,
            Some(Ok(None)) if shown.is_none() => {
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
        let line = state::line(&rollout);
        if exit != Exit::InProgress {
            session.print(&text(&rollout, session.terminal.style))?;
            return Ok(exit);
        }
        if shown.as_deref() != Some(&line) {
            session.say(&line)?;
            shown = Some(line);
        }
    }
}

fn timed_out(args: &Status, shown: Option<&str>) -> Failure {
    let limit = args.timeout.unwrap_or_default();
    let last = shown.map_or_else(|| format!("{}: nothing was seen of it", args.name), String::from);
    Failure::new(
        Exit::TimedOut,
        format!(
            "the release has not ended within {limit}, and nothing was changed; last seen: {last}"
        ),
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

//! `history`: the releases that the status remembers: who, what, why, how long.

use jiff::Timestamp;
use serde_json::json;

use crate::api::{Outcome, ReleaseRecord, Rollout};

use super::{
    age::{age, span},
    args::{Encoding, History},
    exit::{Exit, Failure},
    get::encode,
    session::Session,
    state,
    style::{Paint, Style},
    table::{self, Cell, cut},
};

/// The longest reason that the table shows.
const REASON_WIDTH: usize = 80;

/// Shows the releases, newest first.
pub async fn run(session: &mut Session<'_>, args: &History) -> Result<Exit, Failure> {
    let rollout = session.fetch(&args.name).await?;
    let all = rollout.status.as_ref().map_or(&[][..], |status| &status.history);
    let wanted =
        |release: &&ReleaseRecord| args.revision.is_none_or(|number| release.number == number);
    let releases: Vec<&ReleaseRecord> = all.iter().filter(wanted).collect();
    if let (Some(number), true) = (args.revision, releases.is_empty()) {
        let numbers: Vec<String> = all.iter().map(|release| release.number.to_string()).collect();
        let allowed = if numbers.is_empty() { "none yet".to_owned() } else { numbers.join(", ") };
        let text = format!("--revision: found {number}, remembered are {allowed}");
        return Err(Failure::plain(text));
    }
    let text = match args.output {
        Some(format) => encode(&json!(releases), format == Encoding::Json)?,
        None if releases.is_empty() => format!("{}: no release yet\n", args.name),
        None => table(&rollout, &releases, (session.clock)(), session.terminal.style),
    };
    session.print(&text)?;
    Ok(Exit::Done)
}

fn table(rollout: &Rollout, releases: &[&ReleaseRecord], now: Timestamp, style: Style) -> String {
    let titles = ["REVISION", "OUTCOME", "STARTED", "TOOK", "BY", "IMAGES", "REASON"];
    let mut rows: Vec<Vec<Cell>> =
        vec![titles.iter().map(|title| Cell::new(Paint::Dim, *title)).collect()];
    let stable = rollout.status.as_ref().and_then(|status| status.stable_revision.as_deref());
    let mut marked = false;
    for release in releases {
        let is_stable = !marked
            && stable == Some(release.revision.as_str())
            && release.outcome == Some(Outcome::Promoted);
        marked |= is_stable;
        rows.push(row(release, is_stable, now));
    }
    table::render(&rows, style)
}

fn row(release: &ReleaseRecord, is_stable: bool, now: Timestamp) -> Vec<Cell> {
    let (outcome, paint) = match release.outcome {
        Some(Outcome::Promoted) if is_stable => ("Promoted (stable)", Paint::Good),
        Some(Outcome::Promoted) => ("Promoted", Paint::Good),
        Some(Outcome::Aborted) => ("Aborted", Paint::Bad),
        Some(Outcome::Superseded) => ("Superseded", Paint::Plain),
        None => ("in progress", Paint::Busy),
    };
    let attempt = match release.attempt {
        2.. => format!(" (attempt {})", release.attempt),
        _ => String::new(),
    };
    let by = if release.ended_at.is_some() { state::by(&release.by) } else { "" };
    vec![
        Cell::from(format!("{}{attempt}", release.number)),
        Cell::new(paint, outcome),
        Cell::from(format!("{} ago", age(release.started_at, now))),
        Cell::from(took(release, now)),
        Cell::from(by),
        Cell::from(release.images.join(", ")),
        Cell::from(cut(&release.reason, REASON_WIDTH)),
    ]
}

/// How long the release took, or has taken so far.
pub fn took(release: &ReleaseRecord, now: Timestamp) -> String {
    let end = release.ended_at.unwrap_or(now);
    span(end.as_second() - release.started_at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::fixtures::{healthy, now, under};

    #[test]
    fn the_table_tells_who_ended_what_and_why() {
        let change = json!({"stableRevision": "b", "history": [
            {"revision": "c", "number": 3, "images": ["shop/checkout:v3"], "attempt": 2,
             "startedAt": "2026-11-21T02:58:00Z"},
            {"revision": "c", "number": 3, "images": ["shop/checkout:v3"], "attempt": 1,
             "startedAt": "2026-11-21T02:00:00Z", "endedAt": "2026-11-21T02:01:30Z",
             "outcome": "Aborted", "by": "sluice", "reason": "analysis errors: Failed"},
            {"revision": "b", "number": 2, "images": ["shop/checkout:v2"], "attempt": 1,
             "startedAt": "2026-11-20T02:00:00Z", "endedAt": "2026-11-20T02:31:00Z",
             "outcome": "Promoted", "by": "ann", "reason": "all steps done"},
        ]});
        let rollout = under(&json!({"canary": {}}), &healthy(), &change);
        let history: Vec<&ReleaseRecord> =
            rollout.status.as_ref().unwrap().history.iter().collect();
        assert_eq!(
            table(&rollout, &history, now(), Style::PLAIN),
            "\
REVISION        OUTCOME             STARTED   TOOK   BY       IMAGES             REASON
3 (attempt 2)   in progress         2m ago    2m              shop/checkout:v3
3               Aborted             60m ago   90s    sluice   shop/checkout:v3   analysis errors: Failed
2               Promoted (stable)   25h ago   31m    ann      shop/checkout:v2   all steps done
"
        );
    }
}

//! `explain`: the decision log of a release: what was decided when, on which numbers, and by whom.

mod log;

use clap::Args;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::json;

use crate::api::Rollout;

use super::{
    args::{Format, rollout_name},
    exit::{Exit, Failure},
    session::Session,
    snapshot::{self, unread},
    state,
    style::{self, Paint},
    table::{self, Cell},
};

/// Flags of `explain`.
#[derive(Args, Debug)]
pub struct Flags {
    /// The Rollout
    #[arg(value_parser = rollout_name)]
    pub name: String,
    /// Also what was before the newest release, as far as it is remembered
    #[arg(long)]
    pub all: bool,
    /// Format of the output; default: text
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// Shows the log.
pub async fn run(session: &mut Session<'_>, flags: &Flags) -> Result<Exit, Failure> {
    let mut snapshot = snapshot::read(session, &flags.name).await?;
    let events = match events(session, &snapshot.rollout).await {
        Ok(events) => events,
        Err(error) => {
            snapshot.notes.push(unread("Events", &error));
            Vec::new()
        }
    };
    let rollout = &snapshot.rollout;
    let mut entries = log::entries(rollout, &snapshot.runs, &events);
    if !flags.all
        && let Some(began) = log::began(rollout)
    {
        entries.retain(|entry| entry.at >= began);
    }
    let text = if flags.output.is_some() {
        let document = json!({
            "namespace": rollout.namespace(),
            "name": flags.name,
            "now": state::line(rollout),
            "next": state::next_step(rollout),
            "log": entries,
            "notes": snapshot.notes,
        });
        format!("{document:#}\n")
    } else {
        let style = session.terminal.style;
        let rows: Vec<Vec<Cell>> = entries
            .iter()
            .map(|entry| {
                let time = entry.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                vec![
                    Cell::new(Paint::Dim, time),
                    Cell::from(entry.what.clone()),
                    Cell::new(entry.paint, entry.text.clone()),
                ]
            })
            .collect();
        let mut text = table::render(&rows, style);
        for note in &snapshot.notes {
            text.push_str(&style.paint(Paint::Dim, &format!("Note: {note}")));
            text.push('\n');
        }
        let phase = rollout.status.as_ref().and_then(|status| status.phase);
        let now = style.paint(style::phase(phase), &state::line(rollout));
        text.push_str("Now: ");
        text.push_str(&now);
        text.push('\n');
        if let Some(next) = state::next_step(rollout) {
            text.push_str(&style.paint(Paint::Bold, &format!("Next: {next}\n")));
        }
        text
    };
    session.print(&text)?;
    Ok(Exit::Done)
}

/// The Events of the Rollout; the API server forgets them after an hour.
async fn events(session: &Session<'_>, rollout: &Rollout) -> kube::Result<Vec<Event>> {
    let api: Api<Event> = Api::namespaced(session.client.clone(), &session.namespace);
    let of_it = format!("regarding.kind=Rollout,regarding.name={}", rollout.name_any());
    let listed = api.list(&ListParams::default().fields(&of_it)).await?;
    let uid = rollout.metadata.uid.as_ref();
    let is_its = |event: &Event| {
        let about = event.regarding.as_ref();
        about.is_some_and(|about| about.uid.as_ref() == uid)
    };
    Ok(listed.items.into_iter().filter(is_its).collect())
}

//! The story of a simulation: who changed what, from what to what, and why.
//!
//! In: changes as the store's log has them, with the controller's reasons. Out: lines for people. What
//! only the machinery needs (single pods, endpoints, resource versions) is left out; a line stands for
//! something that a reviewer of a release would want to know.

mod analysis;
mod people;
mod routes;
mod sizes;
mod status;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::Value;

use super::api::Change;
use crate::plan::FIELD_MANAGER;

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the beginning.
    pub millis: i64,
    /// Who: `sluice`, `cluster`, or a person's field manager.
    pub who: String,
    /// What was changed, such as `Rollout web`.
    pub what: String,
    /// From what to what.
    pub text: String,
    /// Why, where the controller said so.
    pub why: Option<String>,
}

/// The story so far.
#[derive(Clone, Debug)]
pub struct Story {
    start: Timestamp,
    lines: Vec<Line>,
    names: Names,
}

/// What revisions are called: by their images, because people know those.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Story {
    /// A story that begins at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { start, lines: Vec::new(), names: Names::default() }
    }

    /// The lines so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Adds what a change tells, if anything.
    pub fn tell(&mut self, change: &Change, why: Option<&str>) {
        self.names.learn(change);
        let none = Value::Null;
        let before = change.before.as_deref().unwrap_or(&none);
        let after = change.after.as_deref().unwrap_or(&none);
        let ours = change.by == FIELD_MANAGER;
        let texts = match change.resource.kind {
            "Rollout" if change.subresource.as_deref() == Some("status") => {
                status::rollout(before, after, &self.names)
            }
            "Rollout" => people::rollout(before, after),
            "ReplicaSet" if ours => sizes::wanted(before, after, &self.names),
            "ReplicaSet" => sizes::observed(before, after),
            "Deployment" => sizes::deployment(before, after),
            "Pod" => sizes::pod(before, after, &change.by),
            "Service" => routes::service(before, after, &self.names),
            "VirtualService" => routes::virtual_service(before, after),
            "DestinationRule" => routes::destination_rule(before, after, &self.names),
            "AnalysisRun" => analysis::run(before, after),
            "Job" => analysis::job(before, after),
            "EndpointSlice" | "Event" | "Lease" | "Namespace" => Vec::new(),
            _ => people::anything(before, after),
        };
        // A status gives its reasons itself.
        let why = why.filter(|_| change.subresource.is_none());
        let what = format!("{} {}", change.resource.kind, change.key.1);
        for (index, text) in texts.into_iter().enumerate() {
            let why = why.filter(|_| index == 0).map(str::to_owned);
            self.push(change.at, who(&change.by), what.clone(), text, why);
        }
    }

    /// Adds a line about something that no object shows, such as a restart of the controller.
    pub fn say(&mut self, at: Timestamp, who: &str, what: &str, text: &str) {
        self.push(at, who.to_owned(), what.to_owned(), text.to_owned(), None);
    }

    fn push(
        &mut self,
        at: Timestamp,
        who: String,
        what: String,
        text: String,
        why: Option<String>,
    ) {
        let millis = i64::try_from(at.duration_since(self.start).as_millis()).unwrap_or(i64::MAX);
        self.lines.push(Line { millis, who, what, text, why });
    }
}

/// The machinery of a cluster is one to the reader.
fn who(manager: &str) -> String {
    match manager {
        "kubelet" | "kube-scheduler" | "kube-controller-manager" => "cluster".to_owned(),
        other => other.to_owned(),
    }
}

// === impl Names

impl Names {
    fn learn(&mut self, change: &Change) {
        let Some(set) = change.after.as_deref().filter(|_| change.resource.kind == "ReplicaSet")
        else {
            return;
        };
        let revision = set["metadata"]["labels"][crate::api::REVISION_LABEL].as_str();
        let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        if let (Some(revision), Some(image)) = (revision, image) {
            self.0.insert(revision.to_owned(), image.to_owned());
        }
    }

    /// `nginx:1.2 (5d8c9)`, or the hash where no image is known.
    pub(super) fn of(&self, revision: &str) -> String {
        match self.0.get(revision) {
            Some(image) => format!("{image} ({revision})"),
            None => revision.to_owned(),
        }
    }

    /// The same for the value of a label; none stands for `all revisions`.
    pub(super) fn label(&self, value: &Value) -> String {
        value.as_str().map_or_else(|| "all revisions".to_owned(), |revision| self.of(revision))
    }
}

// === Display

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = clock(self.millis);
        write!(f, "{time:>9}  {:<8} {:<32} {}", self.who, self.what, self.text)?;
        match &self.why {
            Some(why) => write!(f, "  | {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// `12:03.4`: minutes, seconds, tenths; with hours where there are any.
pub fn clock(millis: i64) -> String {
    let (seconds, tenths) = (millis / 1000, millis % 1000 / 100);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}.{tenths}")
    } else {
        format!("{minutes}:{seconds:02}.{tenths}")
    }
}

//! Alerts: one for a release that was rolled back, one for a Rollout that is stuck or invalid.
//!
//! In: a status. Out: which alert stands, and the body by which Alertmanager hears of it. An alert is
//! said again before it runs out, and is ended by the one that says so; should that get lost, it ends
//! by itself.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    api::{Notification, Phase, RolloutStatus},
    world::World,
};

/// Alertmanager forgets an alert that nobody repeats for this long.
const VALID: SignedDuration = SignedDuration::from_mins(10);

/// How often an alert is repeated.
pub const REPEAT: SignedDuration = SignedDuration::from_mins(3);

/// The alert that stands, if one does.
pub fn standing(status: &RolloutStatus) -> Option<&'static str> {
    match status.phase {
        _ if status.abort.is_some() => Some("SluiceReleaseAborted"),
        Some(Phase::Degraded) => Some("SluiceRolloutDegraded"),
        _ => None,
    }
}

/// Keeps account of the alerts that stand: those that are over stay until they have been ended.
pub(super) fn record(after: &RolloutStatus, to: &str, list: &mut Vec<Notification>) {
    let Some(name) = standing(after) else { return };
    if !list.iter().any(|entry| entry.to == to && entry.release == name) {
        let (to, release) = (to.to_owned(), name.to_owned());
        list.push(Notification { to, release, ..Notification::default() });
    }
}

/// What is posted to `api/v2/alerts` about the alert `name`; `over` ends it.
pub fn body(
    world: &World,
    labels: &BTreeMap<String, String>,
    name: &str,
    over: bool,
    now: Timestamp,
) -> Value {
    let rollout = &world.rollout;
    let status = &*rollout.status;
    let mut all = labels.clone();
    for (label, value) in [
        ("alertname", name),
        ("namespace", rollout.namespace.as_str()),
        ("rollout", rollout.name.as_str()),
        ("severity", "warning"),
    ] {
        // What tells alerts apart is ours; how bad it is, people may say.
        if label != "severity" || !all.contains_key(label) {
            all.insert(label.to_owned(), value.to_owned());
        }
    }
    let ends = if over { Some(now) } else { now.checked_add(VALID).ok() };
    let mut alert = json!({
        "labels": all,
        "annotations": {
            "summary": summary(name, world),
            "description": status.message,
            "revision": status.current_revision,
        },
        "endsAt": ends,
    });
    let since = status.abort.as_ref().map(|abort| abort.at);
    if let Some(since) = since.filter(|_| !over) {
        alert["startsAt"] = json!(since);
    }
    json!([alert])
}

fn summary(name: &str, world: &World) -> String {
    let place = format!("{}/{}", world.rollout.namespace, world.rollout.name);
    if name == "SluiceReleaseAborted" {
        format!("The release of {place} was rolled back")
    } else {
        format!("Rollout {place} is stuck or invalid")
    }
}

//! The message about a release: its text, and its buttons while there is something to decide.
//!
//! In: a world. Out: Block Kit as JSON. Each button carries what its reader saw.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::{PauseReason, Phase, RolloutStatus, Verb},
    world::World,
};

/// The `block_id` of the buttons.
pub const BLOCK: &str = "sluice";

/// What a button carries: what its reader saw.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// What it asks for.
    pub verb: Verb,
    /// Namespace of the Rollout.
    pub namespace: String,
    /// Its name.
    pub rollout: String,
    /// The revision.
    pub revision: String,
    /// The attempt.
    pub attempt: i64,
    /// The index of the step.
    pub step: i32,
}

/// The index of the step that a release is in.
pub fn step(status: &RolloutStatus) -> i32 {
    status.step.as_ref().map_or(0, |step| step.index)
}

/// What can be asked of the release now.
fn verbs(status: &RolloutStatus) -> Vec<Verb> {
    let held = status.pauses.iter().any(|pause| pause.reason == PauseReason::Command);
    let mut verbs = Vec::new();
    if held {
        verbs.push(Verb::Resume);
    } else if status.phase == Some(Phase::Paused) {
        verbs.push(Verb::Promote);
    }
    verbs.push(Verb::Abort);
    if !held {
        verbs.push(Verb::Pause);
    }
    verbs
}

/// The blocks of a message: its text, and for a release under way its buttons.
pub fn blocks(text: &str, world: Option<&World>) -> Value {
    let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let status = world.map(|world| &*world.rollout.status);
    let stable = status.is_some_and(|status| status.stable_revision.is_some());
    let (Some(world), Some(status), true) = (world, status, stable) else {
        return json!([section]);
    };
    let buttons: Vec<Value> =
        verbs(status).into_iter().filter_map(|verb| button(world, status, verb)).collect();
    json!([section, {"type": "actions", "block_id": BLOCK, "elements": buttons}])
}

fn button(world: &World, status: &RolloutStatus, verb: Verb) -> Option<Value> {
    let (label, style) = match verb {
        Verb::Promote => ("Promote", Some("primary")),
        Verb::Abort => ("Abort", Some("danger")),
        Verb::Pause => ("Pause", None),
        _ => ("Resume", Some("primary")),
    };
    let value = Button {
        verb,
        namespace: world.rollout.namespace.clone(),
        rollout: world.rollout.name.clone(),
        revision: status.current_revision.clone()?,
        attempt: status.attempt,
        step: step(status),
    };
    let mut button = json!({
        "type": "button",
        "action_id": format!("sluice-{verb}"),
        "text": {"type": "plain_text", "text": label},
        "value": serde_json::to_string(&value).ok()?,
    });
    if let Some(style) = style {
        button["style"] = json!(style);
    }
    Some(button)
}

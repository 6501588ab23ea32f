//! A click on a button: from Slack's payload to a command, or to a sentence that says why not.
//!
//! In: a payload whose signature was verified, what is known of the Rollout, and the identities of the
//! configuration. Out: a [`Command`] in the name of the Kubernetes user who clicked, bound to what the
//! button showed. Whether that user may give it is the API server's to say (`notify::clicks`).

use jiff::Timestamp;
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    super::{
        config::{self, Identity, Slack},
        hmac::hex,
    },
    message::{BLOCK, Button, step},
};
use crate::{
    api::{Command, RolloutStatus, Verb},
    observe::seen::SeenRollout,
};

/// A click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Click {
    /// What the button carries.
    pub button: Button,
    /// Id of the user in Slack.
    pub user: String,
    /// Id of the channel.
    pub channel: String,
    /// When Slack told of it.
    pub at: Timestamp,
    /// A value that no other click has.
    pub id: String,
}

/// Reads the body of a request. None if it is no click on one of our buttons.
pub fn read(body: &[u8], signature: &str, at: Timestamp) -> Option<Click> {
    let body = std::str::from_utf8(body).ok()?;
    let form = Url::parse(&format!("form:?{body}")).ok()?;
    let (_, payload) = form.query_pairs().find(|(name, _)| name == "payload")?;
    let payload: Value = serde_json::from_str(&payload).ok()?;
    let action = payload["actions"].as_array()?.first()?;
    if payload["type"] != "block_actions" || action["block_id"] != BLOCK {
        return None;
    }
    let text = |path: &str| payload.pointer(path)?.as_str().map(str::to_owned);
    let digest = Sha256::digest(signature.as_bytes());
    Some(Click {
        button: serde_json::from_str(action["value"].as_str()?).ok()?,
        user: text("/user/id")?,
        channel: text("/channel/id").or_else(|| text("/container/channel_id"))?,
        at,
        id: format!("slack-{}", hex(&digest[..12])),
    })
}

/// Who a Slack user is in Kubernetes.
///
/// # Errors
/// The sentence for the user.
pub fn identity<'a>(slack: &'a Slack, click: &Click) -> Result<&'a Identity, String> {
    slack.users.get(&click.user).ok_or_else(|| {
        format!(
            "I do not know who you are in Kubernetes. Ask for a line `{}: {{user: …}}` below \
             slack.users in ConfigMap {}.",
            click.user,
            config::NAME
        )
    })
}

/// The command that a click asks for.
///
/// # Errors
/// The sentence for the user: what was found, and what to do.
pub fn command(
    click: &Click,
    identity: &Identity,
    rollout: Option<&SeenRollout>,
) -> Result<Command, String> {
    let Button { verb, namespace, rollout: name, .. } = &click.button;
    let place = format!("{namespace}/{name}");
    let rollout = rollout.ok_or_else(|| format!("Rollout {place} does not exist any more."))?;
    let (_, status) = rollout
        .parsed
        .as_ref()
        .map_err(|_| format!("Rollout {place} cannot be read; see its status."))?;
    shown_still_holds(click, status).map_err(|why| format!("{verb} of {place}: {why}"))?;
    match &rollout.command {
        Some(Ok(waiting)) if waiting.id == click.id => {
            return Err(format!("{verb} of {place}: this click has been taken already."));
        }
        Some(Ok(waiting)) if *verb != Verb::Abort => {
            return Err(format!(
                "{verb} of {place}: `{}` by {} still waits to be carried out; try again.",
                waiting.verb, waiting.by
            ));
        }
        _ => {}
    }
    Ok(Command {
        verb: *verb,
        revision: click.button.revision.clone(),
        by: format!("{} (Slack)", identity.user),
        id: click.id.clone(),
        reason: String::new(),
    })
}

/// Whether the release is as the button showed it. A click that is sent again, to whichever replica,
/// finds that it is not, or that a command was given after it.
fn shown_still_holds(click: &Click, status: &RolloutStatus) -> Result<(), String> {
    let button = &click.button;
    if status.current_revision.as_ref() != Some(&button.revision) {
        let now = status.current_revision.as_deref().unwrap_or("none");
        return Err(format!(
            "the button is of revision {}, but the newest is {now}. Look at its message.",
            button.revision
        ));
    }
    if status.attempt != button.attempt {
        return Err(format!(
            "the button is of attempt {}, but this is attempt {}. Look at its message.",
            button.attempt, status.attempt
        ));
    }
    if let Some(last) = &status.last_command {
        if last.id == click.id {
            return Err("this click has been taken already.".to_owned());
        }
        if last.at > click.at && button.verb != Verb::Abort {
            let by = &last.by;
            return Err(format!("`{}` by {by} was quicker. Look again.", last.verb));
        }
    }
    if button.verb == Verb::Promote && step(status) != button.step {
        return Err("the release has gone on to another step. Look again.".to_owned());
    }
    Ok(())
}

//! Writes a command, and waits until the controller has carried it out.
//!
//! The command is an annotation, bound to the revision that the person saw. It is written with the
//! resourceVersion as precondition, so that it never overwrites another command; only an abort
//! replaces what waits, and so needs no precondition and cannot lose a race.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::{COMMAND_ANNOTATION, Command, CommandRecord, Rollout, Verb};

use super::{
    command::{Change, Decision, command_for},
    exit::{Exit, Failure},
    session::Session,
    state::{self, Waiting},
    watch,
};

/// How often a write is tried when others write at the same time.
pub(super) const ATTEMPTS: u32 = 5;

/// How long the API server may take to say who the user is, before the kubeconfig's name is used.
const WHO_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the record of a command may come after its annotation is gone.
const RECORD_DELAY: Duration = Duration::from_secs(3);

/// The field manager of the plugin's writes.
pub(super) const MANAGER: &str = "kubectl-sluice";

/// A command to send.
pub struct Order<'a> {
    /// The Rollout.
    pub name: &'a str,
    /// What to do.
    pub verb: Verb,
    /// Why.
    pub reason: &'a str,
    /// How long to wait for the controller; `None`: not at all.
    pub wait: Option<Duration>,
}

/// Decides, writes and waits.
pub async fn send(session: &mut Session<'_>, order: &Order<'_>) -> Result<Exit, Failure> {
    let name = order.name;
    let id = fresh_id(session);
    let mut by = None;
    let mut seen = None;
    let mut tried = None;
    for _ in 0..ATTEMPTS {
        let rollout = session.fetch(name).await?;
        if let Some(change) = tried {
            // A write whose answer was lost is sent again by the client, and conflicts with itself.
            let mine = Ticket::Command(id.clone());
            if matches!(outcome(&rollout, &mine), Outcome::Waits | Outcome::Answered(_)) {
                return wait(session, order, change, &mine).await;
            }
        }
        let status = rollout.status.as_ref();
        let revision = status.and_then(|status| status.current_revision.clone());
        if *seen.get_or_insert_with(|| revision.clone()) != revision {
            let text = "a newer revision arrived while the command was being written, and nothing was written; look at it, then try again";
            return Err(about(name, &Failure::plain(text)));
        }
        let decision = command_for(order.verb, &rollout);
        let change = match decision.map_err(|failure| about(name, &failure))? {
            Decision::Write(change) => change,
            Decision::Nothing(why) => {
                session.say(&format!("{name}: {why}"))?;
                return Ok(Exit::Done);
            }
        };
        if by.is_none() {
            by = Some(user(session).await);
        }
        let command = change.verb.map(|verb| Command {
            verb,
            revision: revision.unwrap_or_default(),
            by: by.clone().unwrap_or_default(),
            id: id.clone(),
            reason: order.reason.to_owned(),
        });
        let patch = patch(&rollout, command.as_ref(), change)?;
        if let Some(ticket) = write(session, order, &id, change, &patch).await? {
            return wait(session, order, change, &ticket).await;
        }
        tried = Some(change);
    }
    let text = format!(
        "others wrote the Rollout at the same time, {ATTEMPTS} times in a row, and nothing was written; try again"
    );
    Err(about(name, &Failure::plain(text)))
}

/// Writes the patch; `None` if somebody else wrote first.
async fn write(
    session: &Session<'_>,
    order: &Order<'_>,
    id: &str,
    change: Change,
    patch: &Value,
) -> Result<Option<Ticket>, Failure> {
    let parameters =
        PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let rollouts = session.raw_rollouts(false);
    match rollouts.patch(order.name, &parameters, &Patch::Merge(patch)).await {
        Ok(_) if change.verb.is_some() => Ok(Some(Ticket::Command(id.to_owned()))),
        Ok(written) => {
            let generation = written.metadata.generation.unwrap_or_default();
            Ok(Some(Ticket::Spec(generation)))
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => {
            let doing = format!("write `{}` to the Rollout", order.verb);
            Err(about(order.name, &Failure::api(&error, &doing)))
        }
    }
}

/// The failure with the Rollout's name before it.
pub(super) fn about(name: &str, failure: &Failure) -> Failure {
    Failure::new(failure.exit, format!("{name}: {}", failure.text))
}

/// The merge patch that writes the command, and clears `spec.paused` where the change says so.
fn patch(rollout: &Rollout, command: Option<&Command>, change: Change) -> Result<Value, Failure> {
    let mut patch = json!({});
    if let Some(command) = command {
        let text = serde_json::to_string(command)
            .map_err(|error| Failure::plain(format!("cannot encode the command: {error}")))?;
        patch["metadata"]["annotations"][COMMAND_ANNOTATION] = json!(text);
    }
    if change.verb != Some(Verb::Abort) {
        patch["metadata"]["resourceVersion"] = json!(rollout.metadata.resource_version);
    }
    if change.clear_paused {
        patch["spec"]["paused"] = json!(false);
    }
    Ok(patch)
}

/// A value that no other command has.
fn fresh_id(session: &Session<'_>) -> String {
    let nanoseconds = (session.clock)().as_nanosecond();
    format!("{nanoseconds:x}-{:x}", std::process::id())
}

/// The user as the API server knows it, else as the kubeconfig does.
async fn user(session: &Session<'_>) -> String {
    let reviews: Api<SelfSubjectReview> = Api::all(session.client.clone());
    let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
    let asked = timeout(WHO_TIMEOUT, reviews.create(&parameters, &review)).await;
    asked
        .ok()
        .and_then(Result::ok)
        .and_then(|review| review.status?.user_info?.username)
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| session.user.clone())
}

/// By what the writer knows that its write was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ticket {
    /// The command's id.
    Command(String),
    /// The generation of the spec.
    Spec(i64),
}

/// What became of the write.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// Nothing yet.
    Waits,
    /// The controller answered.
    Answered(CommandRecord),
    /// The controller has looked at the spec.
    SpecSeen,
    /// The annotation is gone, and there is no record of the command (yet).
    Gone,
    /// Another command took its place.
    Replaced(Waiting),
}

fn outcome(rollout: &Rollout, ticket: &Ticket) -> Outcome {
    let status = rollout.status.as_ref();
    let id = match ticket {
        Ticket::Spec(generation) => {
            let seen = status.and_then(|status| status.observed_generation);
            let seen = seen.is_some_and(|seen| seen >= *generation);
            return if seen { Outcome::SpecSeen } else { Outcome::Waits };
        }
        Ticket::Command(id) => id,
    };
    if let Some(record) = status.and_then(|status| status.last_command.as_ref())
        && record.id == *id
    {
        return Outcome::Answered(record.clone());
    }
    match state::waiting(rollout) {
        None => Outcome::Gone,
        Some(Waiting::Command(command)) if command.id == *id => Outcome::Waits,
        Some(other) => Outcome::Replaced(other),
    }
}

/// Waits for the controller, and says what came of the command.
async fn wait(
    session: &mut Session<'_>,
    order: &Order<'_>,
    change: Change,
    ticket: &Ticket,
) -> Result<Exit, Failure> {
    let (name, verb) = (order.name, order.verb);
    let Some(limit) = order.wait else {
        session.say(&format!("{name}: `{verb}` is written; not waiting for the controller"))?;
        return Ok(Exit::Done);
    };
    let mut deadline = Instant::now() + limit;
    let mut last = Outcome::Waits;
    let mut states = watch::follow(session.rollouts(), name);
    loop {
        let state = tokio::select! {
            state = states.next() => state,
            () = sleep_until(deadline) => return Err(overdue(session, order, change, &last)),
        };
        let rollout = match state {
            Some(Ok(Some(rollout))) => rollout,
            Some(Ok(None)) => {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!(
                        "{name}: the Rollout was deleted before the controller carried out `{verb}`; nothing is left to do"
                    ),
                ));
            }
            Some(Err(failure)) => {
                return Err(about(
                    name,
                    &Failure::plain(format!(
                        "`{verb}` is written, but what comes of it cannot be seen: {failure}"
                    )),
                ));
            }
            None => return Err(overdue(session, order, change, &last)),
        };
        let found = outcome(&rollout, ticket);
        match &found {
            Outcome::Waits => {}
            Outcome::Answered(record) => return answer(session, name, record, change),
            Outcome::SpecSeen => {
                session.say(&format!("{name}: spec.paused is cleared"))?;
                return Ok(Exit::Done);
            }
            Outcome::Gone if last == Outcome::Gone => {}
            Outcome::Gone => deadline = deadline.min(Instant::now() + RECORD_DELAY),
            Outcome::Replaced(other) => {
                let other = match other {
                    Waiting::Command(command) => {
                        format!("`{}` by {}", command.verb, state::by(&command.by))
                    }
                    Waiting::Unreadable => "something else".to_owned(),
                };
                return Err(about(
                    name,
                    &Failure::plain(format!(
                        "{other} took the place of `{verb}` before the controller carried it out; see `kubectl sluice status {name}`"
                    )),
                ));
            }
        }
        last = found;
    }
}

/// Says what the controller answered.
fn answer(
    session: &mut Session<'_>,
    name: &str,
    record: &CommandRecord,
    change: Change,
) -> Result<Exit, Failure> {
    let (verb, message) = (record.verb, record.message.trim());
    if record.accepted {
        let sentence = if message.is_empty() { "done" } else { message };
        session.say(&format!("{name}: {verb}: {sentence}"))?;
        return Ok(Exit::Done);
    }
    if change.clear_paused {
        // What held the release is gone, which is what the person asked for.
        session.say(&format!("{name}: spec.paused is cleared; beyond that: {message}"))?;
        return Ok(Exit::Done);
    }
    let text = format!("the controller refused `{verb}`: {message}");
    Err(about(name, &Failure::plain(text)))
}

/// Nobody answered in time.
fn overdue(session: &Session<'_>, order: &Order<'_>, change: Change, last: &Outcome) -> Failure {
    let (name, verb, namespace) = (order.name, order.verb, &session.namespace);
    if *last == Outcome::Gone {
        return about(
            name,
            &Failure::plain(format!(
                "`{verb}` was taken, but the status does not say what came of it; see `kubectl sluice status {name} -n {namespace}`"
            )),
        );
    }
    let waited = order.wait.map_or_else(String::new, |wait| crate::api::Duration(wait).to_string());
    let waiting = if change.verb.is_some() {
        format!(
            "the command still waits and takes effect when the controller is back; `kubectl annotate rollout {name} -n {namespace} {COMMAND_ANNOTATION}-` withdraws it"
        )
    } else {
        "spec.paused is cleared all the same".to_owned()
    };
    Failure::new(
        Exit::TimedOut,
        format!(
            "{name}: `{verb}` is written, but nobody took it within {waited}: the controller does not seem to run; {waiting}"
        ),
    )
}

#[cfg(test)]
mod tests;

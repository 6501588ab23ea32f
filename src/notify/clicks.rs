//! Carries out what buttons ask for: in Slack's own time nothing waits for it.
//!
//! In: requests to `/slack/actions`, on any replica. Out: the annotation of a command on the Rollout,
//! after the API server has said that the Kubernetes user who clicked may give it; and a sentence that
//! this user alone sees where nothing was written.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, ResourceAttributes, SubjectAccessReviewSpec,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use super::{
    Notifier,
    config::{Config, Identity},
    slack::{
        api,
        click::{self, Click},
        signature::{self, Seen},
    },
};
use crate::{
    api::{COMMAND_ANNOTATION, Command, GROUP, Verb},
    apply::rights,
    observe::Caches,
};

/// Clicks that wait at once; more are refused, and Slack says so to who clicked.
const WAITING: usize = 64;

/// Clicks that are carried out at once.
const AT_ONCE: usize = 8;

/// How often a write is tried when others write at the same time.
const ATTEMPTS: usize = 5;

/// Pause before the next try: by then a watch has brought what others wrote.
const PAUSE: Duration = Duration::from_millis(200);

/// Field manager of these writes.
const MANAGER: &str = "sluice-slack";

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is carried out, or is nothing to carry out.
    Yes,
    /// Nobody has configured buttons.
    NotConfigured,
    /// It is not Slack's, or came before.
    Refused,
    /// Too many wait.
    TooMany,
}

/// Where requests come in.
#[derive(Clone)]
pub struct Desk {
    notifier: Arc<Notifier>,
    seen: Arc<Seen>,
    out: Sender<Click>,
}

/// A desk, and where its clicks come out.
pub fn desk(notifier: Arc<Notifier>) -> (Desk, Receiver<Click>) {
    let (out, clicks) = channel(WAITING);
    (Desk { notifier, seen: Arc::default(), out }, clicks)
}

impl Desk {
    /// Takes a request, if it is Slack's.
    pub fn take(
        &self,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Taken {
        let config = self.notifier.config();
        let secret = config.slack.as_ref().and_then(|slack| slack.signing_secret.as_ref());
        let Some(secret) = secret else { return Taken::NotConfigured };
        let seen = &self.seen;
        let at = match signature::verify(&secret.0, timestamp, signature, body, seen, now) {
            Ok(at) => at,
            Err(error) => {
                tracing::warn!(%error, "a request to /slack/actions was refused");
                return Taken::Refused;
            }
        };
        let Some(click) = click::read(body, signature.unwrap_or_default(), at) else {
            return Taken::Yes;
        };
        match self.out.try_send(click) {
            Ok(()) => Taken::Yes,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Taken::TooMany,
        }
    }
}

/// What a click needs to be carried out.
pub struct Bench {
    /// The API server.
    pub client: Client,
    /// What is known of Rollouts.
    pub context: Arc<dyn Known>,
    /// The configuration, and the way to Slack.
    pub notifier: Arc<Notifier>,
}

/// What is known of Rollouts.
pub trait Known: Send + Sync {
    /// The caches.
    fn caches(&self) -> &Caches;
    /// Whether this controller serves the Rollout.
    fn serves(&self, namespace: &str, name: &str) -> bool;
}

/// Carries out clicks until there are none any more.
pub async fn work(bench: &Bench, clicks: Receiver<Click>) {
    let clicks = futures::stream::unfold(clicks, |mut clicks| async move {
        Some((clicks.recv().await?, clicks))
    });
    clicks.for_each_concurrent(AT_ONCE, |click| carry_out(bench, click)).await;
}

async fn carry_out(bench: &Bench, click: Click) {
    let config = bench.notifier.config();
    let said = match order(bench, &config, &click).await {
        Ok(command) => {
            let (verb, by) = (command.verb, command.by);
            tracing::info!(%verb, by, user = click.user, "a click in Slack became a command");
            return;
        }
        Err(said) => said,
    };
    tracing::info!(user = click.user, said, "a click in Slack was refused");
    let Some(slack) = &config.slack else { return };
    let text = said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let request = api::whisper(slack, &click.channel, &click.user, &text);
    match api::read(bench.notifier.http.send(request).await) {
        api::Outcome::Done(_) => {}
        other => tracing::warn!(?other, "the answer to a click could not be said"),
    }
}

/// Gives the command, if the user may.
async fn order(bench: &Bench, config: &Config, click: &Click) -> Result<Command, String> {
    let slack = config.slack.as_ref().ok_or("Slack is not configured any more.")?;
    let identity = click::identity(slack, click)?;
    let (namespace, name) = (&click.button.namespace, &click.button.rollout);
    let mut allowed = false;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let entry = bench.context.caches().rollouts.get(namespace, name);
        let entry = entry.filter(|_| bench.context.serves(namespace, name));
        let seen = entry.as_ref().map(|entry| &*entry.value);
        let command = click::command(click, identity, seen)?;
        let version = entry.map(|entry| entry.version).unwrap_or_default();
        if !allowed {
            review(bench, identity, click).await?;
            allowed = true;
        }
        if write(bench, click, &command, &version).await? {
            return Ok(command);
        }
    }
    Err("Others wrote the Rollout at the same time, and nothing was done; try again.".to_owned())
}

/// Asks the API server whether the user may give the command: its own verb, and `patch`.
async fn review(bench: &Bench, identity: &Identity, click: &Click) -> Result<(), String> {
    let button = &click.button;
    let own = right(button.verb);
    let reviews: Api<LocalSubjectAccessReview> =
        Api::namespaced(bench.client.clone(), &button.namespace);
    for verb in [own, "patch"] {
        let mut groups = identity.groups.clone();
        groups.push("system:authenticated".to_owned());
        let spec = SubjectAccessReviewSpec {
            user: Some(identity.user.clone()),
            groups: Some(groups),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some("rollouts".to_owned()),
                verb: Some(verb.to_owned()),
                namespace: Some(button.namespace.clone()),
                name: Some(button.rollout.clone()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        };
        let metadata =
            ObjectMeta { namespace: Some(button.namespace.clone()), ..ObjectMeta::default() };
        let review = LocalSubjectAccessReview { metadata, spec, status: None };
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(|error| {
            let error = rights::explained(&error);
            tracing::warn!(error, "the rights of a Slack user could not be asked for");
            "The API server did not say whether you may do that; try again.".to_owned()
        })?;
        if !answer.status.is_some_and(|status| status.allowed) {
            return Err(format!(
                "{} may not {} Rollout {}/{}: this needs the verb {verb} on rollouts.sluice.dev, \
                 which the roles sluice-operate and sluice-edit have.",
                identity.user, button.verb, button.namespace, button.rollout
            ));
        }
    }
    Ok(())
}

/// The verb that roles and the policy know a command by.
fn right(verb: Verb) -> &'static str {
    match verb {
        Verb::Promote => "promote",
        Verb::PromoteFull => "promotefull",
        Verb::Abort => "abort",
        Verb::Retry => "retry",
        Verb::Pause => "pause",
        Verb::Resume => "resume",
        Verb::SkipStep => "skipstep",
        Verb::Restart => "restart",
    }
}

/// Writes the annotation. False if somebody else wrote first.
async fn write(
    bench: &Bench,
    click: &Click,
    command: &Command,
    version: &str,
) -> Result<bool, String> {
    let text = serde_json::to_string(command).unwrap_or_default();
    let mut patch = json!({"metadata": {"annotations": {COMMAND_ANNOTATION: text}}});
    if command.verb != Verb::Abort {
        patch["metadata"]["resourceVersion"] = Value::from(version);
    }
    let kind = GroupVersionKind::gvk(GROUP, "v1alpha1", "Rollout");
    let resource = ApiResource::from_gvk(&kind);
    let button = &click.button;
    let api: Api<DynamicObject> =
        Api::namespaced_with(bench.client.clone(), &button.namespace, &resource);
    let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    match api.patch(&button.rollout, &params, &Patch::Merge(patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            Err(format!("Rollout {}/{} does not exist any more.", button.namespace, button.rollout))
        }
        Err(error) => {
            let error = rights::explained(&error);
            tracing::warn!(error, "a command from Slack could not be written");
            Err("The command could not be written; the controller's log says why.".to_owned())
        }
    }
}

//! `undo`: back to the pod template of an earlier revision.
//!
//! As `kubectl rollout undo`, it changes what is asked for, not how a release goes: it writes the
//! template to where the template stands, the Rollout or the workload that it names. What follows is
//! a release like any other, or, when the stable revision is asked for again, the way back to it.

mod choose;
mod template;

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    api::{
        FINGERPRINT_ANNOTATION, PodTemplate, REVISION_LABEL, REVISION_NUMBER_ANNOTATION, Rollout,
    },
    world::fingerprint::fingerprint,
};

use super::{
    args::Undo,
    exit::{Exit, Failure},
    send::{ATTEMPTS, MANAGER, about},
    session::Session,
    snapshot::Selectors,
    state, watch,
    workload::Holder,
};
use choose::{Choice, Kept};

/// Chooses the revision, writes its template, and waits until the controller has taken it.
pub async fn run(session: &mut Session<'_>, args: &Undo) -> Result<Exit, Failure> {
    let name = &args.plain.name;
    let mut tried: Option<Kept> = None;
    for _ in 0..ATTEMPTS {
        let ground = Ground::read(session, name).await?;
        let choice = choose::choose(
            &ground.rollout,
            &ground.kept(),
            &fingerprint(&ground.present),
            args.to_revision,
        );
        let choice = match &tried {
            // A write whose answer was lost is sent again by the client, and conflicts with itself.
            Some(tried) if fingerprint(&ground.present) == tried.fingerprint => {
                return follow(session, args, &ground, tried).await;
            }
            _ => choice.map_err(|failure| about(name, &failure))?,
        };
        let back = match choice {
            Choice::Back(back) => back,
            Choice::Already(kept) => {
                let text = format!(
                    "{name}: nothing to do: {} has the pod template of {} already",
                    ground.holder.text(),
                    kept.text()
                );
                session.say(&text)?;
                return Ok(Exit::Done);
            }
        };
        if tried.as_ref().is_some_and(|tried| *tried != back) {
            let text = "another revision became stable while the template was being written, and nothing was written; look at it, then try again";
            return Err(about(name, &Failure::plain(text)));
        }
        if ground.write(session, &back).await.map_err(|failure| about(name, &failure))? {
            return follow(session, args, &ground, &back).await;
        }
        tried = Some(back);
    }
    let text = format!(
        "others wrote the object with the pod template at the same time, {ATTEMPTS} times in a row, and nothing was written; try again"
    );
    Err(about(name, &Failure::plain(text)))
}

/// All that is read before a decision.
struct Ground {
    rollout: Rollout,
    /// The ReplicaSets of the Rollout, as they are stored.
    sets: Vec<Value>,
    holder: Holder,
    /// The object that holds the template.
    object: DynamicObject,
    /// The template that it has now.
    present: PodTemplate,
}

impl Ground {
    async fn read(session: &Session<'_>, name: &str) -> Result<Self, Failure> {
        let rollout = session.fetch(name).await?;
        let sets = sets(session, &rollout).await.map_err(|failure| about(name, &failure))?;
        let reference = rollout.spec.workload_ref.as_ref();
        let kind = reference.map_or("Rollout", |reference| reference.kind.as_str());
        let missing = |why: &str| {
            about(name, &Failure::plain(format!("{why}, so there is no pod template to change")))
        };
        let holder = Holder::of(&rollout)
            .ok_or_else(|| missing(&format!("spec.workloadRef.kind: found {kind}, allowed are Deployment, ReplicaSet, PodTemplate")))?;
        let read = holder.api(&session.client, &session.namespace).get_opt(&holder.name).await;
        let object = read
            .map_err(|error| {
                about(name, &Failure::api(&error, &format!("read {}", holder.text())))
            })?
            .ok_or_else(|| missing(&format!("{} does not exist", holder.text())))?;
        let template = object.data.pointer(holder.template).cloned().unwrap_or_default();
        let present = serde_json::from_value(template).unwrap_or_default();
        Ok(Self { rollout, sets, holder, object, present })
    }

    /// The revisions that can be gone back to.
    fn kept(&self) -> Vec<Kept> {
        let alive = self.sets.iter().filter(|set| set["metadata"]["deletionTimestamp"].is_null());
        alive.filter_map(kept).collect()
    }

    /// Writes the template of `back`; false if somebody else wrote first.
    async fn write(&self, session: &Session<'_>, back: &Kept) -> Result<bool, Failure> {
        let mut sets = self.sets.iter();
        let set = sets.find(|set| set["metadata"]["labels"][REVISION_LABEL] == *back.revision);
        let template = set.and_then(|set| template::written(set, &self.present));
        let template = template.ok_or_else(|| {
            Failure::plain(format!(
                "the pod template of {} cannot be told from what was added to it in its ReplicaSet (its annotation {FINGERPRINT_ANNOTATION} does not fit), and nothing was written; apply the manifest of that revision instead",
                back.text()
            ))
        })?;
        // Writing a resource version makes the API server answer 409 unless it is the present one.
        let patch = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.object.resource_version()},
            {"op": "replace", "path": self.holder.template, "value": template},
        ]);
        let patch = serde_json::from_value(patch)
            .map_err(|error| Failure::plain(format!("cannot encode the pod template: {error}")))?;
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.holder.api(&session.client, &session.namespace);
        let patch: Patch<()> = Patch::Json(patch);
        match api.patch(&self.holder.name, &parameters, &patch).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => {
                let doing = format!("write the pod template to {}", self.holder.text());
                Err(Failure::api(&error, &doing))
            }
        }
    }
}

/// The ReplicaSets that the Rollout owns.
async fn sets(session: &Session<'_>, rollout: &Rollout) -> Result<Vec<Value>, Failure> {
    // As they are stored: a typed struct would lose fields of the template that it does not know.
    let kind = ApiResource::erase::<ReplicaSet>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(session.client.clone(), &session.namespace, &kind);
    let parameters = ListParams::default().labels(&Selectors::of(rollout).pods);
    let read = api.list(&parameters).await;
    let listed = read.map_err(|error| Failure::api(&error, "read the ReplicaSets"))?;
    let uid = rollout.metadata.uid.as_deref();
    let owned = listed.items.into_iter().filter(|set| {
        let mut owners = set.owner_references().iter();
        owners.any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
    });
    Ok(owned.filter_map(|set| serde_json::to_value(set).ok()).collect())
}

/// What a ReplicaSet says of its revision; none if it is no revision.
fn kept(set: &Value) -> Option<Kept> {
    let annotation = |key: &str| set["metadata"]["annotations"].get(key)?.as_str();
    let template: Option<PodTemplate> =
        serde_json::from_value(set["spec"]["template"].clone()).ok();
    Some(Kept {
        number: annotation(REVISION_NUMBER_ANNOTATION)?.parse().ok()?,
        revision: set["metadata"]["labels"].get(REVISION_LABEL)?.as_str()?.to_owned(),
        images: template.map(|template| template.images()).unwrap_or_default(),
        fingerprint: annotation(FINGERPRINT_ANNOTATION)?.to_owned(),
    })
}

/// Says what was done, and waits until the controller goes back to that revision.
async fn follow(
    session: &mut Session<'_>,
    args: &Undo,
    ground: &Ground,
    back: &Kept,
) -> Result<Exit, Failure> {
    let name = &args.plain.name;
    let what = format!("{} has the pod template of {} again", ground.holder.text(), back.text());
    session.say(&format!("{name}: undo: {what}"))?;
    let Some(limit) = args.plain.wait() else {
        return Ok(Exit::Done);
    };
    let rollout = taken(session, name, back, limit).await?;
    session.say(&state::line(&rollout))?;
    match state::exit_code(&rollout) {
        Exit::InProgress => session
            .say(&format!("Next: `kubectl sluice status {name} --watch` waits for the end"))?,
        _ => {
            if let Some(next) = state::next_step(&rollout) {
                session.say(&format!("Next: {next}"))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The Rollout once the controller takes `back` for the newest revision.
async fn taken(
    session: &Session<'_>,
    name: &str,
    back: &Kept,
    limit: Duration,
) -> Result<Rollout, Failure> {
    let deadline = Instant::now() + limit;
    let mut states = watch::follow(session.rollouts(), name);
    let overdue = || {
        let waited = crate::api::Duration(limit);
        let text = format!(
            "the template is written, but no controller took it within {waited}; it takes effect when the controller is back; see `kubectl sluice status {name}`"
        );
        about(name, &Failure::new(Exit::TimedOut, text))
    };
    loop {
        let seen = tokio::select! {
            seen = states.next() => seen,
            () = sleep_until(deadline) => return Err(overdue()),
        };
        let rollout = match seen {
            Some(Ok(Some(rollout))) => rollout,
            Some(Ok(None)) => {
                let text = "the Rollout was deleted before the controller took the template";
                return Err(about(name, &Failure::new(Exit::NotFound, text)));
            }
            Some(Err(failure)) => {
                let text = format!(
                    "the template is written, but what comes of it cannot be seen: {failure}"
                );
                return Err(about(name, &Failure::plain(text)));
            }
            None => return Err(overdue()),
        };
        let current = rollout.status.as_ref().and_then(|now| now.current_revision.as_ref());
        if current == Some(&back.revision) && state::observed(&rollout) {
            return Ok(rollout);
        }
    }
}

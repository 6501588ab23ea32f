//! Kubernetes Events: on transitions only, for people who read `kubectl describe`.
//!
//! Each note is an Event of its own. kube-runtime's Recorder folds Events of one reason into a
//! series and drops the text of all but the first, which would hide who did what.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::Context;
use crate::{
    api::Note,
    apply::{Fence, rights},
    plan::FIELD_MANAGER,
    world::World,
};

/// Longest text of an Event, in characters; the API server refuses more than 1 kB.
const LONGEST: usize = 900;

/// Publishes `notes`. An Event that cannot be published is logged and not tried again: it only tells.
pub(super) async fn publish(context: &Context, world: &World, notes: &[Note]) {
    publish_from(context, world, notes, 0).await;
}

/// The same for notes that come beside those of a pass: `first` keeps their names apart.
pub(super) async fn publish_from(context: &Context, world: &World, notes: &[Note], first: usize) {
    let api: Api<Event> = Api::namespaced(context.client.clone(), &world.rollout.namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    for (index, note) in notes.iter().enumerate() {
        if !context.fence.is_open() {
            return;
        }
        let event = event(world, note, first + index, context.clock.now());
        if let Err(error) = api.create(&params, &event).await {
            let error = rights::explained(&error);
            tracing::warn!(error, reason = %note.reason, "an Event could not be published");
        }
    }
}

fn event(world: &World, note: &Note, index: usize, now: Timestamp) -> Event {
    let rollout = &world.rollout;
    // Unlike `generateName`, a name from the time and the version that was looked at makes a repeated
    // call harmless; the time alone does not tell two quick looks apart.
    let (micros, version) = (now.as_microsecond(), &rollout.resource_version);
    let name = format!("{}.{micros:x}.{version}.{index}", rollout.name);
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(rollout.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.to_string()),
        action: Some(note.reason.to_string()),
        note: Some(note.text.chars().take(LONGEST).collect()),
        reporting_controller: Some("sluice.dev/controller".to_owned()),
        reporting_instance: Some("sluice".to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("sluice.dev/v1alpha1".to_owned()),
            kind: Some("Rollout".to_owned()),
            name: Some(rollout.name.clone()),
            namespace: Some(rollout.namespace.clone()),
            uid: Some(rollout.uid.clone()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

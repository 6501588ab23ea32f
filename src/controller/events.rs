//! Kubernetes Events: on transitions only, for people who read `kubectl describe`.

use kube::runtime::events::{Event, EventType};

use super::Context;
use crate::{api::Note, world::World};

/// Longest text of an Event, in characters; the API server refuses more than 1 kB.
const LONGEST: usize = 900;

/// Publishes `notes`. An Event that cannot be published is logged and not tried again: it only tells.
pub(super) async fn publish(context: &Context, world: &World, notes: &[Note]) {
    let reference = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some("sluice.dev/v1alpha1".into()),
        kind: Some("Rollout".into()),
        name: Some(world.rollout.name.clone()),
        namespace: Some(world.rollout.namespace.clone()),
        uid: Some(world.rollout.uid.clone()),
        ..k8s_openapi::api::core::v1::ObjectReference::default()
    };
    for note in notes {
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.to_string(),
            note: Some(note.text.chars().take(LONGEST).collect()),
            action: note.reason.to_string(),
            secondary: None,
        };
        if let Err(error) = context.recorder.publish(&event, &reference).await {
            tracing::warn!(%error, reason = %note.reason, "an Event could not be published");
        }
    }
}

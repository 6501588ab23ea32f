//! Metadata by role: labels and annotations that pods carry while they are stable or canary.
//!
//! The annotation `sluice.dev/role-metadata` on a ReplicaSet's template and on each pod says what was
//! put there, so that exactly that is taken off again.

use super::{Action, Draft, Write, gate::Traffic, messages};
use crate::{
    api::PodMetadata,
    world::{StrategyKind, World},
};

/// What pods of a new revision carry from their start.
pub(super) fn of_new(world: &World, draft: &Draft) -> Option<PodMetadata> {
    let active = draft.stable.as_deref().unwrap_or(&draft.target);
    of(world, draft, active, &draft.target).cloned()
}

/// The revision off whose nodes pods of a new one stay.
pub(super) fn apart_from(world: &World, draft: &Draft) -> Option<String> {
    draft.stable.clone().filter(|_| world.program.anti_affinity.is_some())
}

/// What the role of `revision` gives its pods, where `active` is the stable one.
fn of<'a>(
    world: &'a World,
    draft: &Draft,
    active: &str,
    revision: &str,
) -> Option<&'a PodMetadata> {
    if revision == active {
        world.program.stable_metadata.as_ref()
    } else if revision == draft.target {
        world.program.canary_metadata.as_ref()
    } else {
        None
    }
}

/// Plans the edits of templates and pods whose metadata is not that of their role.
pub(super) fn follow(world: &World, draft: &mut Draft, traffic: Option<&Traffic>) {
    let none = PodMetadata::default();
    // A colour is active while users reach it; without readable routes nobody knows which it is.
    let active = match (world.program.strategy, traffic) {
        (StrategyKind::BlueGreen, Some(traffic)) => traffic.active(draft),
        (StrategyKind::BlueGreen, None) => return,
        _ => draft.stable.as_deref().unwrap_or(&draft.target),
    }
    .to_owned();
    for set in world.revisions.iter().filter(|set| set.replicas > 0 && !set.deleting) {
        let wanted = of(world, draft, &active, &set.revision).unwrap_or(&none);
        let differs = |had: &Option<PodMetadata>| had.as_ref().unwrap_or(&none) != wanted;
        let mut writes = Vec::new();
        if differs(&set.role) {
            writes.push(Write::RoleOfSet {
                name: set.name.clone(),
                uid: set.uid.clone(),
                from: set.role.clone(),
                to: wanted.clone(),
            });
        }
        for pod in set.pods.iter().filter(|pod| !pod.deleting && differs(&pod.role)) {
            writes.push(Write::RoleOfPod {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                from: pod.role.clone(),
                to: wanted.clone(),
            });
        }
        let why = messages::role(&set.revision);
        draft.cleanup.extend(writes.into_iter().map(|write| Action { write, why: why.clone() }));
    }
}

//! A restart: pods older than an instant are replaced one after the other, without a release.
//!
//! Pods are evicted, so that the API server itself keeps to PodDisruptionBudgets. Where no pod may be
//! missing, one more comes first (lesson 81).

use jiff::{SignedDuration, Timestamp};

use super::{Draft, WaitKind, Write, messages, scale};
use crate::world::{ReplicaSet, World};

/// Time after which an eviction that a PodDisruptionBudget forbade is tried again.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// The instant before which pods are to be replaced, if a restart is asked for and not done.
fn asked(world: &World, draft: &Draft) -> Option<Timestamp> {
    let asked = draft.status.restart_at.into_iter().chain(world.rollout.spec.restart_at).max()?;
    let done = draft.status.restarted_at.is_some_and(|done| done >= asked);
    (!done && asked <= world.now && draft.stable.is_some()).then_some(asked)
}

/// The ReplicaSets whose pods are restarted.
fn sets<'a>(world: &'a World, draft: &'a Draft) -> impl Iterator<Item = &'a ReplicaSet> {
    let ours = |set: &&ReplicaSet| {
        set.replicas > 0
            && (set.revision == draft.target || draft.stable.as_ref() == Some(&set.revision))
    };
    world.revisions.iter().filter(ours)
}

fn has_old_pods(world: &World, draft: &Draft, before: Timestamp) -> bool {
    sets(world, draft).any(|set| set.pods.iter().any(|pod| pod.created < before))
}

/// Pods that stable has on top while it restarts and none may be missing.
pub(super) fn surge(world: &World, draft: &Draft) -> u32 {
    let Some(before) = asked(world, draft) else { return 0 };
    u32::from(scale::unavailable(world) == 0 && has_old_pods(world, draft, before))
}

/// Plans the next evictions, or records the end of the restart.
pub(super) fn restart(world: &World, draft: &mut Draft) {
    let later = draft.status.restart_at.into_iter().chain(world.rollout.spec.restart_at).max();
    if let Some(at) = later.filter(|at| *at > world.now) {
        draft.check_at(at);
    }
    let Some(before) = asked(world, draft) else { return };
    if world.rollout.spec.paused {
        return;
    }
    if !has_old_pods(world, draft, before) {
        draft.status.restarted_at = Some(before);
        draft.note(messages::restarted());
        return;
    }
    let mut evictions = Vec::new();
    for set in sets(world, draft) {
        evictions.extend(evictable(world, set, before));
    }
    let mut refused = None;
    for (name, uid) in evictions {
        if let Some((at, why)) = world.refused_evictions.get(&name) {
            let again = at.checked_add(TRY_AGAIN).unwrap_or(world.now);
            if again > world.now {
                draft.check_at(again);
                refused = Some(why.clone());
                continue;
            }
        }
        draft.push(Write::Evict { name, uid }, messages::restart_why());
    }
    let text = messages::restarting(refused.as_deref());
    draft.wait(WaitKind::Other, text);
}

/// The pods of a revision that may go now, the oldest first: those that are not available, and of the
/// others as many as may be missing.
fn evictable(world: &World, set: &ReplicaSet, before: Timestamp) -> Vec<(String, String)> {
    let min_ready = world.min_ready();
    let available = set.available(world.now, min_ready);
    let missing = scale::unavailable(world).min(set.replicas);
    // A size above the wanted one is the surge of this restart.
    let wanted = set.replicas.min(world.desired()).saturating_sub(missing);
    let mut spare = available.saturating_sub(wanted);
    let mut old: Vec<_> =
        set.pods.iter().filter(|pod| pod.created < before && !pod.deleting).collect();
    old.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    old.retain(|pod| {
        let serves = pod.is_available(world.now, min_ready);
        if serves && spare == 0 {
            return false;
        }
        spare -= u32::from(serves);
        true
    });
    old.into_iter().map(|pod| (pod.name.clone(), pod.uid.clone())).collect()
}

//! How many pods each revision should have, and which may go.

use super::{
    Draft, NewReplicaSet, Write,
    gate::Traffic,
    identify, messages,
    step::{Intent, SizeRule},
};
use crate::{
    api::RetiringRevision,
    world::{ReplicaSet, World},
};

/// `percent` of `pods`, rounded up.
pub(super) fn share(pods: u32, percent: i32) -> u32 {
    let percent = u64::try_from(percent).unwrap_or(0);
    u32::try_from((u64::from(pods) * percent).div_ceil(100)).unwrap_or(u32::MAX)
}

/// Pods that the canary should have under `intent`.
pub(super) fn canary_size(world: &World, intent: Intent) -> u32 {
    let desired = world.desired();
    if desired == 0 {
        return 0;
    }
    match intent.size {
        SizeRule::Replicas(replicas) => replicas,
        SizeRule::Percent(percent) => share(desired, percent),
        SizeRule::MatchWeight if intent.weight == 0 => 0,
        SizeRule::MatchWeight => {
            let fewest = world.rollout.spec.strategy.canary.min_pods_per_replica_set.unwrap_or(1);
            share(desired, intent.weight).max(u32::try_from(fewest).unwrap_or(1)).max(1)
        }
    }
}

/// Available pods that the canary needs before it gets `weight`: its share of the wanted pods, or
/// all that the user's `setCanaryScale` grants it if those are fewer.
pub(super) fn needed(world: &World, weight: i32, size: SizeRule) -> u32 {
    if weight <= 0 || world.desired() == 0 {
        return 0;
    }
    let by_weight = share(world.desired(), weight);
    match size {
        SizeRule::MatchWeight => by_weight,
        SizeRule::Replicas(_) | SizeRule::Percent(_) => {
            by_weight.min(canary_size(world, Intent { weight, size }))
        }
    }
    .max(1)
}

/// Pods that the canary needs to *keep* `weight`: in proportion to the `serving` ones of stable, so
/// that a scale-up that reaches both revisions at once takes no weight away; and no more than any of
/// `sizes` asks for, so that a step that grants more pods takes none away either.
pub(super) fn needed_to_keep(world: &World, serving: u32, weight: i32, sizes: &[SizeRule]) -> u32 {
    let strict = sizes.iter().map(|size| needed(world, weight, *size)).min().unwrap_or(0);
    strict.min(share(serving, weight).max(u32::from(weight > 0)))
}

/// Brings `revision` to `size`, or creates it; never beyond the surge that is left.
pub(super) fn bring_to(world: &World, draft: &mut Draft, revision: &str, size: u32, why: &str) {
    let others: u32 = world
        .revisions
        .iter()
        .filter(|set| set.revision != revision)
        .map(|set| set.replicas.max(planned(draft, set)))
        .fold(0, u32::saturating_add);
    let room = world.desired().saturating_add(surge(world)).saturating_sub(others);
    let Some(set) = world.revision(revision) else {
        if world.orphans.iter().any(|set| set.revision == revision) {
            return; // It is adopted in this pass.
        }
        draft.push(
            Write::CreateReplicaSet(NewReplicaSet {
                name: identify::replica_set_name(&world.rollout.name, revision),
                revision: revision.to_owned(),
                fingerprint: world.fingerprint.clone(),
                number: draft.status.revision,
                replicas: size.min(room),
            }),
            why,
        );
        return;
    };
    let size = if size > set.replicas { size.min(room.max(set.replicas)) } else { size };
    // Pods that are about to go would be taken for those asked for.
    if size > set.replicas && set.is_shrinking() {
        return;
    }
    scale(draft, set, size, why);
}

/// The size to which this very pass scales `set` up; 0 if it does not.
fn planned(draft: &Draft, set: &ReplicaSet) -> u32 {
    let sizes = draft.actions.iter().filter_map(|action| match &action.write {
        Write::Scale { name, to, .. } if *name == set.name => Some(*to),
        _ => None,
    });
    sizes.max().unwrap_or(0)
}

fn scale(draft: &mut Draft, set: &ReplicaSet, to: u32, why: &str) {
    if set.replicas == to || set.deleting {
        return;
    }
    let write =
        Write::Scale { name: set.name.clone(), uid: set.uid.clone(), from: set.replicas, to };
    let action = super::Action { write, why: why.to_owned() };
    if to > set.replicas {
        draft.actions.push(action);
    } else {
        draft.cleanup.push(action);
    }
}

/// Pods above `spec.replicas` that may exist.
pub(super) fn surge(world: &World) -> u32 {
    let desired = world.desired();
    let surge = world.rollout.spec.strategy.canary.max_surge;
    surge.map_or(desired, |surge| surge.rounded_up(desired))
}

/// Whether `revision` lacks pods because older revisions still take all the room.
pub(super) fn is_crowded(world: &World, revision: &str, needed: u32) -> bool {
    let total = world.revisions.iter().map(|set| set.replicas).fold(0, u32::saturating_add);
    world.revision(revision).is_some_and(|set| set.replicas < needed)
        && total >= world.desired().saturating_add(surge(world))
}

/// Lists the revisions that lost their place, and lets their pods go when nothing reaches them any
/// more and their delay is over.
pub(super) fn retire(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let canary = &world.rollout.spec.strategy.canary;
    let aborted = draft.status.abort.clone();
    let keep = |draft: &Draft, revision: &str| {
        draft.stable.as_deref() == Some(revision)
            || (draft.target == revision && draft.status.abort.is_none())
    };
    draft.status.retiring.retain(|retiring| {
        draft.stable.as_ref() != Some(&retiring.revision)
            && (draft.target != retiring.revision || aborted.is_some())
    });
    // One that was to stay until the next release has seen it come.
    let target = draft.target.clone();
    for retiring in draft.status.retiring.iter_mut().filter(|r| r.revision != target) {
        retiring.scale_down_at.get_or_insert(world.now);
    }
    for set in &world.revisions {
        if keep(draft, &set.revision) || set.replicas == 0 {
            continue;
        }
        let listed = draft.status.retiring.iter().any(|retiring| retiring.revision == set.revision);
        if !listed {
            let delay = canary.abort_scale_down_delay;
            let stays = draft.target == set.revision && delay.0.is_zero();
            draft.status.retiring.push(RetiringRevision {
                revision: set.revision.clone(),
                scale_down_at: (!stays).then(|| delay.after(world.now)),
            });
        }
    }
    // In the first deployment Services may select every pod: keep the revision that serves best.
    let best = world
        .revisions
        .iter()
        .filter(|set| draft.stable.is_none() && set.revision != draft.target)
        .max_by_key(|set| world.available(&set.revision))
        .map(|set| set.revision.clone());
    for retiring in draft.status.retiring.clone() {
        let Some(set) = world.revision(&retiring.revision) else { continue };
        if set.replicas == 0 {
            continue;
        }
        let superseded = retiring.revision != draft.target;
        let useless = set.ready() == 0 && superseded;
        let crowded = draft.stable.is_none() && superseded && best.as_ref() != Some(&set.revision);
        if useless || crowded {
            scale(draft, set, 0, &messages::useless(&set.revision));
            continue;
        }
        let Some(at) = retiring.scale_down_at else { continue };
        if at > world.now {
            draft.check_at(at);
            continue;
        }
        match traffic.unreachable(world, &set.revision) {
            Ok(()) => scale(draft, set, 0, &messages::drained(&set.revision)),
            Err(Some(at)) => draft.check_at(at),
            Err(None) => {}
        }
    }
}

/// Deletes the oldest revisions without pods beyond `spec.revisionHistoryLimit`.
pub(super) fn prune(world: &World, draft: &mut Draft) {
    let limit = usize::try_from(world.rollout.spec.revision_history_limit).unwrap_or(0);
    let old = world.revisions.iter().filter(|set| {
        set.replicas == 0
            && set.existing() == 0
            && !set.deleting
            && set.revision != draft.target
            && draft.stable.as_ref() != Some(&set.revision)
    });
    for set in old.skip(limit) {
        draft.cleanup.push(super::Action {
            write: Write::DeleteReplicaSet { name: set.name.clone(), uid: set.uid.clone() },
            why: messages::pruned(limit),
        });
    }
}

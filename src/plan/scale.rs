//! How many pods each revision should have, and which may go.

use super::{
    Draft, NewReplicaSet, Write, drain,
    gate::Traffic,
    identify, messages, metadata,
    step::{self, Intent, SizeRule},
    workload,
};
use crate::{
    api::{ReplicaProgressThreshold, RetiringRevision, ThresholdKind},
    world::{ReplicaSet, Shift, StrategyKind, World},
};

/// `percent` of `pods`, rounded up.
fn percent_of(pods: u32, percent: i32) -> u32 {
    rounded_up(pods, percent, 100)
}

/// The share of `pods` that a weight means, rounded up.
pub(super) fn share(world: &World, pods: u32, weight: i32) -> u32 {
    rounded_up(pods, weight, world.program.total())
}

fn rounded_up(pods: u32, part: i32, total: i32) -> u32 {
    let part = u64::try_from(part).unwrap_or(0);
    let total = u64::try_from(total).unwrap_or(100).max(1);
    u32::try_from((u64::from(pods) * part).div_ceil(total)).unwrap_or(u32::MAX)
}

/// How many of `pods` must be available for a step that asks for them (`replicaProgressThreshold`).
pub(super) fn enough(world: &World, pods: u32) -> u32 {
    match world.program.threshold {
        None => pods,
        Some(ReplicaProgressThreshold { kind: ThresholdKind::Percent, value }) => {
            percent_of(pods, value).min(pods)
        }
        Some(ReplicaProgressThreshold { kind: ThresholdKind::Pod, value }) => {
            u32::try_from(value).unwrap_or(u32::MAX).min(pods)
        }
    }
}

/// Pods that the canary should have under `intent`.
pub(super) fn canary_size(world: &World, intent: Intent) -> u32 {
    let desired = world.desired();
    if desired == 0 {
        return 0;
    }
    match intent.size {
        // A preview is at most a full set.
        SizeRule::Replicas(replicas) if world.program.strategy == StrategyKind::BlueGreen => {
            replicas.min(desired)
        }
        SizeRule::Replicas(replicas) => replicas,
        SizeRule::Percent(percent) => percent_of(desired, percent),
        SizeRule::MatchWeight if intent.weight == 0 => 0,
        SizeRule::MatchWeight => share(world, desired, intent.weight).max(world.program.min_pods),
    }
}

/// Available pods that the canary needs before it gets `weight`: its share of the wanted pods, or
/// all that the user's `setCanaryScale` grants it if those are fewer.
pub(super) fn needed(world: &World, weight: i32, size: SizeRule) -> u32 {
    if weight <= 0 || world.desired() == 0 {
        return 0;
    }
    let by_weight = share(world, world.desired(), weight);
    let pods = match size {
        SizeRule::MatchWeight => by_weight,
        SizeRule::Replicas(_) | SizeRule::Percent(_) => {
            by_weight.min(canary_size(world, Intent { weight, size }))
        }
    };
    enough(world, pods).max(1)
}

/// Pods that the canary needs to *keep* `weight`: in proportion to the `serving` ones of stable, so
/// that a scale-up that reaches both revisions at once takes no weight away; and no more than any of
/// `sizes` asks for, so that a step that grants more pods takes none away either.
pub(super) fn needed_to_keep(world: &World, serving: u32, weight: i32, sizes: &[SizeRule]) -> u32 {
    let strict = sizes.iter().map(|size| needed(world, weight, *size)).min().unwrap_or(0);
    if world.program.dynamic_stable {
        return strict;
    }
    strict.min(share(world, serving, weight).max(u32::from(weight > 0)))
}

/// Pods that the stable revision needs where it may shrink: for the weight that it has, and for the
/// one that it gets back.
pub(super) fn dynamic_stable_size(world: &World, draft: &Draft, traffic: &Traffic) -> u32 {
    let (desired, total) = (world.desired(), world.program.total());
    let shown = traffic.highest();
    let stable = draft.stable.as_ref().and_then(|stable| world.revision(stable));
    let present = stable.map_or(0, |set| set.replicas);
    let aborted = draft.status.abort.is_some();
    // Its destination reaches the new revision already: it leaves at the size that it has.
    if draft.in_release() && !aborted && traffic.stable.all_at(&draft.target) {
        return present;
    }
    let at = step::index(world, draft);
    let goal = match () {
        () if !draft.in_release() || aborted || traffic.is_overtaken(draft) => 0,
        () if at >= world.program.steps.len() => total,
        () => step::intent(world, at).weight,
    };
    let least = world.program.min_pods.min(desired);
    let wanted = |weight: i32| share(world, desired, total - weight).max(least);
    // The old revision leaves with its own delay; at full weight nothing hurries.
    let settled = traffic.weights_settle(shown).is_some_and(|at| at <= world.now);
    let kept = if settled && shown < total { wanted(shown) } else { present.min(desired) };
    kept.max(wanted(goal)).max(if shown == 0 { desired } else { 0 })
}

/// Whether an aborted colour still stands behind the preview Service, for a look at what went wrong.
pub(super) fn is_kept_for_a_look(world: &World, draft: &Draft, traffic: &Traffic) -> bool {
    let here = traffic.canary.all_at(&draft.target) && world.available(&draft.target) > 0;
    let retiring = draft.status.retiring.iter().find(|retiring| retiring.revision == draft.target);
    let due = retiring.is_none_or(|r| r.scale_down_at.is_some_and(|at| at <= world.now));
    world.program.strategy == StrategyKind::BlueGreen && draft.in_release() && here && !due
}

/// Brings `revision` to `size`, or creates it; never beyond the surge that is left.
pub(super) fn bring_to(world: &World, draft: &mut Draft, revision: &str, size: u32, why: &str) {
    let others: u32 = world
        .revisions
        .iter()
        .filter(|set| set.revision != revision)
        .map(|set| set.replicas.max(planned(draft, set)))
        .chain(created(draft))
        .fold(0, u32::saturating_add);
    let room = most(world).saturating_sub(others.saturating_add(workload::in_the_way(world)));
    let Some(set) = world.revision(revision) else {
        // An orphan is adopted in this pass; without the workload there is nothing to make pods of.
        if world.orphans.iter().any(|set| set.revision == revision) || !world.has_template() {
            return;
        }
        draft.push(
            Write::CreateReplicaSet(NewReplicaSet {
                name: identify::replica_set_name(&world.rollout.name, revision),
                revision: revision.to_owned(),
                fingerprint: world.fingerprint.clone(),
                number: draft.status.revision,
                replicas: size.min(room),
                role: metadata::of_new(world, draft),
                apart_from: metadata::apart_from(world, draft),
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

/// The sizes of the ReplicaSets that this very pass creates.
fn created(draft: &Draft) -> impl Iterator<Item = u32> {
    draft.actions.iter().filter_map(|action| match &action.write {
        Write::CreateReplicaSet(new) => Some(new.replicas),
        _ => None,
    })
}

/// The size to which this very pass scales `set` up; 0 if it does not.
fn planned(draft: &Draft, set: &ReplicaSet) -> u32 {
    let sizes = draft.actions.iter().filter_map(|action| match &action.write {
        Write::Scale { name, to, .. } if *name == set.name => Some(*to),
        _ => None,
    });
    sizes.max().unwrap_or(0)
}

pub(super) fn scale(draft: &mut Draft, set: &ReplicaSet, to: u32, why: &str) {
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

/// Pods that may exist at once. Without a limit: a full set for each revision that stands by.
pub(super) fn most(world: &World) -> u32 {
    let desired = world.desired();
    if let Some(surge) = world.program.max_surge {
        return desired.saturating_add(surge.rounded_up(desired));
    }
    let standing = world.revisions.iter().map(|set| set.replicas.max(desired));
    standing.fold(desired, u32::saturating_add)
}

/// Pods below `spec.replicas` that may be missing. One, if nothing else lets a pod be replaced.
pub(super) fn unavailable(world: &World) -> u32 {
    let desired = world.desired();
    let unavailable = world.program.max_unavailable.rounded_down(desired);
    let stuck = unavailable == 0 && most(world) == desired;
    if stuck { 1 } else { unavailable.min(desired) }
}

/// Whether `revision` lacks pods because older revisions still take all the room.
pub(super) fn is_crowded(world: &World, revision: &str, needed: u32) -> bool {
    let total = world.revisions.iter().map(|set| set.replicas).fold(0, u32::saturating_add);
    world.revision(revision).is_some_and(|set| set.replicas < needed) && total >= most(world)
}

/// Lists the revisions that lost their place, and lets their pods go when nothing reaches them any
/// more and their delay is over.
pub(super) fn retire(world: &World, draft: &mut Draft, traffic: &Traffic) {
    if world.program.shift == Shift::Pods {
        draft.status.retiring.clear();
        return;
    }
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
            let delay = world.program.abort_scale_down_delay;
            let stays = draft.target == set.revision && delay.0.is_zero();
            draft.status.retiring.push(RetiringRevision {
                revision: set.revision.clone(),
                scale_down_at: (!stays).then(|| delay.after(world.now)),
            });
        }
    }
    over_the_limit(world, draft);
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
            Ok(since) => {
                if let Some(why) = drain::may_go(world, draft, traffic, set, since) {
                    scale(draft, set, 0, &why);
                }
            }
            Err(at) => {
                drain::hold(world, draft, set);
                if let Some(at) = at {
                    draft.check_at(at);
                }
            }
        }
    }
}

/// No more revisions stand by than `scaleDownDelayRevisionLimit` says: the oldest are due at once.
fn over_the_limit(world: &World, draft: &mut Draft) {
    let Some(limit) = world.program.standby_limit else { return };
    let target = &draft.target;
    let standing = draft.status.retiring.iter_mut().filter(|r| r.revision != *target);
    // The list is in the order in which they lost their place.
    for retiring in standing.rev().skip(limit) {
        retiring.scale_down_at = retiring.scale_down_at.map(|at| at.min(world.now));
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

//! A restart: pods older than an instant are replaced one after the other, without a release.
//!
//! Pods are evicted, so that the API server itself keeps to PodDisruptionBudgets. Where no pod may be
//! missing, one more comes first (lesson 81).

use jiff::{SignedDuration, Timestamp};

use super::{Draft, WaitKind, Write, gate::Traffic, messages, scale};
use crate::world::{Pod, ReplicaSet, Shift, World};

/// Time after which an eviction that a PodDisruptionBudget forbade is tried again.
const TRY_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// The instant itself, or the next whole second: the age of pods is known in seconds, and none that
/// came after it may count as older.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(at)
}

/// The instants before which pods are to be replaced: by command and by the spec.
fn asked(world: &World, draft: &Draft) -> impl Iterator<Item = Timestamp> {
    draft.status.restart_at.into_iter().chain(world.rollout.spec.restart_at).map(whole_second)
}

/// The instant before which pods are to be replaced now.
fn due(world: &World, draft: &Draft) -> Option<Timestamp> {
    if world.rollout.spec.paused || draft.stable.is_none() {
        return None;
    }
    let due = asked(world, draft).filter(|at| *at <= world.now).max()?;
    draft.status.restarted_at.is_none_or(|done| done < due).then_some(due)
}

/// The ReplicaSets whose pods are restarted. While pods are being replaced anyway, those of the two
/// revisions come and go with the release.
fn sets<'a>(world: &'a World, draft: &Draft) -> Vec<&'a ReplicaSet> {
    let releasing = draft.in_release() && draft.status.abort.is_none();
    let paused = draft.wait.as_ref().is_some_and(|wait| wait.kind == WaitKind::Pause);
    let moving = releasing && world.program.shift == Shift::Pods && !paused;
    let wanted = |set: &&ReplicaSet| {
        let stable = draft.stable.as_ref() == Some(&set.revision);
        set.replicas > 0 && !moving && (stable || releasing && set.revision == draft.target)
    };
    world.revisions.iter().filter(wanted).collect()
}

fn is_old(set: &ReplicaSet, before: Timestamp) -> bool {
    set.pods.iter().any(|pod| pod.created < before)
}

/// How many of the `size` pods of a revision may be missing. A part of the full size is all needed for
/// its weight.
fn may_miss(world: &World, size: u32) -> u32 {
    if size < world.desired() { 0 } else { scale::unavailable(world).min(size) }
}

/// `size`, or one more while a revision restarts and none of its pods may be missing, or a
/// PodDisruptionBudget lets none go.
pub(super) fn with_surge(world: &World, draft: &mut Draft, revision: &str, size: u32) -> u32 {
    draft.sizes.insert(revision.to_owned(), size);
    let set = world.revision(revision);
    let Some((_, set)) = due(world, draft).zip(set).filter(|(at, set)| is_old(set, *at)) else {
        return size;
    };
    let refused = set.pods.iter().any(|pod| world.refused_evictions.contains_key(&pod.name));
    // What has come stays until the end, else it would come and go with each pod.
    let has_come = set.replicas > size;
    size + u32::from(size > 0 && (may_miss(world, size) == 0 || refused || has_come))
}

/// Plans the next evictions, or records the end of the restart.
pub(super) fn restart(world: &World, draft: &mut Draft, traffic: &Traffic) {
    if let Some(at) = asked(world, draft).filter(|at| *at > world.now).min() {
        draft.check_at(at);
    }
    let Some(before) = due(world, draft) else { return };
    let sets = sets(world, draft);
    // None: they are all being replaced by a release.
    if sets.is_empty() && world.desired() > 0 {
        return;
    }
    if !sets.iter().any(|set| is_old(set, before)) {
        draft.status.restarted_at = Some(before);
        // A Rollout that is younger than the restart had nothing to do.
        if world.revisions.iter().any(|set| set.created < before) {
            draft.note(messages::restarted());
        }
        return;
    }
    let mut refused = None;
    for pod in evictable(world, draft, traffic, &sets, before) {
        if let Some((at, why)) = world.refused_evictions.get(&pod.name) {
            let again = at.checked_add(TRY_AGAIN).unwrap_or(world.now);
            if again > world.now {
                draft.check_at(again);
                refused = Some(why.clone());
                continue;
            }
        }
        let write = Write::Evict { name: pod.name.clone(), uid: pod.uid.clone() };
        draft.push(write, messages::restart_why());
        // The answer is no object that would bring us back.
        draft.check_at(world.now.checked_add(TRY_AGAIN).unwrap_or(world.now));
    }
    let pods = || sets.iter().flat_map(|set| &set.pods).filter(|pod| !pod.deleting);
    let old = pods().filter(|pod| pod.created < before).count();
    draft.restart = Some(messages::restarting(old, refused.as_deref()));
}

/// The pods that may go now, the oldest of a revision first: those that are not available, and of the
/// others as many as may be missing.
fn evictable<'a>(
    world: &World,
    draft: &mut Draft,
    traffic: &Traffic,
    sets: &[&'a ReplicaSet],
    before: Timestamp,
) -> Vec<&'a Pod> {
    // A pod that not every proxy knows yet cannot take the place of another.
    let mut serving = Vec::new();
    for set in sets {
        let (known, next) = traffic.known(world, &set.revision);
        serving.push(known);
        if let Some(at) = next {
            draft.check_at(at);
        }
    }
    // Where the pods are the weight, both revisions share what may be missing, and each keeps one.
    let shared = world.program.shift == Shift::Pods && sets.len() > 1;
    let all = serving.iter().copied().fold(0, u32::saturating_add);
    let fewest = world.desired().saturating_sub(scale::unavailable(world));
    let mut common = all.saturating_sub(fewest);
    let mut found = Vec::new();
    for (set, serving) in sets.iter().zip(serving) {
        // A size above this one is the surge of the restart.
        let size = draft.sizes.get(&set.revision).map_or(set.replicas, |s| set.replicas.min(*s));
        let mut spare = if shared {
            common.min(serving.saturating_sub(1))
        } else {
            serving.saturating_sub(size.saturating_sub(may_miss(world, size)))
        };
        let mut old: Vec<&Pod> =
            set.pods.iter().filter(|pod| pod.created < before && !pod.deleting).collect();
        old.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        for pod in old {
            let serves = u32::from(pod.is_available(world.now, world.min_ready()));
            if serves <= spare {
                spare -= serves;
                common = common.saturating_sub(serves);
                found.push(pod);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_counts_from_the_next_whole_second() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let whole = at("2026-01-01T00:00:05Z");
        assert_eq!(whole_second(whole), whole);
        assert_eq!(whole_second(at("2026-01-01T00:00:04.000000001Z")), whole);
    }
}

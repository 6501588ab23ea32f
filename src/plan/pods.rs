//! A release whose weight is the share of the pods: rolling, and a canary without routes.
//!
//! Pods come as far as `maxSurge` has room, and go as far as `maxUnavailable` allows. Both are counted
//! from what is available now, so that a broken version is replaced and never holds up its own fix:
//! pods that are not available are missed by nobody. But no more of them go than others take their
//! place, as with a Deployment: all may be unready for a moment only.

use super::{
    Draft, WaitKind,
    gate::Traffic,
    messages, outcome, runs, scale, step,
    write::{self, Wanted},
};
use crate::world::{ReplicaSet, World};

/// Pods of the new and of the stable revision for a weight: each share is rounded up. Where there is
/// no room for both, stable gives way, but keeps a pod as long as it has weight.
pub(super) fn sizes(world: &World, weight: i32) -> (u32, u32) {
    let (desired, total) = (world.desired(), world.program.total());
    if weight <= 0 || desired == 0 {
        return (0, desired);
    }
    if weight >= total {
        return (desired, 0);
    }
    let most = scale::most(world);
    let least = world.program.min_pods;
    let new = scale::share(world, desired, weight).max(least).min(most.saturating_sub(1).max(1));
    let old = scale::share(world, desired, total - weight).max(least);
    if new + old <= most {
        return (new, old);
    }
    let old = desired.saturating_sub(new).max(1);
    (new.min(most.saturating_sub(old)), old)
}

/// Brings the revisions in `wanted` to their sizes, in this order of importance, and all others to 0.
pub(super) fn balance(world: &World, draft: &mut Draft, wanted: &[(&str, u32)], why: &str) {
    for (revision, size) in wanted {
        let present = world.revision(revision).map_or(0, |set| set.replicas);
        if *size > present || world.revision(revision).is_none() {
            scale::bring_to(world, draft, revision, *size, why);
        }
    }
    let min_ready = world.min_ready();
    let available = |set: &ReplicaSet| set.available(world.now, min_ready);
    let all: u32 = world.revisions.iter().map(available).fold(0, u32::saturating_add);
    let fewest = world.desired().saturating_sub(scale::unavailable(world));
    let mut spare = all.saturating_sub(fewest);
    let total = world.revisions.iter().map(|set| set.replicas).fold(0, u32::saturating_add);
    let growing = wanted.first().and_then(|(revision, _)| world.revision(revision));
    let not_yet = growing.map_or(0, |set| set.replicas.saturating_sub(available(set)));
    let mut room = total.saturating_sub(fewest.saturating_add(not_yet));
    let size_of = |set: &ReplicaSet| {
        wanted.iter().find(|(revision, _)| *revision == set.revision).map_or(0, |(_, size)| *size)
    };
    // Revisions that nobody wants go first, the oldest of them first.
    let mut sets: Vec<&ReplicaSet> = world.revisions.iter().rev().collect();
    sets.sort_by_key(|set| size_of(set) > 0);
    for set in sets {
        let excess = set.replicas.saturating_sub(size_of(set));
        if excess == 0 {
            continue;
        }
        // A ReplicaSet lets go of its unready pods first.
        let missing = excess.min(set.replicas.saturating_sub(available(set))).min(room);
        let serving = (excess - missing).min(spare).min(room - missing);
        spare -= serving;
        room -= missing + serving;
        scale::scale(draft, set, set.replicas - missing - serving, why);
    }
}

/// Steps, or the promotion when all are done.
pub(super) fn go_on(world: &World, draft: &mut Draft, traffic: &Traffic, held: bool) {
    let at = step::index(world, draft);
    let promoting = at >= world.program.steps.len();
    let total = world.program.total();
    let weight = if promoting { total } else { step::intent(world, at).weight };
    let (new, old) = held_sizes(world, draft, sizes(world, weight), held);
    let (target, stable) = (draft.target.clone(), draft.stable.clone().unwrap_or_default());
    let available = world.available(&target);
    let enough = scale::enough(world, new);
    if outcome::track_progress(world, draft, available < enough && !held, new) {
        return;
    }
    if available < enough {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &target, new));
    }
    // The stable Service has an endpoint until it selects the new revision.
    let moved = traffic.stable.all_at(&target);
    let settled = traffic.pointers_settle().is_none_or(|at| at <= world.now);
    let old = if old == 0 && !(moved && settled) { 1 } else { old };
    let why = messages::canary_size(world, draft, weight);
    balance(world, draft, &[(&target, new), (&stable, old)], &why);
    let ready = traffic.selectable(world, &target);
    let full = promoting && ready >= scale::enough(world, world.desired());
    let mut wanted = Wanted {
        canary_at: (ready > 0 || world.desired() == 0).then(|| target.clone()),
        stable_at: Some(if moved || (full && !held) { target.clone() } else { stable }),
        ..Wanted::default()
    };
    if !promoting && moved {
        wanted.stable_at.clone_from(&draft.stable);
    }
    write::wanted(world, draft, traffic, &wanted);
    if promoting && full && !held && runs::background_agrees(world, draft) {
        finish(world, draft, traffic);
    }
}

/// The new revision has all its pods: the release is complete when the old ones are gone.
fn finish(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let target = draft.target.clone();
    if !traffic.stable.all_at(&target) || !traffic.canary.all_at(&target) {
        return;
    }
    if let Some(at) = traffic.pointers_settle().filter(|at| *at > world.now) {
        draft.check_at(at);
        draft.wait(WaitKind::Other, messages::waiting_for_proxies(world));
        return;
    }
    if world.revisions.iter().all(|set| set.revision == target || set.replicas == 0) {
        outcome::complete(world, draft, "all steps passed");
    }
}

/// While the release is held, no pods are replaced; a change of `spec.replicas` still counts.
fn held_sizes(world: &World, draft: &Draft, wanted: (u32, u32), held: bool) -> (u32, u32) {
    if !held {
        return wanted;
    }
    let size = |revision: &str| world.revision(revision).map_or(0, |set| set.replicas);
    let new = size(&draft.target).min(wanted.0);
    let old = draft.stable.as_deref().map_or(0, size);
    (new, old.min(world.desired()).max(world.desired().saturating_sub(new)))
}

/// The stable revision gets all its pods back, and the others go as it does.
pub(super) fn fall_back(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let Some(stable) = draft.stable.clone() else { return };
    let desired = super::restart::with_surge(world, draft, &stable, world.desired());
    let target = draft.target.clone();
    // A canary Service still needs an endpoint until it selects stable and all know it.
    let selected = traffic.canary.may_reach(&target) && !traffic.canary.all_at(&stable);
    let settled = traffic.pointers_settle().is_none_or(|at| at <= world.now);
    if let Some(at) = traffic.pointers_settle().filter(|at| *at > world.now) {
        draft.check_at(at);
    }
    let last = u32::from(draft.in_release() && traffic.has_canary() && (selected || !settled));
    let left = last.min(world.revision(&target).map_or(0, |set| set.replicas));
    let wanted = [(stable.as_str(), desired), (target.as_str(), left)];
    let wanted = if target == stable { &wanted[..1] } else { &wanted[..] };
    let why = if draft.in_release() { messages::back_to_stable() } else { messages::stable_size() };
    balance(world, draft, wanted, &why);
    let available = world.available(&stable);
    if draft.in_release() && available < world.desired() {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &stable, world.desired()));
    }
}

/// Done when both revisions have their sizes and the new one's pods are available.
pub(super) fn weight_is_done(world: &World, draft: &mut Draft, weight: i32) -> bool {
    let (new, old) = sizes(world, weight);
    let target = draft.target.clone();
    let available = world.available(&target);
    if available < scale::enough(world, new) {
        draft.wait(WaitKind::Pods, messages::waiting_for_pods(world, &target, new));
        return false;
    }
    let stable = draft.stable.clone().unwrap_or_default();
    let old = if weight >= world.program.total() { 1 } else { old };
    world.revisions.iter().all(|set| match &set.revision {
        revision if *revision == target => set.replicas == new,
        revision if *revision == stable => set.replicas <= old,
        _ => set.replicas == 0,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::Rollout;

    fn world(replicas: i32, strategy: &serde_json::Value) -> World {
        let spec = serde_json::from_value(serde_json::json!({
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {}, "spec": {}},
            "strategy": strategy,
        }));
        let rollout = Rollout {
            namespace: "shop".into(),
            name: "web".into(),
            uid: "uid".into(),
            resource_version: "1".into(),
            generation: 1,
            deleting: false,
            finalizers: Vec::new(),
            spec: Arc::new(spec.unwrap()),
            status: Arc::default(),
            since: jiff::Timestamp::UNIX_EPOCH,
            command: None,
            object: Arc::default(),
        };
        World::of(rollout, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn both_shares_are_rounded_up_and_stable_gives_way() {
        for (replicas, surge, weight, expected) in [
            (10, "25%", 0, (0, 10)),
            (10, "25%", 20, (2, 8)),
            (10, "25%", 25, (3, 8)),
            (10, "25%", 33, (4, 7)),
            (10, "25%", 99, (10, 1)),
            (10, "25%", 100, (10, 0)),
            (10, "0", 25, (3, 7)),
            (10, "0", 99, (9, 1)),
            (4, "0", 1, (1, 3)),
            (3, "1", 50, (2, 2)),
            (3, "0", 50, (2, 1)),
            (1, "1", 10, (1, 1)),
            (1, "0", 10, (0, 1)),
            (1, "0", 100, (1, 0)),
            (0, "25%", 50, (0, 0)),
            (100, "0", 1, (1, 99)),
        ] {
            let surge: serde_json::Value =
                surge.parse::<u32>().map_or_else(|_| surge.into(), Into::into);
            let strategy = serde_json::json!({"canary": {"maxSurge": surge, "maxUnavailable": 1}});
            let world = world(replicas, &strategy);
            assert_eq!(sizes(&world, weight), expected, "{replicas} pods at {weight} %");
        }
    }

    #[test]
    fn the_progress_threshold_counts_pods_or_a_percentage() {
        for (kind, value, pods, enough) in [
            ("Percent", 90, 10, 9),
            ("Percent", 90, 4, 4),
            ("Percent", 50, 3, 2),
            ("Percent", 90, 0, 0),
            ("Pod", 8, 10, 8),
            ("Pod", 8, 5, 5),
        ] {
            let threshold = serde_json::json!({"type": kind, "value": value});
            let strategy = serde_json::json!({"canary": {"replicaProgressThreshold": threshold}});
            assert_eq!(scale::enough(&world(10, &strategy), pods), enough, "{value} {kind}");
        }
        let without = world(10, &serde_json::json!({"rolling": {}}));
        assert_eq!(scale::enough(&without, 10), 10);
    }
}

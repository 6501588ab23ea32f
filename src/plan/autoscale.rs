//! Which pods an autoscaler counts.
//!
//! A `HorizontalPodAutoscaler` multiplies the average use of the pods that `status.selector` selects by
//! their number. While a release has pods on top of the desired share, that is too much: with a load
//! that every pod has by itself, such as memory, it would raise `replicas`, and with them the surplus,
//! to its maximum (lesson 33). So exactly the desired number counts, of each revision as many as its
//! weight means, and the others carry a label which the selector leaves out.

use super::{Action, Draft, Write, gate::Traffic, messages, scale};
use crate::world::{Pod, ReplicaSet, StrategyKind, World};

/// Plans the labels of pods that should count and do not, or the other way round.
pub(super) fn count(world: &World, draft: &mut Draft, traffic: Option<&Traffic>) {
    let marked = world.revisions.iter().any(|set| set.pods.iter().any(|pod| pod.surplus));
    // Of two colours the selector takes one, which has no surplus.
    let colours = world.program.strategy == StrategyKind::BlueGreen;
    let Some(traffic) = traffic.filter(|_| (world.autoscaled && !colours) || marked) else {
        return;
    };
    let (mut leave, mut enter) = (Vec::new(), Vec::new());
    for set in &world.revisions {
        let counted = if world.autoscaled { share(world, draft, traffic, set) } else { u32::MAX };
        for (place, pod) in (0u32..).zip(in_order(world, set)) {
            let surplus = place >= counted;
            if pod.surplus == surplus {
                continue;
            }
            let (name, uid) = (pod.name.clone(), pod.uid.clone());
            let why = messages::counts(&set.revision, surplus);
            let action = Action { write: Write::CountPod { name, uid, surplus }, why };
            if surplus { leave.push(action) } else { enter.push(action) }
        }
    }
    // One leaves before another enters: an autoscaler that looks meanwhile counts one too few, which
    // it believes only if it lasts, and never one too many.
    let mut enter = enter.into_iter();
    for action in leave {
        draft.cleanup.push(action);
        draft.cleanup.extend(enter.next());
    }
    draft.cleanup.extend(enter);
}

/// Pods of a revision that count: of the new one its weight's share, of stable the rest.
fn share(world: &World, draft: &Draft, traffic: &Traffic, set: &ReplicaSet) -> u32 {
    let desired = world.desired();
    let serving = draft.stable.as_ref().unwrap_or(&draft.target);
    if !draft.in_release() || draft.stable.is_none() {
        return if set.revision == *serving { desired } else { 0 };
    }
    let new = scale::share(world, desired, traffic.highest());
    if set.revision == draft.target {
        new
    } else if set.revision == *serving {
        desired - new.min(desired)
    } else {
        0
    }
}

/// The pods that stay, in the order in which they count: those that serve, and of these the ones that
/// count already.
fn in_order<'a>(world: &World, set: &'a ReplicaSet) -> Vec<&'a Pod> {
    let min_ready = world.min_ready();
    let mut pods: Vec<&Pod> = set.pods.iter().filter(|pod| !pod.deleting).collect();
    pods.sort_by_key(|pod| (!pod.is_available(world.now, min_ready), pod.surplus));
    pods
}

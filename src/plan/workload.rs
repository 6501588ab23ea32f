//! The workload of `workloadRef`: when its own pods make way for those of the Rollout.

use super::{Action, Draft, Write, gate::Traffic, messages, scale};
use crate::{
    api::ScaleDown,
    world::{Workload, World},
};

/// The referenced workload, if its size is ours to change.
fn scaled<'a>(world: &'a World, how: &[ScaleDown]) -> Option<&'a Workload> {
    let reference = world.rollout.spec.workload_ref.as_ref()?;
    let workload = world.workload.found()?;
    (how.contains(&reference.scale_down) && workload.replicas > 0).then_some(workload)
}

/// Pods of the workload that count as if they were ours: with `progressively` both together stay
/// within the surge.
pub(super) fn in_the_way(world: &World) -> u32 {
    scaled(world, &[ScaleDown::Progressively]).map_or(0, |workload| workload.replicas)
}

/// In the first deployment, with `progressively`: for each pod of ours that is available, one of the
/// workload goes.
pub(super) fn shrink_in_step(world: &World, draft: &mut Draft) {
    let Some(workload) = scaled(world, &[ScaleDown::Progressively]) else { return };
    let available = world.available(&draft.target);
    let needed = world.desired().saturating_sub(available);
    // Nobody goes who is missed: a workload that is smaller than the Rollout keeps what it has.
    if needed < workload.replicas {
        shrink(draft, workload, needed, &messages::takes_over(available));
    }
}

/// Between releases no pod of the workload is needed any more. It is scaled down when nothing but our
/// own pods is selected, at any revision: a GitOps sync may have put its size back (lesson 39).
pub(super) fn make_way(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let how = [ScaleDown::OnSuccess, ScaleDown::Progressively];
    let Some(workload) = scaled(world, &how) else { return };
    let Some(stable) = draft.stable.clone() else { return };
    if traffic.stable_capacity(world, &stable) < world.desired() {
        return;
    }
    match traffic.pointers_settle() {
        Some(at) if at > world.now => draft.check_at(at),
        _ => shrink(draft, workload, 0, &messages::takes_over(world.available(&stable))),
    }
}

fn shrink(draft: &mut Draft, workload: &Workload, to: u32, why: &str) {
    let write = Write::ScaleWorkload {
        kind: workload.kind,
        name: workload.name.clone(),
        uid: workload.uid.clone(),
        from: workload.replicas,
        to,
    };
    draft.cleanup.push(Action { write, why: why.to_owned() });
}

/// When the Rollout is deleted, the workload gets its pods back first. Returns what is waited for.
pub(super) fn restore(world: &World, draft: &mut Draft) -> Option<String> {
    let reference = world.rollout.spec.workload_ref.as_ref()?;
    if reference.scale_down == ScaleDown::Never {
        return None;
    }
    let workload = world.workload.found()?;
    let desired = world.desired();
    if workload.replicas < desired {
        draft.push(
            Write::ScaleWorkload {
                kind: workload.kind,
                name: workload.name.clone(),
                uid: workload.uid.clone(),
                from: workload.replicas,
                to: desired,
            },
            messages::handed_back(&workload.name),
        );
    }
    let missing = workload.available < scale::enough(world, desired);
    missing.then(|| messages::waiting_for_workload(&workload.name, workload.available, desired))
}

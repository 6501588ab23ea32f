//! The workload of `workloadRef`: when its own pods make way for those of the Rollout.

use jiff::SignedDuration;

use super::{Action, Draft, Plan, Write, gate::Traffic, messages, scale};
use crate::{
    api::{Phase, ScaleDown},
    world::{Workload, WorkloadKind, World},
};

/// Time after which it is said that the workloads have not been listed yet.
const LISTING_TAKES: SignedDuration = SignedDuration::from_secs(5);

/// The referenced workload, if its size is ours to change in one of these ways.
fn ours<'a>(world: &'a World, how: &[ScaleDown]) -> Option<&'a Workload> {
    let reference = world.rollout.spec.workload_ref.as_ref()?;
    let workload = world.workload.found().filter(|_| !world.workload_is_rivals)?;
    how.contains(&reference.scale_down).then_some(workload)
}

/// Nothing is decided before the workloads are listed. A new Rollout says so if that takes long: the
/// controller may not be allowed to read them.
pub(super) fn not_listed(world: &World) -> Plan {
    let mut plan = Plan { status: (*world.rollout.status).clone(), ..Plan::default() };
    let at = world.rollout.since.checked_add(LISTING_TAKES).unwrap_or(world.now);
    if plan.status.phase.is_some() {
        return plan;
    }
    if at > world.now {
        plan.next_check = Some(at);
        return plan;
    }
    plan.status.phase = Some(Phase::Progressing);
    plan.status.message = messages::workloads_not_listed(world);
    let why = plan.status.message.clone();
    plan.actions.push(Action { write: Write::Status(Box::new(plan.status.clone())), why });
    plan
}

/// Pods of the workload that count as if they were ours: with `progressively` both together stay
/// within the surge of the first deployment. Later they stand in nobody's way: they go at once, or
/// were called back because ours are broken.
pub(super) fn in_the_way(world: &World) -> u32 {
    let first = world.rollout.status.stable_revision.is_none();
    if !first || world.program.max_surge.is_none() {
        return 0;
    }
    let workload = ours(world, &[ScaleDown::Progressively]);
    workload.map_or(0, |workload| workload.replicas.max(workload.present))
}

/// In the first deployment, with `progressively`: for each pod of ours that serves, one of the
/// workload goes.
pub(super) fn shrink_in_step(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let workload = ours(world, &[ScaleDown::Progressively]);
    let Some(workload) = workload.filter(|workload| workload.replicas > 0) else { return };
    let (known, next) = traffic.known(world, &draft.target);
    if let Some(at) = next {
        draft.check_at(at);
    }
    // Without any surge one has to go before the first of ours can come.
    let no_surge = world.program.max_surge.is_some() && scale::most(world) == world.desired();
    let missing = if no_surge { scale::unavailable(world) } else { 0 };
    let needed = world.desired().saturating_sub(known.saturating_add(missing));
    // Nobody goes who is missed: a workload that is smaller than the Rollout keeps what it has.
    if needed < workload.replicas {
        shrink(draft, workload, needed, &messages::takes_over(known));
    }
}

/// After the first deployment no pod of the workload is needed any more. It is scaled down when our
/// own pods serve and every proxy knows it, at any revision: a GitOps sync may have put its size back
/// (lesson 39).
pub(super) fn make_way(world: &World, draft: &mut Draft, traffic: &Traffic) {
    let workload = ours(world, &[ScaleDown::OnSuccess, ScaleDown::Progressively]);
    let Some(workload) = workload.filter(|workload| workload.replicas > 0) else { return };
    // What counts is what was seen, not what this pass has just decided.
    let Some(stable) = world.rollout.status.stable_revision.clone() else { return };
    let (serving, next) = if draft.in_release() {
        let target = draft.target.as_str();
        (world.available(&stable).saturating_add(world.available(target)), None)
    } else {
        traffic.known(world, &stable)
    };
    let settles = traffic.pointers_settle().filter(|at| *at > world.now);
    if let Some(at) = next.into_iter().chain(settles).min() {
        draft.check_at(at);
    }
    if settles.is_none() && serving >= world.desired() {
        shrink(draft, workload, 0, &messages::takes_over(serving));
    }
}

fn shrink(draft: &mut Draft, workload: &Workload, to: u32, why: &str) {
    draft.cleanup.push(Action { write: resize(workload, to), why: why.to_owned() });
}

fn resize(workload: &Workload, to: u32) -> Write {
    Write::ScaleWorkload {
        kind: workload.kind,
        name: workload.name.clone(),
        uid: workload.uid.clone(),
        from: workload.replicas,
        to,
    }
}

/// When the Rollout is deleted, the workload gets its pods back first. Returns what is waited for.
pub(super) fn restore(world: &World, draft: &mut Draft) -> Option<String> {
    let reference = world.rollout.spec.workload_ref.as_ref()?;
    // Before the first deployment was complete, only `progressively` took pods away.
    let taken = match reference.scale_down {
        ScaleDown::Never => false,
        ScaleDown::OnSuccess => draft.stable.is_some(),
        ScaleDown::Progressively => true,
    };
    let workload = world.workload.found().filter(|_| taken && !world.workload_is_rivals)?;
    let desired = world.desired();
    if workload.kind == WorkloadKind::PodTemplate {
        return None;
    }
    if workload.replicas < desired {
        draft.push(resize(workload, desired), messages::handed_back(&workload.name));
    }
    let missing = workload.available < scale::enough(world, desired);
    missing.then(|| messages::waiting_for_workload(&workload.name, workload.available, desired))
}

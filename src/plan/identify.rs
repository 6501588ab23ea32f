//! Which revision does the spec ask for, which is stable, and is this the beginning of a release?

use std::collections::BTreeMap;

use super::{Action, Draft, Write, messages, runs, step};
use crate::{
    api::{Outcome, ReleaseRecord, RolloutStatus, StepStatus},
    world::{StrategyKind, World, fingerprint::revision_hash},
};

/// Number of releases that `status.history` keeps.
const HISTORY: usize = 10;

/// Name of the ReplicaSet of `revision`.
pub fn replica_set_name(rollout: &str, revision: &str) -> String {
    format!("{rollout}-{revision}")
}

/// Names the revisions and, if the spec asks for a new one, begins its release in the status.
pub(super) fn draft(world: &World) -> Draft {
    let mut draft = unchanged(world);
    if draft.status.current_revision.as_ref() == Some(&draft.target) {
        follow_edited_steps(world, &mut draft);
    } else {
        begin(world, &mut draft);
    }
    for orphan in &world.orphans {
        draft.actions.push(Action {
            write: Write::AdoptReplicaSet { name: orphan.name.clone(), uid: orphan.uid.clone() },
            why: format!(
                "ReplicaSet {} is a revision of this Rollout and has no owner",
                orphan.name
            ),
        });
    }
    draft
}

/// A draft that changes nothing yet.
pub(super) fn unchanged(world: &World) -> Draft {
    let mut status = (*world.rollout.status).clone();
    let (target, collisions) = target(world, &status);
    status.collision_count = collisions;
    Draft {
        stable: status.stable_revision.clone(),
        target,
        status,
        urgent: Vec::new(),
        actions: Vec::new(),
        cleanup: Vec::new(),
        notes: Vec::new(),
        written: None,
        wait: None,
        shortfall: None,
        sizes: BTreeMap::new(),
        restart: None,
        held: Vec::new(),
        questions: Vec::new(),
        next_check: None,
    }
}

/// The hash of the revision that the spec asks for, and the collision count that it took.
///
/// A spec that has not changed since the last look never asks for a new revision, whatever this
/// version of the program makes of the template: an upgrade starts no release (lesson 51).
fn target(world: &World, status: &RolloutStatus) -> (String, i64) {
    let generation = world.workload.found().map(|workload| workload.generation);
    let seen = status.observed_generation == Some(world.rollout.generation)
        && status.workload_observed_generation == generation;
    if let Some(current) = &status.current_revision
        && (seen && world.revision(current).is_some() || !world.has_template())
    {
        return (current.clone(), status.collision_count);
    }
    let mut known = world.revisions.iter().chain(&world.orphans);
    if let Some(set) = known.find(|set| set.fingerprint == world.fingerprint && !set.deleting) {
        return (set.revision.clone(), status.collision_count);
    }
    let mut collisions = status.collision_count;
    loop {
        let hash = revision_hash(&world.fingerprint, collisions);
        let name = replica_set_name(&world.rollout.name, &hash);
        let ours = |set: &&crate::world::ReplicaSet| set.name == name;
        let other = world.revisions.iter().chain(&world.orphans).any(|set| ours(&set));
        if !other && !world.taken_names.contains(&name) {
            return (hash, collisions);
        }
        collisions += 1;
    }
}

fn begin(world: &World, draft: &mut Draft) {
    let now = world.now;
    let status = &mut draft.status;
    end_record(world, status, Outcome::Superseded, "sluice", "a newer revision took its place");
    let known = world.revision(&draft.target).map(|set| set.number).filter(|number| *number > 0);
    let newest = world.revisions.iter().map(|set| set.number).max().unwrap_or(0);
    let number = newest.max(status.revision) + 1;
    // Going back to the stable revision is no new revision: it keeps its number.
    status.revision = match known {
        Some(known) if draft.stable.as_ref() == Some(&draft.target) => known,
        _ => number,
    };
    status.current_revision = Some(draft.target.clone());
    status.attempt = runs::next_attempt(world, &draft.target);
    let stands_by = stands_by(world, status, &draft.target);
    reset(world, status);
    if draft.stable.as_ref() == Some(&draft.target) {
        status.step = None;
    } else {
        // No steps, pauses or analysis on the way back to what was stable not long ago.
        status.promote_full =
            stands_by || is_rollback(world, status.stable_revision.as_deref(), &draft.target);
        let images = world.template.images();
        let note = messages::release_started(status.revision, &draft.target, &images);
        status.history.insert(
            0,
            ReleaseRecord {
                revision: draft.target.clone(),
                number: status.revision,
                images,
                attempt: status.attempt,
                started_at: now,
                ended_at: None,
                outcome: None,
                by: String::new(),
                reason: String::new(),
            },
        );
        status.history.truncate(HISTORY);
        draft.note(note);
    }
}

/// Whether `target` is one of the revisions that `spec.rollbackWindow` lets go back to at once: one
/// that was promoted, and has at most that many newer ones up to the stable one.
fn is_rollback(world: &World, stable: Option<&str>, target: &str) -> bool {
    let Some(window) = world.rollout.spec.rollback_window else { return false };
    let number = |revision: &str| world.revision(revision).map(|set| set.number);
    let (Some(old), Some(now)) = (number(target), stable.and_then(number)) else { return false };
    let promoted =
        world.rollout.status.history.iter().any(|release| {
            release.revision == target && release.outcome == Some(Outcome::Promoted)
        });
    let between = world.revisions.iter().filter(|set| set.number > old && set.number <= now);
    let newer = i32::try_from(between.count()).unwrap_or(i32::MAX);
    promoted && old < now && newer <= window.revisions
}

/// Whether `target` is a colour that was active and still stands by with its pods, so that the switch
/// back to it waits for nothing.
fn stands_by(world: &World, status: &RolloutStatus, target: &str) -> bool {
    let mut retiring = status.retiring.iter().filter(|retiring| retiring.revision == target);
    let waits = retiring.any(|r| r.scale_down_at.is_some_and(|at| at > world.now));
    let mut releases = status.history.iter().filter(|release| release.revision == target);
    let was_active = releases.next().is_some_and(|last| last.outcome == Some(Outcome::Promoted));
    world.program.strategy == StrategyKind::BlueGreen
        && waits
        && was_active
        && world.revision(target).is_some_and(|set| set.replicas > 0 && !set.deleting)
}

/// Puts a release at its first step, with nothing left of an earlier attempt.
pub(super) fn reset(world: &World, status: &mut RolloutStatus) {
    let steps = world.program.steps.len();
    // The first deployment has nothing to compare with and no traffic to shift: no steps.
    let index = if status.stable_revision.is_none() { steps } else { 0 };
    status.step = Some(step_status(index, world));
    status.pauses.clear();
    status.abort = None;
    status.promote_full = false;
    status.analysis = None;
    status.contest = None;
    let target = status.current_revision.clone();
    status.retiring.retain(|retiring| Some(&retiring.revision) != target.as_ref());
    status.progress = None;
}

/// Steps edited in mid-release apply from where the release stands, but never beyond the end.
fn follow_edited_steps(world: &World, draft: &mut Draft) {
    let steps = &world.program.steps;
    if !draft.in_release() {
        return;
    }
    let Some(present) = &draft.status.step else { return };
    if present.hash == step::steps_hash(steps) {
        return;
    }
    let index = match world.program.strategy {
        StrategyKind::BlueGreen => place_in_edited_story(world, &draft.status),
        _ => usize::try_from(present.index).unwrap_or(0).min(steps.len()),
    };
    let started_at = present.started_at;
    draft.status.step = Some(StepStatus { started_at, ..step_status(index, world) });
}

/// A blue-green release whose fields were edited goes through its story again, from the beginning or
/// from the switch: indices alone could pass over a gate. Analyses that have passed are not repeated.
fn place_in_edited_story(world: &World, status: &RolloutStatus) -> usize {
    let switched = status.weights.is_some_and(|weights| weights.canary == world.program.total());
    let switch = world.program.steps.iter().position(|step| step.step.set_weight.is_some());
    switch.filter(|_| switched).unwrap_or(0)
}

/// The status of step `index`, begun now.
pub(super) fn step_status(index: usize, world: &World) -> StepStatus {
    let steps = &world.program.steps;
    let (index, of) = (index.min(steps.len()), steps.len());
    StepStatus {
        index: i32::try_from(index).unwrap_or(i32::MAX),
        of: i32::try_from(of).unwrap_or(i32::MAX),
        hash: step::steps_hash(steps),
        text: format!("{}/{of}", (index + 1).min(of)),
        started_at: world.now,
    }
}

/// Closes the record of the newest release, if it is open.
pub(super) fn end_record(
    world: &World,
    status: &mut RolloutStatus,
    outcome: Outcome,
    by: &str,
    reason: &str,
) {
    if let Some(record) = status.history.first_mut().filter(|record| record.outcome.is_none()) {
        record.ended_at = Some(world.now);
        record.outcome = Some(outcome);
        by.clone_into(&mut record.by);
        reason.clone_into(&mut record.reason);
        record.attempt = status.attempt;
    }
}

//! What to do next, and why: a pure function of the world.
//!
//! In: a [`World`]. Out: a [`Plan`]: writes in the order in which they are safe, the status, Events,
//! and when to look again. It relies on being called again after every observed change; it never
//! assumes that an earlier write took effect, it looks.
//!
//! The pipeline: `validate` finds what is wrong; `command` applies what people asked for;
//! `identify` names the revisions; `step` advances through the steps; `decide` finds the mode, and
//! `shift` (routes, or a switch) or `pods` (shares of pods) turns observations into what is wanted:
//! weight, pointers, sizes; `write` turns the difference between wanted and observed into writes;
//! `drain`, `restart`, `metadata`, `autoscale`, `workload` and `hand_back` look after what lies beside
//! a release; `status` says it all in words.

mod autoscale;
mod command;
mod conclusive;
mod decide;
mod drain;
mod gate;
mod hand_back;
mod identify;
mod messages;
mod metadata;
mod outcome;
mod pods;
mod restart;
mod runs;
mod scale;
mod shift;
mod status;
mod step;
mod validate;
mod workload;
mod write;

#[cfg(test)]
mod tests;

pub use drain::Question;
pub use identify::replica_set_name;
pub use status::refused;
pub use validate::Problem;
pub use write::FIELD_MANAGER;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{AnalysisRunSpec, Note, PodMetadata, RolloutStatus},
    world::{WorkloadKind, WorkloadState, World},
};

/// What to do next, and why.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Writes, in order. A failed one ends the pass.
    pub actions: Vec<Action>,
    /// Events to publish once all writes are done.
    pub notes: Vec<Note>,
    /// The status as it should read now; written only if `actions` says so.
    pub status: RolloutStatus,
    /// When to look again though nothing changes.
    pub next_check: Option<Timestamp>,
    /// What to ask of the metrics before the next look.
    pub questions: Vec<Question>,
}

/// One write and its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What is written.
    pub write: Write,
    /// Why, for people.
    pub why: String,
}

/// A write to the cluster. Each carries the precondition under which it was planned.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Writes the Rollout's status.
    Status(Box<RolloutStatus>),
    /// Creates the ReplicaSet of a new revision.
    CreateReplicaSet(NewReplicaSet),
    /// Becomes the owner of a ReplicaSet that has none.
    AdoptReplicaSet {
        /// Its name.
        name: String,
        /// Its uid, as precondition.
        uid: String,
    },
    /// Changes the number of pods of a revision.
    Scale {
        /// Name of the ReplicaSet.
        name: String,
        /// Its uid, as precondition.
        uid: String,
        /// Its present size, as precondition.
        from: u32,
        /// The size wanted.
        to: u32,
    },
    /// Deletes an old ReplicaSet without pods.
    DeleteReplicaSet {
        /// Its name.
        name: String,
        /// Its uid, as precondition.
        uid: String,
    },
    /// Lets a Service select one revision.
    SelectRevision {
        /// Name of the Service.
        service: String,
        /// The revision that it selects now, as precondition.
        from: Option<String>,
        /// The revision wanted; none for pods of any revision.
        to: Option<String>,
    },
    /// Evicts a pod, if PodDisruptionBudgets allow it.
    Evict {
        /// Its name.
        name: String,
        /// Its uid, as precondition.
        uid: String,
    },
    /// Changes the number of pods of the workload that the Rollout names.
    ScaleWorkload {
        /// Its kind.
        kind: WorkloadKind,
        /// Its name.
        name: String,
        /// Its uid, as precondition.
        uid: String,
        /// Its present size, as precondition.
        from: u32,
        /// The size wanted.
        to: u32,
    },
    /// Changes what a role has put on a ReplicaSet's template.
    RoleOfSet {
        /// Name of the ReplicaSet.
        name: String,
        /// Its uid, as precondition.
        uid: String,
        /// What is there.
        from: Option<PodMetadata>,
        /// What is wanted.
        to: PodMetadata,
    },
    /// Changes what a role has put on a pod.
    RoleOfPod {
        /// Name of the pod.
        name: String,
        /// Its uid, as precondition.
        uid: String,
        /// What is there.
        from: Option<PodMetadata>,
        /// What is wanted.
        to: PodMetadata,
    },
    /// Says on a pod whether autoscalers count it.
    CountPod {
        /// Name of the pod.
        name: String,
        /// Its uid, as precondition.
        uid: String,
        /// Whether it is on top of the desired share.
        surplus: bool,
    },
    /// Adds or removes the finalizer that keeps the Rollout until all is given back.
    Finalizer {
        /// Whether it should be there.
        present: bool,
    },
    /// Edits a VirtualService or DestinationRule.
    EditRoute {
        /// Which of the two.
        kind: RouteKind,
        /// Namespace of the object.
        namespace: String,
        /// Its name.
        name: String,
        /// Its resource version, as precondition.
        resource_version: String,
        /// The object as it is.
        from: Box<Value>,
        /// The object wanted.
        to: Box<Value>,
    },
    /// Starts an analysis.
    CreateRun {
        /// Name of the AnalysisRun.
        name: String,
        /// Its spec.
        spec: Box<AnalysisRunSpec>,
        /// Its labels.
        labels: BTreeMap<String, String>,
    },
    /// Tells an analysis to end.
    EndRun {
        /// Name of the AnalysisRun.
        name: String,
    },
    /// Deletes a finished analysis.
    DeleteRun {
        /// Name of the AnalysisRun.
        name: String,
    },
    /// Removes the command that was applied.
    ClearCommand,
}

/// The kinds of Istio's route objects that are edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// A VirtualService.
    VirtualService,
    /// A DestinationRule.
    DestinationRule,
}

/// A ReplicaSet to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplicaSet {
    /// Its name.
    pub name: String,
    /// Its revision hash.
    pub revision: String,
    /// Fingerprint of the template.
    pub fingerprint: String,
    /// Running number of the revision.
    pub number: i64,
    /// Pods to start with.
    pub replicas: u32,
    /// What their role puts on the pods.
    pub role: Option<PodMetadata>,
    /// The revision whose nodes the pods keep off, as the strategy's `antiAffinity` says.
    pub apart_from: Option<String>,
}

/// Decides what to do next.
pub fn plan(world: &World) -> Plan {
    if world.rollout.deleting {
        return hand_back::plan(world);
    }
    if world.workload == WorkloadState::Unknown {
        return workload::not_listed(world);
    }
    if !world.has_template() && world.rollout.status.current_revision.is_none() {
        return refused(world, &messages::no_workload(world));
    }
    let mut draft = identify::draft(world);
    command::apply(world, &mut draft);
    let mut problems = validate::problems(world, &draft);
    let traffic = gate::Traffic::observe(world, &draft);
    decide::decide(world, &mut draft, traffic.as_ref(), &problems);
    problems.extend(validate::between_releases(world, &draft));
    metadata::follow(world, &mut draft, traffic.as_ref());
    autoscale::count(world, &mut draft, traffic.as_ref());
    hand_back::keep_account(world, &mut draft);
    runs::collect_garbage(world, &mut draft);
    status::finish(world, draft, traffic.as_ref(), &problems)
}

/// What is wrong with the Rollout, or with what it names, before any release: what the controller
/// would say of it.
pub fn problems(world: &World) -> Vec<Problem> {
    if !world.has_template() {
        return vec![Problem(messages::no_workload(world))];
    }
    let draft = identify::draft(world);
    validate::problems(world, &draft)
}

/// The plan while it is being made.
#[derive(Debug)]
struct Draft {
    /// The status to be.
    status: RolloutStatus,
    /// Hash of the revision that the spec asks for.
    target: String,
    /// Hash of the stable revision; none before the first deployment is complete.
    stable: Option<String>,
    /// Writes that lower the canary's weight, or point stable back: before all others.
    urgent: Vec<Action>,
    /// Writes that follow the status.
    actions: Vec<Action>,
    /// Writes that free resources: last.
    cleanup: Vec<Action>,
    notes: Vec<Note>,
    /// The canary weight and the routes of ours that this pass writes before the status, or in place
    /// of somebody else's.
    written: Option<(i32, Vec<String>)>,
    /// What the release waits for, in words.
    wait: Option<Wait>,
    /// Why the canary has less weight than the steps say, in words.
    shortfall: Option<String>,
    /// The sizes of revisions without the surge of a restart.
    sizes: BTreeMap<String, u32>,
    /// What a restart is doing, in words.
    restart: Option<String>,
    /// Which revisions keep their pods because requests still reach them, in words.
    held: Vec<Held>,
    questions: Vec<Question>,
    next_check: Option<Timestamp>,
}

/// A revision that keeps its pods though their time is over.
#[derive(Clone, Debug)]
struct Held {
    /// What stands in the status for as long as it lasts.
    text: String,
    /// How `text` begins, whatever the times in it.
    mark: String,
    /// What an Event says when it begins.
    note: Note,
}

/// What a release waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wait {
    text: String,
    kind: WaitKind,
}

/// The kind of a wait decides whether the progress deadline runs, and the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitKind {
    /// For pods: the deadline runs.
    Pods,
    /// For a person or a pause: the phase is Paused.
    Pause,
    /// For an analysis, the proxies, or a delay.
    Other,
}

impl Draft {
    fn push(&mut self, write: Write, why: impl Into<String>) {
        self.actions.push(Action { write, why: why.into() });
    }

    fn wait(&mut self, kind: WaitKind, text: impl Into<String>) {
        if self.wait.is_none() {
            self.wait = Some(Wait { text: text.into(), kind });
        }
    }

    fn check_at(&mut self, at: Timestamp) {
        self.next_check = Some(self.next_check.map_or(at, |earlier| earlier.min(at)));
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Whether nothing is to be written, apart from the status.
    fn is_idle(&self) -> bool {
        self.urgent.is_empty() && self.actions.is_empty() && self.cleanup.is_empty()
    }

    /// Whether a release is under way: the spec's revision is not the stable one.
    fn in_release(&self) -> bool {
        self.stable.as_ref() != Some(&self.target)
    }
}

//! The status of a Rollout. The controller is its only writer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Notification, Reason, Verb, Verdict};

/// What is known of a Rollout: where the release stands, and what it waits for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// The state in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What the Rollout does or waits for, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Conditions: Available, Progressing, Paused, Completed, Healthy, `InvalidSpec`, `RouteContested`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Running number of the newest revision.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: i64,
    /// Hash of the revision that takes the traffic between releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<String>,
    /// Hash of the newest revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// How often the newest revision has been started: 1, and one more with each retry.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: i64,
    /// Number that was added to a template's hash because its ReplicaSet name was taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub collision_count: i64,

    /// The step that the release is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepStatus>,
    /// Weights as they were last seen in the routes, in percent (or parts of `traffic.maxWeight`).
    /// Without routes: the shares of the pods, or which colour is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// Routes of `traffic.managedRoutes` that stand in the VirtualServices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Pauses that hold the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<PauseStatus>,
    /// Set while the newest revision is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortStatus>,
    /// True while all steps and analysis are skipped (`promote --full`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promote_full: bool,
    /// The last sign of progress, from which `spec.progressDeadline` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressStatus>,
    /// The analysis of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStatus>,
    /// Revisions that lost their traffic, and when their pods go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retiring: Vec<RetiringRevision>,
    /// Somebody else's writes to the weights during this release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contest: Option<Contest>,
    /// The generation of the referenced workload that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_observed_generation: Option<i64>,
    /// Pods older than this are replaced: the later of `spec.restartAt` and the last `restart`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub restart_at: Option<Timestamp>,
    /// The restart that has been carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub restarted_at: Option<Timestamp>,
    /// What is in use and no other Rollout's: `Service/NAME`, `DestinationRule/NAME/SUBSET`,
    /// `VirtualService/NAMESPACE/NAME/ROUTE`, `Deployment/NAME`. Marks on it are taken off when it
    /// is not named any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// The last command that was carried out or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<CommandRecord>,
    /// Messages about releases that are still to be sent or edited: the controller's own account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "super::notifications_schema")]
    pub notifications: Vec<Notification>,

    /// Pods that serve the desired share; the canary's surge is not in it, so that an autoscaler
    /// does not take it for demand.
    #[serde(default)]
    pub replicas: i32,
    /// Selector of the pods in `replicas`, for the scale subresource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Pods of the newest revision.
    #[serde(default)]
    pub updated_replicas: i32,
    /// Ready pods of all revisions.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Available pods of all revisions.
    #[serde(default)]
    pub available_replicas: i32,
    /// Available pods of the newest revision.
    #[serde(default)]
    pub updated_available_replicas: i32,

    /// The last 10 releases, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ReleaseRecord>,
}

/// The state in one word.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The newest revision is stable and has all its pods.
    Healthy,
    /// A release is under way.
    Progressing,
    /// The release waits for a person, or for a pause to end.
    Paused,
    /// Aborted, or stuck, or invalid: a person must look.
    Degraded,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// The step that the release is in.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Index of the step, from 0; equal to `of` when all are done.
    pub index: i32,
    /// Number of steps.
    pub of: i32,
    /// Hash of the list of steps, to see that it was edited in mid-release.
    pub hash: String,
    /// For people, who count from 1: `3/10`.
    pub text: String,
    /// When the step began.
    #[schemars(schema_with = "super::time_schema")]
    pub started_at: Timestamp,
}

/// Weights; they sum to 100, or to `traffic.maxWeight`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Weights {
    /// The stable revision's.
    pub stable: i32,
    /// The canary's.
    pub canary: i32,
}

impl Weights {
    /// `canary` parts of `total` for the canary and the rest for stable.
    pub fn of(total: i32, canary: i32) -> Self {
        Self { stable: total - canary, canary }
    }
}

/// A pause that holds the release.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PauseStatus {
    /// Why it holds.
    pub reason: PauseReason,
    /// When it began.
    #[schemars(schema_with = "super::time_schema")]
    pub started_at: Timestamp,
    /// Who asked for it, if a person did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What comparisons had seen of the canary when a hold began, by their metrics' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canary_requests: BTreeMap<String, u64>,
}

/// Why a release holds.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// A pause step.
    Step,
    /// A hold step.
    Hold,
    /// The command `pause`.
    Command,
    /// An inconclusive analysis.
    Inconclusive,
}

/// Why and when a release was aborted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AbortStatus {
    /// When.
    #[schemars(schema_with = "super::time_schema")]
    pub at: Timestamp,
    /// Who: a person's name, or `sluice`.
    pub by: String,
    /// Why, in a sentence.
    pub reason: String,
    /// Why, in one word.
    pub cause: AbortCause,
}

/// Why a release was aborted, in one word.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortCause {
    /// The command `abort`.
    Command,
    /// An analysis or a Job failed, or could not be carried out.
    Analysis,
    /// No progress within the deadline.
    Deadline,
    /// A pause ran into its timeout.
    PauseTimeout,
}

/// The last sign of progress.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ProgressStatus {
    /// When it was seen.
    #[schemars(schema_with = "super::time_schema")]
    pub at: Timestamp,
    /// Available pods of the newest revision then.
    pub available: i32,
}

/// The analysis of the release.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStatus {
    /// The run beside the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<RunStatus>,
    /// The run of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<RunStatus>,
}

/// An AnalysisRun in brief.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Name of the AnalysisRun.
    pub name: String,
    /// Its verdict.
    pub phase: Verdict,
    /// Its message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// True when a person let the release go on in spite of an inconclusive verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

/// A revision that lost its traffic.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RetiringRevision {
    /// Its hash.
    pub revision: String,
    /// When its pods go, at the earliest; unset: not before the next release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub scale_down_at: Option<Timestamp>,
}

/// Somebody else's writes to the weights.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Contest {
    /// How many were put back.
    pub count: i32,
    /// Who wrote last, as the object's managedFields say.
    pub by: String,
    /// The object, as `VirtualService NAMESPACE/NAME`.
    pub object: String,
}

/// A command that was carried out or refused.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CommandRecord {
    /// The command's id.
    pub id: String,
    /// What it asked for.
    #[schemars(with = "String")]
    pub verb: Verb,
    /// Who asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Whether it was carried out.
    pub accepted: bool,
    /// What came of it, in a sentence.
    pub message: String,
    /// When.
    #[schemars(schema_with = "super::time_schema")]
    pub at: Timestamp,
}

/// One release of the past or the present.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    /// Hash of the revision.
    pub revision: String,
    /// Its running number.
    pub number: i64,
    /// Its images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Its attempt.
    pub attempt: i64,
    /// When it started.
    #[schemars(schema_with = "super::time_schema")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::optional_time_schema")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Who ended it: a person's name, or `sluice`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// How a release ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The revision became stable.
    Promoted,
    /// It was rolled back.
    Aborted,
    /// A newer revision, or the stable one again, took its place.
    Superseded,
}

/// The reason and text of an Event, as they are shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its reason.
    pub reason: Reason,
    /// True when somebody should look.
    pub warning: bool,
    /// Its text.
    pub text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

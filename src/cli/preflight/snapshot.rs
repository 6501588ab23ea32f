//! What a preflight is judged by, seen at one instant. Plain data.

use std::sync::Arc;

use serde_json::Value;

use crate::world::Program;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Name of the Rollout.
    pub name: String,
    /// Whether it is in the cluster.
    pub is_there: bool,
    /// Whether a controller has looked at the newest spec.
    pub observed: bool,
    /// Its strategy.
    pub program: Arc<Program>,
    /// The pods that it wants.
    pub desired: u32,
    /// The workload that it names: kind, name, and whether that keeps its pods.
    pub workload: Option<(String, String, bool)>,
    /// Its pod template.
    pub template: Value,
    /// What the controller would refuse, in its words.
    pub problems: Vec<String>,
    /// Autoscalers of the namespace, of both kinds.
    pub autoscalers: Vec<Value>,
    /// PodDisruptionBudgets of the namespace.
    pub budgets: Vec<Value>,
    /// `ResourceQuotas` of the namespace.
    pub quotas: Vec<Value>,
    /// The queries of its analysis, and their answers.
    pub queries: Vec<Answered>,
    /// The Jobs of its analysis, and what a dry run said.
    pub jobs: Vec<Tried>,
    /// What the controller may not do; none if that could not be asked, with the reason.
    pub controller: Result<Vec<String>, String>,
    /// The controller's account.
    pub account: String,
    /// What the caller may do: the command, and whether.
    pub caller: Result<Vec<(String, bool)>, String>,
    /// What could not be read, each in a sentence.
    pub unread: Vec<String>,
}

/// A query and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Where it is asked for: `spec.strategy.canary.analysis, metric success-rate`.
    pub place: String,
    /// What came.
    pub answer: Answer,
}

/// What came of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Values, as text.
    Data(String),
    /// Nothing.
    NoData(String),
    /// An answer that is an error.
    Error(String),
    /// It was not asked, or nobody answered.
    NotAsked(String),
}

/// A Job and what a dry run said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Where it is asked for.
    pub place: String,
    /// The refusal; none if it can be created.
    pub refusal: Option<Refusal>,
}

/// Why a Job was not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API server refuses the Job.
    Job(String),
    /// The caller may not create Jobs, or it was not tried.
    NotTried(String),
}

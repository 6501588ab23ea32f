//! Condition types and reasons: the one list of them.

use serde::{Deserialize, Serialize};

/// The types of conditions in a Rollout's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Enough pods are available to serve the traffic.
    Available,
    /// A release is under way and moving, or has finished.
    Progressing,
    /// The release waits for a person or for a pause to end.
    Paused,
    /// No release is under way: the newest revision is stable.
    Completed,
    /// All pods, routes and Services are as wanted.
    Healthy,
    /// The spec, or something that it names, is wrong or missing.
    InvalidSpec,
    /// Somebody else keeps writing the weights.
    RouteContested,
}

impl ConditionType {
    /// The type as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Healthy => "Healthy",
            Self::InvalidSpec => "InvalidSpec",
            Self::RouteContested => "RouteContested",
        }
    }
}

/// Reasons of conditions and Events.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A new revision started on its way.
    ReleaseStarted,
    /// The new revision is stable.
    ReleaseCompleted,
    /// The release was aborted and stable takes all traffic.
    ReleaseAborted,
    /// An aborted release was started again.
    ReleaseRetried,
    /// The release waits in a pause.
    ReleasePaused,
    /// The release goes on after a pause.
    ReleaseResumed,
    /// No progress within `spec.progressDeadline`.
    ProgressDeadlineExceeded,
    /// An analysis failed.
    AnalysisFailed,
    /// An analysis was inconclusive.
    AnalysisInconclusive,
    /// The spec, or something that it names, is wrong or missing.
    InvalidSpec,
    /// The spec is valid (again).
    ValidSpec,
    /// Somebody else wrote the weights; they were put back.
    RouteEdited,
    /// Somebody else keeps writing the weights.
    RouteContested,
    /// A command could not be carried out.
    CommandRefused,
    /// A command was carried out.
    CommandAccepted,
    /// Pods are missing.
    PodsUnavailable,
    /// Pods are there.
    PodsAvailable,
    /// A revision that lost its place keeps its pods: requests still reach them.
    DrainHeld,
    /// Requests still reached a revision when its pods had to go.
    DrainOverdue,
    /// All pods have been replaced by a restart.
    Restarted,
    /// Somebody who is to be told of the release cannot be.
    NotificationFailed,
    /// A release is under way.
    Progressing,
    /// No release is under way.
    NoRelease,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

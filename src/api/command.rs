//! Commands: what people, pipelines and Slack ask of a release.

use serde::{Deserialize, Serialize};

/// One command, carried as JSON by the annotation `sluice.dev/command`. It is bound to the revision
/// that the person saw, so that a late click never promotes another release.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// What to do.
    pub verb: Verb,
    /// The revision (`status.currentRevision`) that the writer saw.
    pub revision: String,
    /// Who asks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// A fresh value for each command; the controller applies an id once.
    pub id: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What a command does.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Verb {
    /// Ends the pause, or the analysis step, that the release waits in.
    Promote,
    /// Skips all that is left of the steps and of the analysis.
    PromoteFull,
    /// Goes back to the stable revision.
    Abort,
    /// Starts an aborted release again at its first step.
    Retry,
    /// Holds the release before its next step.
    Pause,
    /// Ends a `pause`.
    Resume,
    /// Leaves the present step as it is and goes to the next one.
    SkipStep,
    /// Replaces all pods, one after the other.
    Restart,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Promote => "promote",
            Self::PromoteFull => "promote --full",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::SkipStep => "promote --skip-current-step",
            Self::Restart => "restart",
        })
    }
}

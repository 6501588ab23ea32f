//! The outbox in the status of a Rollout: what is still to be said about a release, and to whom.

use jiff::Timestamp;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Annotation on a Rollout that says who is told of its releases: targets with commas between them,
/// such as `slack:releases, webhook:ci, alertmanager`, or `none`.
pub const NOTIFY_ANNOTATION: &str = "sluice.dev/notify";

/// What one target has been told of one release, and what it is still to be told. It stands in the
/// status before anything is sent, so that no crash loses or repeats a message.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The target, as the subscription names it.
    pub to: String,
    /// The release: revision, start and attempt. For Alertmanager: the name of the alert.
    pub release: String,
    /// Where the message about the release stands, once it does: `CHANNEL/TS`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Number of facts that have been told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent: u32,
    /// Facts that are still to be told, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Fact>,
    /// What the message says in the end, once the release is over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// Something that happened in a release.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// What kind of thing.
    pub kind: FactKind,
    /// When.
    pub at: Timestamp,
    /// In words.
    pub text: String,
}

/// The kinds of facts.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub enum FactKind {
    /// A release, or another attempt at it, has begun.
    Started,
    /// A step has begun.
    Step,
    /// An analysis has its verdict.
    Analysis,
    /// A person's command was carried out or refused.
    Command,
    /// The release is stuck or invalid.
    Degraded,
    /// The new revision is stable.
    Promoted,
    /// The release was rolled back.
    Aborted,
    /// Another revision took its place.
    Superseded,
}

impl FactKind {
    /// The kind in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Step => "step",
            Self::Analysis => "analysis",
            Self::Command => "command",
            Self::Degraded => "degraded",
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
        }
    }
}

/// Left open: it is the controller's own account, and the definition must stay small.
pub(crate) fn notifications_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

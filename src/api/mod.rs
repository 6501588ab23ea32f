//! The API: custom resource types and nothing else.
//!
//! In: nothing. Out: the Rust types of `sluice.dev/v1alpha1`, from which `crds/` is generated
//! (`make crds`). Doc comments on fields are user documentation: `kubectl explain` shows them.

mod analysis;
mod blue_green;
mod canary;
mod command;
mod compare;
mod condition;
mod count;
mod duration;
mod int_or_percent;
mod match_routes;
mod metric;
mod notification;
mod pod_metadata;
mod rolling;
mod rollout;
mod status;
mod steps;
mod traffic;

pub use analysis::*;
pub use blue_green::*;
pub use canary::*;
pub use command::*;
pub use compare::*;
pub use condition::*;
pub use count::Count;
pub use duration::Duration;
pub use int_or_percent::IntOrPercent;
pub use match_routes::*;
pub use metric::*;
pub use notification::*;
pub use pod_metadata::*;
pub use rolling::*;
pub use rollout::*;
pub use status::*;
pub use steps::*;
pub use traffic::*;

use schemars::{Schema, SchemaGenerator, json_schema};

/// The API group of every kind.
pub const GROUP: &str = "sluice.dev";

/// Label on ReplicaSets and pods, key in Service selectors and subset labels: the revision hash.
pub const REVISION_LABEL: &str = "sluice.dev/revision";

/// Label that Istio's own metrics read as `destination_canonical_revision`.
pub const CANONICAL_REVISION_LABEL: &str = "service.istio.io/canonical-revision";

/// Annotation on a ReplicaSet: the versioned fingerprint of the template it was made from.
pub const FINGERPRINT_ANNOTATION: &str = "sluice.dev/template-fingerprint";

/// Annotation on a ReplicaSet: the revision's running number, as `status.history` shows it.
pub const REVISION_NUMBER_ANNOTATION: &str = "sluice.dev/revision-number";

/// Annotation on a ReplicaSet's template and its pods: the metadata that their role gave them, as
/// JSON, so that it can be taken off again.
pub const ROLE_METADATA_ANNOTATION: &str = "sluice.dev/role-metadata";

/// Label on pods that an autoscaler should not count: they are on top of the desired share while a
/// release is under way. Only pods of Rollouts that an autoscaler scales get it.
pub const SURPLUS_LABEL: &str = "sluice.dev/surplus";

/// Finalizer on a Rollout: what it took over is given back before it goes.
pub const FINALIZER: &str = "sluice.dev/hand-back";

/// Annotation on a Rollout that carries one waiting [`Command`] as JSON.
pub const COMMAND_ANNOTATION: &str = "sluice.dev/command";

/// Annotation on a VirtualService by which its owner lets Rollouts of other namespaces edit it: their
/// namespaces, with commas between them.
pub const ALLOW_NAMESPACES_ANNOTATION: &str = "sluice.dev/allow-namespaces";

/// Label on a Rollout that chooses which controller instance (`--instance`) serves it.
pub const INSTANCE_LABEL: &str = "sluice.dev/instance";

/// Label on AnalysisRuns, and on the Jobs of a run: the Rollout it belongs to.
pub const ROLLOUT_LABEL: &str = "sluice.dev/rollout";

/// Label on the Jobs of an AnalysisRun: the run's name.
pub const RUN_LABEL: &str = "sluice.dev/analysis-run";

/// Schema of an instant: RFC 3339 with a fraction, as `date-time`.
pub(crate) fn time_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// Schema of an optional instant.
pub(crate) fn optional_time_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// Schema of an object that Kubernetes itself defines and checks: kept whole, unknown fields too.
pub(crate) fn open_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

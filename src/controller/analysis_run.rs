//! One pass over one AnalysisRun.
use super::{Context, reconcile::Outcome};
use crate::observe::cache::Key;
pub(super) async fn reconcile(_context: &Context, _key: &Key) -> Outcome {
    Outcome::default()
}

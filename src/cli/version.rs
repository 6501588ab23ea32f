//! `version`: which plugin this is.

use crate::api;

/// The version of the plugin and of the API that it speaks.
pub fn text() -> String {
    format!("kubectl-sluice {} ({}/v1alpha1)\n", env!("CARGO_PKG_VERSION"), api::GROUP)
}

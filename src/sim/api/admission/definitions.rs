//! The definitions of our kinds, as src/api generates them.

use std::{collections::BTreeMap, sync::LazyLock};

use kube::CustomResourceExt;
use serde_json::Value;

use crate::{
    api::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Rollout},
    sim::api::Resource,
};

static DEFINITIONS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let definitions = [
        serde_json::to_value(Rollout::crd()),
        serde_json::to_value(AnalysisTemplate::crd()),
        serde_json::to_value(ClusterAnalysisTemplate::crd()),
        serde_json::to_value(AnalysisRun::crd()),
    ];
    let named = |definition: Value| {
        (definition["spec"]["names"]["plural"].as_str().unwrap_or_default().to_owned(), definition)
    };
    definitions.into_iter().flatten().map(named).collect()
});

/// The CustomResourceDefinition of a kind; none for kinds that are not ours.
pub fn definition(resource: &Resource) -> Option<&'static Value> {
    if resource.group != crate::api::GROUP {
        return None;
    }
    DEFINITIONS.get(resource.plural)
}

/// Its schema.
pub(super) fn schema(resource: &Resource) -> Option<&'static Value> {
    definition(resource)?.pointer("/spec/versions/0/schema/openAPIV3Schema")
}

//! Services, endpoints and Istio's route objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;

use crate::api::ALLOW_NAMESPACES_ANNOTATION;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
    /// Since when the selector is seen as it is.
    pub since: Timestamp,
}

/// The ready endpoints of a Service, all its slices together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Names of the pods behind them.
    pub ready_pods: BTreeSet<String>,
}

/// Which namespaces the controller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    AllNamespaces,
    /// That of the Rollout alone.
    OwnNamespace,
}

/// A VirtualService.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its resource version, as precondition of a write.
    pub resource_version: String,
    /// The object, without `metadata.managedFields` and `status`.
    pub object: Arc<Value>,
    /// Since when its spec is seen as it is.
    pub since: Timestamp,
    /// The field manager that last wrote its spec, as `managedFields` says.
    pub last_writer: String,
}

impl Route {
    /// Whether Rollouts of `namespace` may edit it: it lives there, or its owner says so.
    pub fn allows(&self, namespace: &str) -> bool {
        self.namespace == namespace || consents(&self.object, namespace)
    }
}

/// Whether a VirtualService lets Rollouts of this other namespace edit it.
pub fn consents(object: &Value, namespace: &str) -> bool {
    let annotations = &object["metadata"]["annotations"];
    let allowed = annotations[ALLOW_NAMESPACES_ANNOTATION].as_str().unwrap_or_default();
    allowed.split(',').any(|allowed| allowed.trim() == namespace)
}

/// A DestinationRule.
#[derive(Clone, Debug)]
pub struct DestinationRule {
    /// Its name.
    pub name: String,
    /// Its resource version, as precondition of a write.
    pub resource_version: String,
    /// The object, without `metadata.managedFields` and `status`.
    pub object: Arc<Value>,
    /// Since when its spec is seen as it is.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_whole_names_are_consent() {
        let of =
            |text: &str| json!({"metadata": {"annotations": {ALLOW_NAMESPACES_ANNOTATION: text}}});
        assert!(consents(&of("shop, edge"), "edge"));
        for text in ["", "shop-2", "*", "my-shop", "shopping,a"] {
            assert!(!consents(&of(text), "shop"), "{text}");
        }
        assert!(!consents(&json!({"metadata": {}}), "shop"));
        assert!(!consents(&of("a,,b"), "c"));
    }
}

//! Services, endpoints and Istio's route objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;

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

//! Routes for some requests only: by header, or as a copy.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Sends requests with certain headers to the canary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetHeaderRoute {
    /// Name of the route, one of `traffic.managedRoutes`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The requests: all of these headers must match. Empty takes the route away.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub r#match: Vec<HeaderMatch>,
}

/// A header and its value.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// Name of the header; upper and lower case are the same.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-_A-Za-z0-9]+$"))]
    pub header_name: String,
    /// Its value.
    pub header_value: StringMatch,
}

/// A text to compare with. Exactly one of its fields is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.exact) ? !has(self.prefix) && !has(self.regex) : has(self.prefix) != has(self.regex)").message("a match has exactly one of exact, prefix, regex"))]
pub struct StringMatch {
    /// The whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exact: Option<String>,
    /// Its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// A regular expression (RE2) for the whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
}

/// Sends a copy of certain requests to the canary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetMirrorRoute {
    /// Name of the route, one of `traffic.managedRoutes`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The requests: any of these must match. Empty takes the route away.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub r#match: Vec<RequestMatch>,
    /// Share of these requests that is copied, in percent. Default 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub percentage: i32,
}

/// What a request looks like: all that is given must match.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.method) || has(self.path) || has(self.headers)").message("a match of setMirrorRoute needs method, path or headers"))]
pub struct RequestMatch {
    /// The method, such as `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// The path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<StringMatch>,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 10))]
    pub headers: BTreeMap<String, StringMatch>,
}

fn hundred() -> i32 {
    100
}

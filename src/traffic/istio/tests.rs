//! Tests of the Istio edits, on the seeds' own objects and on generated ones.

mod destination_rule;
mod errors;
mod host;
mod match_routes;
mod properties;
mod seeds;

use serde_json::Value;

use super::{RouteTarget, Split};
use crate::api::VirtualServiceRef;

/// The namespace of the Rollout in these tests.
const NAMESPACE: &str = "shop";

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).expect("the test's YAML")
}

/// An object of `tests/seeds`, as its team wrote it.
fn seed(path: &str) -> Value {
    let path = format!("{}/tests/seeds/{path}", env!("CARGO_MANIFEST_DIR"));
    yaml(&std::fs::read_to_string(&path).expect("a seed in tests/seeds"))
}

fn hosts(stable: &str, canary: &str) -> Split {
    Split::Hosts { stable: stable.into(), canary: canary.into() }
}

fn subsets(host: &str) -> Split {
    Split::Subsets { host: host.into(), stable: "stable".into(), canary: "canary".into() }
}

/// A reference as it stands in a Rollout.
fn reference(text: &str) -> VirtualServiceRef {
    serde_yaml::from_str(text).expect("the test's reference")
}

fn target<'a>(reference: &'a VirtualServiceRef, split: &'a Split) -> RouteTarget<'a> {
    RouteTarget { reference, split, namespace: NAMESPACE, total: 100, managed: &[], former: &[] }
}

/// A `VirtualService` `shop/web` with this `spec`.
fn virtual_service(spec: &str) -> Value {
    let mut object = yaml("metadata: {name: web, namespace: shop}");
    object["spec"] = yaml(spec);
    object
}

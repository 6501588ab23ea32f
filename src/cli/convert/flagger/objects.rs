//! `spec.service`: the Services and routes that Flagger makes of it.

use serde_json::{Map, Value, json};

use super::{Mesh, Release};
use crate::cli::convert::node::{Fate, Node, carry, carry_all, put};

/// The labels by which Services select the pods.
pub fn labels(release: &Release, target: &str, deployment: Option<&Value>) -> Value {
    let of = deployment.map(|found| found["spec"]["selector"]["matchLabels"].clone());
    of.filter(Value::is_object).unwrap_or_else(|| {
        release.notes.add(
            Fate::Changed,
            "spec.targetRef",
            format!("the Services select `app: {target}`: the Deployment is not among the files, so compare this with its pods' labels"),
        );
        json!({"app": target})
    })
}

/// The Services and routes that are not there yet.
pub fn objects(
    release: &Release,
    mut from: Node,
    labels: &Value,
    mesh: Mesh,
    present: &[(String, String)],
) -> Vec<Value> {
    let port = port(&mut from);
    let mut out = Vec::new();
    for (field, name) in [
        ("apex", release.apex.clone()),
        ("primary", release.primary()),
        ("canary", release.canary()),
    ] {
        let mut metadata = release.metadata(&name);
        if let Some(mut own) = from.take(field) {
            for part in ["labels", "annotations"] {
                if let Some(values) = own.take(part) {
                    metadata[part] = values.keep();
                }
            }
        }
        if mesh == Mesh::None && field == "primary" {
            continue;
        }
        out.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": [port]},
        }));
    }
    release.notes.add(
        Fate::Changed,
        "spec.service",
        match mesh {
            Mesh::Istio => format!("its Services select the pods of Deployment {target} itself, for there is no copy: {primary} (stable) and {canary} are kept apart by sluice.dev/revision, and {apex} selects both: whoever comes there around the mesh reaches both", target = release.name, primary = release.primary(), canary = release.canary(), apex = release.apex),
            Mesh::None => format!("{} is the active Service and {} the preview; there is no copy of the Deployment, and no primary Service", release.apex, release.canary()),
        },
    );
    if mesh == Mesh::Istio {
        out.extend(rules(release, &mut from));
        out.push(virtual_service(release, &mut from));
    }
    out.retain(|object| {
        let is = |(kind, name): &(String, String)| {
            object["kind"] == kind.as_str() && object["metadata"]["name"] == name.as_str()
        };
        !present.iter().any(is)
    });
    for (name, node) in from.entries() {
        node.lost(match name.as_str() {
            "portDiscovery" => "write the further ports into the Services",
            "gatewayRefs" | "backends" | "meshName" | "delegation" => {
                "Sluice edits a VirtualService of yours, and makes none"
            }
            _ => "write it into the Services or the VirtualService, if it belongs there",
        });
    }
    out
}

fn port(from: &mut Node) -> Value {
    let mut to = Map::new();
    let name = from.take("portName").and_then(Node::text).unwrap_or_else(|| "http".into());
    to.insert("name".into(), json!(name));
    let number = from.take("port").and_then(Node::integer).unwrap_or(80);
    to.insert("port".into(), json!(number));
    carry_all(from, &["targetPort", "appProtocol"], &mut to);
    Value::Object(to)
}

/// A DestinationRule for each of the two Services, where there is a traffic policy.
fn rules(release: &Release, from: &mut Node) -> Vec<Value> {
    let Some(policy) = from.take("trafficPolicy") else { return Vec::new() };
    let policy = policy.keep();
    let rule = |name: String| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": release.metadata(&name),
            "spec": {"host": name, "trafficPolicy": policy},
        })
    };
    vec![rule(release.primary()), rule(release.canary())]
}

fn virtual_service(release: &Release, from: &mut Node) -> Value {
    let list = |node: Option<Node>, last: &str| {
        let texts = node.map(Node::items).unwrap_or_default();
        let mut texts: Vec<String> = texts.into_iter().filter_map(Node::text).collect();
        if !texts.iter().any(|text| text == last) {
            texts.push(last.to_owned());
        }
        json!(texts)
    };
    let hosts = list(from.take("hosts"), &release.apex);
    let gateways = from.take("gateways").map(|gateways| list(Some(gateways), "mesh"));
    let mut route = Map::new();
    route.insert("name".into(), json!("primary"));
    carry_all(
        from,
        &["match", "rewrite", "timeout", "retries", "headers", "corsPolicy"],
        &mut route,
    );
    carry(from, "cors", &mut route, "corsPolicy");
    route.insert(
        "route".into(),
        json!([
            {"destination": {"host": release.primary()}, "weight": 100},
            {"destination": {"host": release.canary()}, "weight": 0},
        ]),
    );
    let mut spec = Map::new();
    spec.insert("hosts".into(), hosts);
    put(&mut spec, "gateways", gateways);
    spec.insert("http".into(), json!([route]));
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": release.metadata(&release.apex), "spec": spec,
    })
}

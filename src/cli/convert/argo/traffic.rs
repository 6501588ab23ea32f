//! `strategy.canary.trafficRouting`.

use serde_json::{Map, Value, json};

use crate::cli::convert::node::{Node, carry_all, put};

/// Our routes; none where Istio has no part in it.
pub fn traffic(mut from: Node) -> Option<Value> {
    let mut to = Map::new();
    let istio = from.take("istio");
    let managed = from.take("managedRoutes");
    let weight = from.take("maxTrafficWeight");
    let others = from.entries();
    if istio.is_none() {
        for node in others.into_iter().map(|(_, node)| node).chain(managed).chain(weight) {
            node.lost("Sluice moves traffic by Istio alone; without it the weights are shares of the pods");
        }
        return None;
    }
    for (_, node) in others {
        node.lost("Sluice moves traffic by Istio alone");
    }
    let mut istio = istio?;
    let mut routes = Map::new();
    let one = istio.take("virtualService").into_iter();
    let many = istio.take("virtualServices").map(Node::items).unwrap_or_default();
    let services: Vec<Value> = one.chain(many).map(virtual_service).collect();
    routes.insert("virtualServices".into(), Value::Array(services));
    if let Some(mut rule) = istio.take("destinationRule") {
        let mut ours = Map::new();
        carry_all(&mut rule, &["name"], &mut ours);
        put(&mut ours, "stableSubset", rule.take("stableSubsetName").map(Node::keep));
        put(&mut ours, "canarySubset", rule.take("canarySubsetName").map(Node::keep));
        routes.insert("destinationRule".into(), Value::Object(ours));
    }
    to.insert("istio".into(), Value::Object(routes));
    put(&mut to, "maxWeight", weight.map(Node::keep));
    if let Some(managed) = managed {
        let names = managed.items().into_iter().map(|mut route| {
            let mut ours = Map::new();
            carry_all(&mut route, &["name"], &mut ours);
            Value::Object(ours)
        });
        to.insert("managedRoutes".into(), names.collect());
    }
    Some(Value::Object(to))
}

/// A reference; in Argo Rollouts another namespace is a part of the name.
fn virtual_service(mut from: Node) -> Value {
    let mut to = Map::new();
    carry_all(&mut from, &["routes", "tlsRoutes", "tcpRoutes"], &mut to);
    if let Some(name) = from.take("name") {
        let text = name.value().as_str().unwrap_or_default().to_owned();
        match text.split_once('.') {
            Some((own, namespace)) => {
                name.changed(format!(
                    "is name and namespace apart; VirtualService {own} needs the annotation sluice.dev/allow-namespaces with this Rollout's namespace, unless that is {namespace}"
                ));
                to.insert("name".into(), json!(own));
                to.insert("namespace".into(), json!(namespace));
                name.keep();
            }
            None => {
                to.insert("name".into(), name.keep());
            }
        }
    }
    Value::Object(to)
}

//! `strategy.canary`.

use serde_json::{Map, Value, json};

use super::{Empty, analysis, steps, traffic};
use crate::cli::convert::node::{Node, carry_all, put};

/// Our canary strategy.
pub fn canary(mut from: Node, empty: &Empty) -> Value {
    let mut to = Map::new();
    carry_all(&mut from, &["stableService", "canaryService"], &mut to);
    if let Some(mut pair) = from.take("pingPong") {
        pair.changed("the Services do not change places at each release: ping is stableService, pong is canaryService, which selects the stable pods between releases");
        put(&mut to, "stableService", pair.take("pingService").map(Node::keep));
        put(&mut to, "canaryService", pair.take("pongService").map(Node::keep));
    }
    let traffic = from.take("trafficRouting").and_then(traffic::traffic);
    let routed = traffic.is_some();
    put(&mut to, "traffic", traffic);
    surge(&mut from, &mut to, routed);
    delays(&mut from, &mut to);
    if let Some(limit) = from.take("scaleDownDelayRevisionLimit") {
        limit.lost("one old revision stands by for scaleDownDelay");
    }
    carry_all(&mut from, &["antiAffinity", "canaryMetadata", "stableMetadata"], &mut to);
    let minimum = from.take("minPodsPerReplicaSet");
    put(&mut to, "minPodsPerReplicaSet", minimum.map(Node::keep));
    if let Some(dynamic) = from.take("dynamicStableScale") {
        if routed {
            to.insert("dynamicStableScale".into(), dynamic.keep());
        } else {
            dynamic.lost(
                "needs traffic: without it the stable revision shrinks with each step anyway",
            );
        }
    }
    let threshold = from.take("replicaProgressThreshold").and_then(threshold);
    put(&mut to, "replicaProgressThreshold", threshold);
    let list = from.take("steps").map(|list| steps::steps(list, routed, empty));
    let list = list.unwrap_or_default();
    if let Some(node) = from.take("analysis") {
        background(node, &list.starts, &mut to, empty);
    }
    if !list.steps.is_empty() {
        to.insert("steps".into(), Value::Array(list.steps));
    }
    Value::Object(to)
}

/// The delays that both strategies have.
pub fn delays(from: &mut Node, to: &mut Map<String, Value>) {
    put(to, "scaleDownDelay", from.take("scaleDownDelaySeconds").and_then(Node::seconds));
    let abort = from.take("abortScaleDownDelaySeconds");
    put(to, "abortScaleDownDelay", abort.and_then(Node::seconds));
}

fn surge(from: &mut Node, to: &mut Map<String, Value>, routed: bool) {
    if let Some(surge) = from.take("maxSurge") {
        if routed && *surge.value() != json!("100%") {
            surge.lost("with traffic the canary grows to full size beside the stable revision, so that less than 100% is refused");
        } else {
            to.insert("maxSurge".into(), surge.keep());
        }
    }
    carry_all(from, &["maxUnavailable"], to);
}

fn threshold(mut from: Node) -> Option<Value> {
    let kind = from.take("type")?;
    let ours = match kind.value().as_str() {
        Some("Pod") => "Pod",
        Some("Percent" | "Percentage") => "Percent",
        _ => {
            kind.lost("allowed are Pod and Percent");
            return None;
        }
    };
    kind.keep();
    let value = from.take("value")?.integer()?;
    Some(json!({"type": ours, "value": value}))
}

/// Analysis beside the steps; `starts` says where each of Argo's steps begins in ours.
fn background(mut from: Node, starts: &[usize], to: &mut Map<String, Value>, empty: &Empty) {
    let (path, notes) = (from.path().to_owned(), from.notes().clone());
    let first = from.take("startingStep").and_then(Node::integer);
    let Some(mut analysis) = analysis::analysis(from, empty) else {
        analysis::instead(&notes, &path, "nothing is measured beside the steps");
        return;
    };
    if let Some(first) = first {
        let ours = usize::try_from(first).ok().and_then(|first| starts.get(first).copied());
        analysis["startingStep"] = ours.map_or_else(|| json!(first), |ours| json!(ours));
    }
    to.insert("analysis".into(), analysis);
}

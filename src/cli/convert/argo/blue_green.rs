//! `strategy.blueGreen`.

use serde_json::{Map, Value, json};

use super::{Empty, analysis, canary::delays};
use crate::cli::convert::node::{Node, carry_all, put};

/// Our blue-green strategy.
pub fn blue_green(mut from: Node, empty: &Empty) -> Value {
    let mut to = Map::new();
    let names = [
        "activeService",
        "previewService",
        "previewReplicaCount",
        "scaleDownDelayRevisionLimit",
        "antiAffinity",
        "previewMetadata",
        "activeMetadata",
    ];
    carry_all(&mut from, &names, &mut to);
    let automatic = from.take("autoPromotionEnabled").and_then(Node::boolean);
    put(&mut to, "autoPromotionEnabled", automatic.map(Value::from));
    if let Some(after) = from.take("autoPromotionSeconds") {
        if automatic == Some(false) {
            after.replaced("left out: Argo Rollouts ignores it beside autoPromotionEnabled: false, where Sluice would promote after this time");
        } else {
            put(&mut to, "autoPromotionAfter", after.seconds());
        }
    }
    if let Some(unavailable) = from.take("maxUnavailable") {
        unavailable.lost("a restart evicts one pod after the other, as PodDisruptionBudgets allow");
    }
    delays(&mut from, &mut to);
    for name in ["prePromotionAnalysis", "postPromotionAnalysis"] {
        let Some(node) = from.take(name) else { continue };
        let path = node.path().to_owned();
        let notes = node.notes().clone();
        match analysis::analysis(node, empty) {
            Some(analysis) => {
                to.insert(name.to_owned(), analysis);
            }
            None if name == "prePromotionAnalysis" => {
                analysis::instead(
                    &notes,
                    &path,
                    "autoPromotionEnabled is false: a person decides before the switch",
                );
                to.insert("autoPromotionEnabled".into(), json!(false));
                to.remove("autoPromotionAfter");
            }
            None => analysis::instead(&notes, &path, "nothing is asked after the switch"),
        }
    }
    Value::Object(to)
}

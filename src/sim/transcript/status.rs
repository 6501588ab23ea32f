//! A Rollout's status: the controller's decisions in its own words.

use serde_json::Value;

use super::Names;

/// What of the status a person follows: phase, step, outcome, and what is waited for.
pub(super) fn rollout(before: &Value, after: &Value, names: &Names) -> Vec<String> {
    let (old, new) = (&before["status"], &after["status"]);
    let mut parts = Vec::new();
    if old["phase"] != new["phase"] {
        let from = old["phase"].as_str().map(|phase| format!("{phase} -> ")).unwrap_or_default();
        parts.push(format!("{from}{}", new["phase"].as_str().unwrap_or("no phase")));
    }
    if old["stableRevision"] != new["stableRevision"] {
        parts.push(format!("stable is {}", names.label(&new["stableRevision"])));
    }
    let step = |status: &Value| status["step"]["text"].as_str().map(str::to_owned);
    if step(old) != step(new) {
        parts.extend(step(new).map(|text| format!("step {text}")));
    }
    let outcome = |status: &Value| status["history"][0]["outcome"].as_str().map(str::to_owned);
    if outcome(old) != outcome(new) {
        let ended = outcome(new).filter(|outcome| !outcome.is_empty());
        parts.extend(ended.map(|outcome| format!("outcome {outcome}")));
    }
    parts.extend(conditions(old, new));
    if parts.is_empty() && old["message"] == new["message"] {
        return Vec::new();
    }
    let message = new["message"].as_str().unwrap_or_default();
    let told = parts.join(", ");
    if old["message"] == new["message"] || message.is_empty() {
        return vec![told];
    }
    let colon = if told.is_empty() { "" } else { ": " };
    vec![format!("{told}{colon}{message}")]
}

/// Conditions that warn, where they come and go.
fn conditions(old: &Value, new: &Value) -> Vec<String> {
    ["InvalidSpec", "RouteContested"]
        .into_iter()
        .filter_map(|kind| {
            let is = |status: &Value| {
                let all = status["conditions"].as_array();
                all.into_iter().flatten().any(|c| c["type"] == kind && c["status"] == "True")
            };
            match (is(old), is(new)) {
                (false, true) => Some(kind.to_owned()),
                (true, false) => Some(format!("no longer {kind}")),
                _ => None,
            }
        })
        .collect()
}

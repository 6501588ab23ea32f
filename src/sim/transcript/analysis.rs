//! Analysis: measurements, verdicts, Jobs.

use serde_json::Value;

/// An AnalysisRun.
pub(super) fn run(before: &Value, after: &Value) -> Vec<String> {
    if after.is_null() {
        return vec!["deleted".to_owned()];
    }
    if before.is_null() {
        let metrics = after["spec"]["metrics"].as_array().into_iter().flatten();
        let names: Vec<&str> = metrics.filter_map(|metric| metric["name"].as_str()).collect();
        return vec![format!("created: measures {}", names.join(", "))];
    }
    let mut texts = Vec::new();
    if before["spec"]["terminate"] != after["spec"]["terminate"] {
        texts.push("told to end".to_owned());
    }
    let results = after["status"]["metricResults"].as_array().into_iter().flatten();
    for (index, result) in results.enumerate() {
        let old = &before["status"]["metricResults"][index];
        texts.extend(measurements(old, result));
        if old["phase"] != result["phase"] && is_final(result) {
            texts.push(verdict(result["name"].as_str().unwrap_or_default(), result));
        }
    }
    if before["status"]["phase"] != after["status"]["phase"] && is_final(&after["status"]) {
        texts.push(verdict("verdict", &after["status"]));
    }
    texts
}

/// `name = 0.97: Successful` for each measurement that ended.
fn measurements(old: &Value, new: &Value) -> Vec<String> {
    let list = |result: &Value| result["measurements"].as_array().cloned().unwrap_or_default();
    let before = list(old);
    let name = new["name"].as_str().unwrap_or_default();
    let mut texts = Vec::new();
    for measurement in list(new) {
        let known = before.iter().any(|other| {
            other["startedAt"] == measurement["startedAt"] && other["phase"] == measurement["phase"]
        });
        if known || !is_final(&measurement) {
            continue;
        }
        let value = measurement["value"].as_str().unwrap_or("no value");
        texts.push(verdict(&format!("{name} = {value}"), &measurement));
    }
    texts
}

fn verdict(what: &str, of: &Value) -> String {
    let phase = of["phase"].as_str().unwrap_or_default();
    match of["message"].as_str().filter(|message| !message.is_empty()) {
        Some(message) => format!("{what}: {phase}: {message}"),
        None => format!("{what}: {phase}"),
    }
}

fn is_final(of: &Value) -> bool {
    !matches!(of["phase"].as_str(), None | Some("Pending" | "Running"))
}

/// A Job.
pub(super) fn job(before: &Value, after: &Value) -> Vec<String> {
    if before.is_null() {
        return vec!["created".to_owned()];
    }
    if after.is_null() {
        return vec!["deleted".to_owned()];
    }
    let ends = |job: &Value| {
        let all = job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let end = |c: &Value| {
            matches!(c["type"].as_str(), Some("Complete" | "Failed")) && c["status"] == "True"
        };
        all.into_iter().find(end)
    };
    match (ends(before), ends(after)) {
        (None, Some(end)) => {
            let kind = end["type"].as_str().unwrap_or_default().to_owned();
            let message = end["message"].as_str().filter(|_| kind == "Failed");
            vec![message.map_or_else(|| kind.clone(), |message| format!("{kind}: {message}"))]
        }
        _ => Vec::new(),
    }
}

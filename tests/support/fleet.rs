//! Many Rollouts at once, each with a judged release: for determinism and for speed.

use serde_json::{Value, json};
use sluice::sim::scenario::{Bases, Played, Scenario, play};

const OBJECTS: &str = include_str!("../scenarios/bases/host-split.yaml");
const TEMPLATE: &str = include_str!("../scenarios/bases/success-rate.yaml");

/// Releases that take half an hour: six steps of five minutes, judged every 30 seconds.
const SCENARIO: &str = r"
claim: Every one of them is released.
given: [host-split, success-rate]
traffic: {requestsPerMinute: 600, errors: 0%}
rollout:
  spec:
    strategy:
      canary:
        analysis: {templates: [{templateName: success-rate}]}
        steps:
          - setWeight: 10
          - pause: {duration: 5m}
          - setWeight: 20
          - pause: {duration: 5m}
          - setWeight: 30
          - pause: {duration: 5m}
          - setWeight: 40
          - pause: {duration: 5m}
          - setWeight: 50
          - pause: {duration: 5m}
          - setWeight: 75
          - pause: {duration: 5m}
steps:
  - until: {phase: Healthy, stable: web:1}
";

/// Plays `count` releases at once and returns their story.
pub fn transcript(count: usize, seed: u64) -> String {
    let played = released(count, seed);
    assert!(
        played.failure.is_none(),
        "{}",
        played.failure.map(|f| f.to_string()).unwrap_or_default()
    );
    played.story().to_string()
}

/// Plays `count` releases at once.
pub fn released(count: usize, seed: u64) -> Played {
    let mut scenario = Scenario::read(SCENARIO).expect("the scenario can be read");
    let mut bases = Bases::default();
    bases.add("host-split", OBJECTS).expect("the objects can be read");
    bases.add("success-rate", TEMPLATE).expect("the template can be read");
    let base = scenario.objects(&bases).expect("the objects are there");
    let mut objects = Vec::new();
    for number in 0..count {
        objects.extend(base.iter().map(|object| renamed(object, number)));
    }
    objects.dedup();
    let new = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "image": "web:2", "ports": [{"containerPort": 80}]},
    ]}}}});
    for number in 0..count {
        let step =
            json!({"patch": {"kind": "Rollout", "name": format!("web{number}"), "merge": new}});
        scenario.steps.push(serde_json::from_value(step).expect("a step"));
    }
    for number in 0..count {
        let expected = json!({"until": {
            "rollout": format!("web{number}"), "phase": "Healthy", "stable": "web:2",
            "outcome": "Promoted",
        }});
        scenario.steps.push(serde_json::from_value(expected).expect("a step"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(play(&scenario, &objects, seed))
}

/// The object as that of the Rollout with this number.
fn renamed(object: &Value, number: usize) -> Value {
    if object["kind"] == "AnalysisTemplate" {
        return object.clone();
    }
    let text = object.to_string();
    let mut text = text.replace("\"web-stable\"", &format!("\"web{number}-stable\""));
    for (from, to) in [("web-canary", "-canary"), ("web", "")] {
        text = text.replace(&format!("\"{from}\""), &format!("\"web{number}{to}\""));
    }
    serde_json::from_str(&text).expect("still JSON")
}

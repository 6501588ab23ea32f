use serde_json::json;

use super::*;

fn rollout(spec: &Value) -> Value {
    let mut whole = json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "web:1"}]}},
        "strategy": {"canary": {"stableService": "s", "canaryService": "c",
            "traffic": {"istio": {"virtualServices": [{"name": "web"}]}}}},
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web"}, "spec": whole})
}

fn refusal(spec: &Value) -> String {
    admit(&resource::ROLLOUT, None, None, &mut rollout(spec)).unwrap_err().message
}

#[test]
fn a_good_rollout_gets_its_defaults() {
    let mut new = rollout(&json!({"unknown": 1}));
    admit(&resource::ROLLOUT, None, None, &mut new).unwrap();
    assert_eq!(new["spec"]["replicas"], 1);
    assert_eq!(new["spec"]["progressDeadline"], "10m");
    assert!(new["spec"].get("unknown").is_none());
    assert_eq!(
        unknown_fields(&resource::ROLLOUT, &rollout(&json!({"unknown": 1}))),
        ["spec.unknown"]
    );
}

#[test]
fn types_and_bounds_are_told_in_the_servers_words() {
    let start = "Rollout.sluice.dev \"web\" is invalid: ";
    assert_eq!(
        refusal(&json!({"minReadySeconds": -1})),
        format!(
            "{start}spec.minReadySeconds: Invalid value: -1: spec.minReadySeconds in body should be greater than or equal to 0"
        )
    );
    assert!(refusal(&json!({"replicas": "2"})).contains(
        "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\""
    ));
    assert!(refusal(&json!({"selector": null})).contains("spec.selector"));
}

#[test]
fn rules_are_judged() {
    let message = refusal(&json!({"selector": {"matchLabels": {}}}));
    assert_eq!(
        message,
        "Rollout.sluice.dev \"web\" is invalid: spec.selector: Invalid value: spec.selector.matchLabels is empty: allowed is at least one label, else every pod of the namespace would be selected"
    );
    let canary = json!({"strategy": {"canary": {"stableService": "s", "canaryService": "c",
        "traffic": {"istio": {"virtualServices": [{"name": "web"}]}},
        "steps": [{"setWeight": 5, "pause": {}}]}}});
    assert!(refusal(&canary).contains("a step has exactly one of"));
}

#[test]
fn a_rule_about_a_change_runs_on_updates() {
    let mut old = rollout(&json!({}));
    admit(&resource::ROLLOUT, None, None, &mut old).unwrap();
    let mut new = old.clone();
    new["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    let refusal = admit(&resource::ROLLOUT, None, Some(&old), &mut new).unwrap_err();
    assert!(refusal.message.contains("spec.selector cannot be changed"), "{}", refusal.message);
}

#[test]
fn every_rule_of_our_definitions_is_understood() {
    fn visit(schema: &Value, count: &mut usize) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let text = rule["rule"].as_str().unwrap();
            assert!(cel::Program::compile(text).is_ok(), "{text}");
            *count += 1;
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|field| visit(field, count)),
            Value::Array(items) => items.iter().for_each(|item| visit(item, count)),
            _ => {}
        }
    }
    let mut count = 0;
    for resource in resource::ALL.iter().filter_map(|resource| definitions::schema(resource)) {
        visit(resource, &mut count);
    }
    assert!(count > 50, "{count}");
}

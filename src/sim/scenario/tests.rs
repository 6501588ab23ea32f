use super::*;

fn error(text: &str) -> String {
    Scenario::read(text).unwrap_err().to_string()
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let error = error("claim: x\nsteps:\n  - until: {phse: Healthy}\n");
    assert!(error.contains("phse") && error.contains("line 3"), "{error}");
}

#[test]
fn an_unknown_action_is_named() {
    let error = error("claim: x\nsteps:\n  - explode: now\n");
    assert!(error.contains("explode"), "{error}");
}

#[test]
fn a_share_must_be_one() {
    let error = error("claim: x\nversions: {web:2: {errors: 120%}}\nsteps: [{wait: 1s}]\n");
    assert!(error.contains("found `120%`, allowed is a share"), "{error}");
}

#[test]
fn a_story_without_steps_is_none() {
    assert_eq!(error("claim: x\nsteps: []\n"), "steps: found none, allowed is at least one");
}

#[test]
fn what_needs_virtual_time_cannot_run_on_a_real_cluster() {
    let error = error("claim: x\nalsoReal: true\nsteps: [{until: {}}, {wait: 1m}]\n");
    assert!(error.starts_with("steps[1]: found what needs virtual time"), "{error}");
}

#[test]
fn a_base_that_is_missing_is_named_with_those_that_exist() {
    let scenario = Scenario::read("claim: x\ngiven: [nope]\nsteps: [{wait: 1s}]\n").unwrap();
    let mut bases = Bases::default();
    bases.add("canary", "{apiVersion: v1, kind: Service, metadata: {name: a}}").unwrap();
    let error = scenario.objects(&bases).unwrap_err().to_string();
    assert_eq!(error, "given: found nope, allowed are canary");
}

#[test]
fn an_object_of_an_unknown_kind_is_named() {
    let text = "claim: x\nobjects: [{apiVersion: v1, kind: Servce, metadata: {name: a}}]\nsteps: [{wait: 1s}]\n";
    let error = Scenario::read(text).unwrap().objects(&Bases::default()).unwrap_err().to_string();
    assert!(error.starts_with("objects[0]: found apiVersion `v1` and kind `Servce`"), "{error}");
}

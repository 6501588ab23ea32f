//! The pipelines of `examples/pipelines`, as far as they can be tried without a cluster: what Flux and
//! Argo CD conclude from a Rollout's status, and that all of them run the script that the end-to-end
//! tests run.
#![allow(clippy::panic, reason = "a test that cannot go on has failed, and says where")]

use std::{collections::BTreeMap, fs, path::Path};

use cel::{Context, Program};
use serde_json::{Value, json};

fn yaml(file: &str) -> Value {
    let path = Path::new("examples/pipelines").join(file);
    let text = fs::read_to_string(&path).expect("an example");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A Rollout of generation 4 in this state.
fn rollout(phase: Option<&str>, observed: i64) -> Value {
    json!({"metadata": {"generation": 4}, "status": {"phase": phase, "observedGeneration": observed}})
}

#[test]
fn flux_reads_the_verdict_from_the_status() {
    let kustomization = yaml("flux/kustomization.yaml");
    let checks = &kustomization["spec"]["healthCheckExprs"][0];
    assert_eq!(checks["kind"], "Rollout");
    let conclusions = |object: &Value| -> Vec<&str> {
        let holds = |name: &&str| {
            let text = checks[*name].as_str().expect("an expression");
            let program = Program::compile(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut context = Context::default();
            for field in ["metadata", "status"] {
                let fields = object[field].as_object().expect("fields").clone();
                let there: BTreeMap<String, Value> =
                    fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
                context.add_variable(field, there).expect("a variable");
            }
            program.execute(&context).unwrap_or_else(|e| panic!("{name}: {e}")) == true.into()
        };
        ["current", "failed", "inProgress"].into_iter().filter(holds).collect()
    };
    for (phase, observed, conclusion) in [
        (None, 4, "inProgress"),
        (Some("Healthy"), 4, "current"),
        (Some("Healthy"), 3, "inProgress"),
        (Some("Progressing"), 4, "inProgress"),
        (Some("Paused"), 4, "inProgress"),
        (Some("Degraded"), 4, "failed"),
        (Some("Degraded"), 3, "inProgress"),
    ] {
        assert_eq!(conclusions(&rollout(phase, observed)), [conclusion], "{phase:?}");
    }
}

#[test]
fn runners_run_the_script_and_show_its_summary() {
    let actions = yaml("github-actions.yaml");
    let step = &actions["jobs"]["release"]["steps"][1];
    let script = step["run"].as_str().expect("a script");
    assert!(script.contains("./release.sh shop checkout \"app=") && script.contains("$SUMMARY"));
    for file in ["SUMMARY", "JUNIT", "TIMEOUT"] {
        assert!(step["env"][file].is_string(), "{file}");
    }
    let gitlab = yaml("gitlab-ci.yml");
    let line = gitlab["release"]["script"][0].as_str().expect("a line");
    assert!(line.starts_with("./release.sh shop checkout \"app="), "{line}");
    assert_eq!(
        gitlab["release"]["artifacts"]["reports"]["junit"],
        gitlab["release"]["variables"]["JUNIT"]
    );
}

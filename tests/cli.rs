//! The binary as people run it: the demo, and simulations of the examples and of wrong manifests.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

#[path = "support/plugin.rs"]
mod plugin;

/// The folders of examples that are tested here.
const TESTED: [&str; 9] = [
    "blue-green",
    "brownbear-web",
    "canary",
    "canary-lite",
    "demo",
    "pake-backend",
    "planner-mcp-server",
    "progressive-framework",
    "vivesphere",
];

const ERRORS: &[&str] = &["--canary-errors", "5%"];
const MANY_ERRORS: &[&str] = &["--canary-errors", "33%"];
const SLOW: &[&str] = &["--canary-latency", "x20"];
const STUCK: &[&str] = &["--canary-latency", "x1000"];
const NEVER_READY: &[&str] = &["--never-ready"];

/// What an example measures, and the simulation does not have: it is on trial, and decides nothing.
const UNMEASURED: &str = "metric cpu: query: the simulation has no samples";

fn sluice(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().expect("sluice")
}

fn simulate(arguments: &[&str]) -> (i32, String, String) {
    let output = sluice(&[&["simulate"], arguments].concat());
    (code(&output), text(&output.stdout), text(&output.stderr))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The files of an example, one of them edited, in a folder of their own.
fn edited(name: &str, example: &str, file: &str, from: &str, to: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    for entry in fs::read_dir(root).expect("an example") {
        let path = entry.expect("a file").path();
        let mut text = fs::read_to_string(&path).expect("a manifest");
        let own = path.file_name().expect("a name");
        if own == file {
            assert!(text.contains(from), "{example}/{file} has no {from}");
            text = text.replacen(from, to, 1);
        }
        fs::write(folder.join(own), text).expect("a copy");
    }
    folder
}

fn refused(name: &str, file: &str, from: &str, to: &str, sentence: &str) {
    let folder = edited(name, "examples/canary", file, from, to);
    let (code, _, told) = simulate(&[&folder.display().to_string()]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(sentence), "{told}");
}

#[test]
fn the_demo_promotes_the_good_and_rolls_back_the_bad() {
    let output = sluice(&["demo", "--fast"]);
    let shown = text(&output.stdout);
    assert_eq!(code(&output), 0, "{shown}{}", text(&output.stderr));
    assert!(shown.contains("v2.1.0 was promoted after"), "{shown}");
    assert!(shown.contains("v2.2.0 was found and rolled back after"), "{shown}");
    assert!(shown.contains("and 0 were lost without an answer"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no escape codes without a terminal: {shown}");
}

#[test]
fn every_example_is_tested() {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    let names = folders.expect("examples").map(|folder| folder.expect("a folder").file_name());
    // What runs in pipelines is tested in tests/pipelines.rs and tests/e2e/pipelines.rs.
    let mut names: Vec<_> = names.filter(|name| name != "pipelines").collect();
    names.sort();
    assert_eq!(names, TESTED);
}

/// A good version gets through without a lost request; each of the bad ones goes back.
fn judged(example: &[&str], bad: &[&[&str]]) {
    let (code, told, errors) = simulate(example);
    assert_eq!(code, 0, "{example:?}: {told}{errors}");
    assert!(told.contains("Verdict:   promoted after"), "{example:?}: {told}");
    assert!(!told.contains("Warning") || told.contains(UNMEASURED), "{example:?}: {told}");
    assert!(told.contains(" 0 lost without an answer"), "{example:?}: {told}");
    for bad in bad {
        let (code, told, errors) = simulate(&[example, *bad].concat());
        assert_eq!(code, 4, "{example:?} {bad:?}: {told}{errors}");
        assert!(told.contains("Verdict:   rolled back after"), "{example:?}: {told}");
    }
}

#[test]
fn the_first_examples_tell_good_from_bad() {
    judged(&["examples/demo"], &[ERRORS]);
    judged(&["examples/canary"], &[ERRORS]);
    judged(&["examples/canary-lite"], &[NEVER_READY]);
    judged(&["examples/blue-green"], &[NEVER_READY]);
}

#[test]
fn the_planner_tells_good_from_bad() {
    judged(&["examples/planner-mcp-server"], &[ERRORS, NEVER_READY]);
}

#[test]
fn brownbear_web_tells_good_from_bad_in_three_ways() {
    judged(&["examples/brownbear-web/canary"], &[ERRORS, SLOW]);
    judged(&["examples/brownbear-web/blue-green"], &[ERRORS, SLOW]);
    judged(&["examples/brownbear-web/rolling"], &[NEVER_READY]);
}

#[test]
fn pake_tells_good_from_bad_in_each_environment() {
    judged(&["examples/pake-backend/overlays/development"], &[NEVER_READY]);
    judged(&["examples/pake-backend/overlays/staging"], &[MANY_ERRORS]);
    judged(&["examples/pake-backend/overlays/production"], &[MANY_ERRORS, SLOW]);
}

#[test]
fn the_progressive_framework_tells_good_from_bad() {
    let example = "examples/progressive-framework";
    judged(&[example, "--rollout", "npa"], &[MANY_ERRORS, STUCK]);
    judged(&[example, "--rollout", "progressive-framework-v5"], &[NEVER_READY]);
}

#[test]
fn vivesphere_tells_good_from_bad() {
    judged(&["examples/vivesphere/overlays/development"], &[]);
    judged(&["examples/vivesphere/overlays/production"], &[NEVER_READY]);
}

/// It has no series of good answers, which must not look like silence.
#[test]
fn a_version_with_nothing_but_errors_is_found_as_well() {
    for example in ["examples/demo", "examples/canary"] {
        let (code, told, errors) = simulate(&[example, "--canary-errors", "100%"]);
        assert_eq!(code, 4, "{example}: {told}{errors}");
    }
}

/// The steps of the example with a template for all namespaces in the place of its own.
#[test]
fn an_example_can_use_a_shipped_template() {
    let own = "        templates: [{templateName: success-rate}]\n        args:\n          \
               - name: service\n            value: checkout\n          - name: namespace\n            \
               valueFrom: {fieldRef: {fieldPath: metadata.namespace}}\n          - name: revision\n            \
               valueFrom: {podTemplateHashValue: Latest}\n";
    let shipped = "        templates: [{templateName: success-rate, clusterScope: true}]\n";
    let folder = edited("shipped", "examples/canary", "rollout.yaml", own, shipped);
    let folder = folder.display().to_string();
    for (bad, exit) in [("0%", 0), ("5%", 4), ("100%", 4)] {
        let flags =
            ["--canary-errors", bad, "--requests", "5000/min", &folder, "analysis-templates"];
        let (code, told, errors) = simulate(&flags);
        assert_eq!(code, exit, "{bad}: {told}{errors}");
    }
}

#[test]
fn json_has_the_verdict_and_the_timeline() {
    let (code, told, _) =
        simulate(&["examples/canary", "--canary-errors", "5%", "--output", "json"]);
    assert_eq!(code, 4);
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(report["verdict"], "rolledBack");
    assert_eq!(report["by"], "sluice");
    assert!(report["reason"].as_str().is_some_and(|why| why.contains("success-rate")), "{report}");
    assert!(report["requests"]["becauseOfCanary"].as_u64().is_some_and(|lost| lost > 0));
    assert_eq!(report["requests"]["lost"], 0);
    let timeline = report["timeline"].as_array().expect("a timeline");
    assert_eq!(timeline[0]["seconds"], 0.0);
    assert!(timeline[0]["text"].as_str().is_some_and(|text| text.contains("nginx:1.27.0-new")));
}

#[test]
fn the_same_seed_gives_the_same_story() {
    let run = |seed| simulate(&["examples/demo", "--errors", "1%", "--seed", seed]);
    let third = run("3");
    assert_eq!(third, run("3"));
    assert_ne!(third, run("4"));
}

#[test]
fn a_pause_that_nobody_promotes_is_an_outcome() {
    let pause = "- pause: {timeout: 1h, onTimeout: abort}";
    let folder = edited("nobody", "examples/canary", "rollout.yaml", pause, "- pause: {}");
    let folder = folder.display().to_string();
    let (code, told, _) = simulate(&[&folder, "--promote-after", "never"]);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("Verdict:   waiting for a person after"), "{told}");
    let (code, told, _) = simulate(&[&folder, "--promote-after", "1m"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("command promote by a person"), "{told}");
}

#[test]
fn the_limit_is_an_outcome() {
    let (code, told, _) = simulate(&["examples/canary", "--limit", "3m"]);
    assert_eq!(code, 6, "{told}");
}

#[test]
fn manifests_come_from_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(["simulate", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sluice");
    let lite = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/canary-lite/web.yaml");
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(&fs::read(lite).expect("an example")).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(code(&output), 0);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["verdict"], "promoted");
}

#[test]
fn wrong_manifests_are_refused_with_what_is_wrong() {
    refused(
        "field",
        "rollout.yaml",
        "setWeight: 25",
        "setWieght: 25",
        "rollout.yaml, document 1: Rollout: spec.strategy.canary.steps[5].setWieght: there is no such field; did you mean `setWeight`?",
    );
    refused(
        "kind",
        "network.yaml",
        "kind: Service\n",
        "kind: Servce\n",
        "kind `Servce`, allowed are",
    );
    refused(
        "service",
        "network.yaml",
        "name: checkout-canary\n",
        "name: checkout-test\n",
        "spec.strategy.canary.canaryService: there is no Service checkout-canary in namespace default; there is checkout-stable, checkout-test",
    );
    refused(
        "template",
        "analysis-template.yaml",
        "name: success-rate\n",
        "name: rate\n",
        "spec.strategy.canary.analysis.templates[0]: there is no AnalysisTemplate \"success-rate\"",
    );
    refused(
        "promql",
        "analysis-template.yaml",
        "sum(rate(",
        "sum(rate((",
        "AnalysisTemplate success-rate, metric success-rate: query: parse error",
    );
    refused(
        "function",
        "analysis-template.yaml",
        "sum(rate(",
        "sum(deriv(",
        "query: the simulation does not have the function deriv()",
    );
    refused("yaml", "rollout.yaml", "spec:\n", "spec: [\n", "rollout.yaml: ");
}

#[test]
fn a_metric_without_samples_is_warned_of() {
    let all = "/\n            sum(rate(";
    let (from, to) = (format!("{all}istio_requests_total"), format!("{all}orders_total"));
    let folder = edited("metric", "examples/canary", "analysis-template.yaml", &from, &to);
    let (code, told, _) = simulate(&[&folder.display().to_string(), "--limit", "10m"]);
    assert_eq!(code, 6, "{told}");
    assert!(told.contains("Warning: AnalysisTemplate success-rate, metric success-rate: query: the simulation has no samples of orders_total"), "{told}");
    assert!(told.contains("there is istio_request_bytes") || told.contains("istio_requests_total"));
}

#[test]
fn wrong_usage_has_its_exit_code() {
    for arguments in [&["--canary-errors", "5"][..], &["--image", "nginx:1.27.0"]] {
        let (code, _, told) = simulate(&[&["examples/canary"], arguments].concat());
        assert_eq!(code, 2, "{told}");
    }
    let (code, _, told) = simulate(&["examples/nothing"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("examples/nothing: "), "{told}");
}

#[test]
fn what_is_converted_from_others_can_be_released() {
    for (name, bad) in [
        ("argo-canary", false),
        ("argo-subsets", false),
        ("argo-blue-green", false),
        ("flagger-canary", true),
        ("deployment", false),
    ] {
        let folder = converted(name);
        let (code, told, errors) = simulate(&[&folder]);
        assert_eq!(code, 0, "{name}: {told}{errors}");
        assert!(told.contains(" 0 lost without an answer"), "{name}: {told}");
        if bad {
            let (code, told, errors) = simulate(&[&[folder.as_str()], MANY_ERRORS].concat());
            assert_eq!(code, 4, "{name}: {told}{errors}");
        }
    }
    // Nobody has the header on the simulated cluster: no data is no success, and a person decides.
    let folder = converted("flagger-ab");
    let (code, told, errors) = simulate(&[&folder, "--limit", "2h"]);
    assert_eq!(code, 6, "{told}{errors}");
    assert!(told.contains("no data") && told.contains(" 0 lost without an answer"), "{told}");
}

/// The folder with what an example of others becomes.
fn converted(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("converted").join(name);
    let folder = folder.display().to_string();
    let input = format!("tests/migration/{name}.yaml");
    let (code, _, told) = plugin::run(".", &["convert", &input, "--output-dir", &folder], "");
    assert_eq!(code, 0, "{name}: {told}");
    folder
}

#[test]
fn a_simulation_says_what_can_be_found() {
    let written = "compare:\n                  requests: http_requests_total{app=\"shop\"}\n                  label: version";
    let folder = edited("outlook", "tests/linting/good", "rollout.yaml", written, "compare: {}");
    let good = folder.display().to_string();
    let (code, told, errors) = simulate(&[&good, "--requests", "500/min", "--errors", "1%"]);
    assert_eq!(code, 0, "{told}{errors}");
    let outlook = "\nOutlook: metric errors: a doubling cannot be found in 40 min at this traffic; 3 times as many can, after 17 min\n";
    assert!(told.contains(outlook), "{told}");
    let (_, told, _) = simulate(&["examples/canary"]);
    assert!(!told.contains("Outlook"), "{told}");
}

//! `kubectl sluice lint` as people run it, on the files of `tests/linting` and on the examples.

use std::{fs, path::Path};

use serde_json::Value;

#[path = "support/answers.rs"]
mod answers;
#[path = "support/past.rs"]
mod past;
#[path = "support/plugin.rs"]
mod plugin;

/// Exit code, output, and what was told.
fn lint(arguments: &[&str], input: &str) -> (i32, String, String) {
    plugin::run(".", &[&["lint"], arguments].concat(), input)
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let (code, text, errors) = lint(&["tests/linting/wrong"], "");
    assert_eq!((code, errors.as_str()), (1, ""), "{text}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/linting/wrong.txt");
    if std::env::var_os("SLUICE_GOLDEN").is_some() {
        fs::write(&golden, &text).expect("the golden file");
    }
    let expected = fs::read_to_string(&golden).expect("the golden file");
    assert_eq!(text, expected, "SLUICE_GOLDEN=1 writes it");
}

#[test]
fn the_documents_show_findings_as_they_are() {
    let page = fs::read_to_string("docs/operations.md").expect("a page");
    let findings = fs::read_to_string("tests/linting/wrong.txt").expect("findings");
    let shown: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("    tests/linting/")).collect();
    assert!(!shown.is_empty());
    for line in shown {
        assert!(
            findings.contains(&format!("tests/linting/{line}\n")),
            "not found any more: {line}"
        );
    }
}

#[test]
fn every_example_is_clean() {
    for example in [
        "tests/linting/good",
        "examples/demo",
        "examples/canary",
        "examples/canary-lite",
        "examples/blue-green",
        "examples/planner-mcp-server",
        "examples/progressive-framework",
        "examples/pake-backend/overlays/production",
        "examples/brownbear-web/canary",
        "analysis-templates",
    ] {
        let (code, text, errors) = lint(&[example], "");
        assert_eq!((code, errors.as_str()), (0, ""), "{example}: {text}");
        assert!(text.starts_with("nothing wrong in "), "{example}: {text}");
    }
}

#[test]
fn what_is_elsewhere_is_not_checked() {
    let rollout = fs::read_to_string("tests/linting/good/rollout.yaml").expect("a file");
    let (code, text, _) = lint(&["-"], &rollout);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("-:18: warning: Rollout shop: spec.strategy.canary.stableService: Service shop-stable is in none of these files"),
        "{text}"
    );
}

#[test]
fn what_the_controller_would_not_release_is_an_error() {
    let files = ["tests/linting/good/network.yaml", "-"];
    let rollout = fs::read_to_string("tests/linting/good/rollout.yaml").expect("a file");
    let alone = rollout.split("      analysis:").next().expect("a part");
    let (code, text, _) = lint(&files, alone);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("-:25: error: Rollout shop: spec.strategy.canary.steps[1].hold: found none of the comparisons that it waits for"),
        "{text}"
    );
}

#[test]
fn programs_read_it_as_well() {
    let (code, text, _) = lint(&["tests/linting/wrong", "-o", "json"], "");
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    assert_eq!(json["errors"].as_u64(), Some(findings.len() as u64), "{text}");
    let query = findings.iter().find(|one| one["rule"] == "query").expect("a query");
    assert_eq!(query["field"], "spec.metrics[0].provider.prometheus.query");
    let (_, text, _) = lint(&["tests/linting/wrong", "-o", "sarif"], "");
    let sarif: Value = serde_json::from_str(&text).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), findings.len());
    let (_, text, _) = lint(&["tests/linting/wrong", "-o", "github"], "");
    let annotations =
        text.lines().filter(|line| line.starts_with("::error file=tests/linting/wrong/"));
    assert_eq!(annotations.count(), findings.len(), "{text}");
}

#[test]
fn a_file_that_is_no_manifest_is_named() {
    for (input, sentence) in [
        ("a: [1", "-:1: error: "),
        (
            "kind: Rollout\nmetadata: {}\n",
            "found apiVersion `` and kind `Rollout`, allowed are sluice.dev/v1alpha1 Rollout",
        ),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n",
            "-:1: error: found apiVersion `argoproj.io/v1alpha1` and kind `Rollout`",
        ),
    ] {
        let (code, text, _) = lint(&["-"], input);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(sentence), "{text}");
    }
    let (code, _, errors) = lint(&["lost.yaml"], "");
    assert_eq!(code, 1);
    assert!(errors.contains("lost.yaml: No such file"), "{errors}");
}

#[test]
fn the_present_traffic_says_what_can_be_found() {
    // Its quiet hours end now, so that their last half hour is the present.
    let begins = jiff::Timestamp::from_second(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0)),
    );
    let begins = begins.expect("a time") - jiff::SignedDuration::from_secs(5 * 3600);
    let url = answers::serve(past::past(begins));
    let line = format!("lint tests/linting/good --cluster --prometheus-url {url}");
    let (code, text, errors) = plugin::run(".", &line.split(' ').collect::<Vec<_>>(), "");
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    assert!(text.contains("rollout.yaml:28: "), "{text}");
    assert!(
        text.contains("spec.strategy.canary.analysis: metric errors: at 597 requests"),
        "{text}"
    );
    assert!(
        text.contains(
            "a doubling cannot be found in 40 min at this traffic; 3 times as many can, after "
        ),
        "{text}"
    );
    let dead = ["tests/linting/good", "--cluster", "--prometheus-url", "http://127.0.0.1:1"];
    let (code, text, _) = lint(&dead, "");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("metric errors: cannot reach prometheus at 127.0.0.1:1"), "{text}");
    let (code, text, _) = lint(&["tests/linting/good", "--cluster"], "");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("address: found none"), "{text}");
}

//! `kubectl sluice backtest` as people run it, on a Prometheus in this process whose past is made up.

use std::{fs, path::Path};

use serde_json::Value;

#[path = "support/answers.rs"]
mod answers;
#[path = "support/past.rs"]
mod past;
#[path = "support/plugin.rs"]
mod plugin;

/// When the past of the report begins.
const BEGINS: &str = "2026-03-02T00:00:00Z";
const COUNTER: &str = "http_requests_total{app=\"shop\"}";
const QUIET: &str = "2026-03-02T00:30:00Z..2026-03-02T05:00:00Z";
const BAD: &str = "2026-03-02T05:00:00Z..2026-03-02T05:20:00Z";

/// Exit code, output, and what was told.
fn backtest(arguments: &[&str]) -> (i32, String, String) {
    plugin::run(".", &[&["backtest"], arguments].concat(), "")
}

#[test]
fn false_alarms_and_a_bad_release_are_told() {
    let url = answers::serve(past::past(BEGINS.parse().expect("a time")));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (page, plot) = (folder.join("backtest.html"), folder.join("backtest.svg"));
    let arguments = |report: &Path, rest: &[&str]| {
        let report = report.display().to_string();
        let all = ["--requests", COUNTER, "--prometheus-url", &url, "--quiet", QUIET];
        let all =
            [&all[..], &["--bad", BAD, "--label", "version", "--report", &report], rest].concat();
        backtest(&all)
    };
    let (code, text, errors) = arguments(&page, &[]);
    assert_eq!((code, errors.as_str()), (0, ""), "{text}");
    let text = format!(
        "$ kubectl sluice backtest --requests '{COUNTER}' --label version \\\n    \
         --prometheus-url http://localhost:9090 \\\n    --quiet {QUIET} \\\n    --bad {BAD}\n{text}"
    );
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backtesting/report.txt");
    if std::env::var_os("SLUICE_GOLDEN").is_some() {
        fs::write(&golden, &text).expect("the golden file");
    }
    assert_eq!(
        text,
        fs::read_to_string(&golden).expect("the golden file"),
        "SLUICE_GOLDEN=1 writes it"
    );
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg "), "{page}");
    assert!(page.contains("<td>Sluice, compare</td><td>0</td>"), "{page}");

    let (code, json, errors) = arguments(&plot, &["-o", "json"]);
    assert_eq!(code, 0, "{errors}");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (json["quiet"]["releases"].as_u64(), json["scrapeSeconds"].as_f64()),
        (Some(9), Some(15.0))
    );
    assert_eq!(json["quiet"]["judges"][0]["rolledBack"], 0, "{json}");
    let caught = |judge: usize| json["bad"][0]["judges"][judge]["afterSeconds"].as_f64();
    let ours = caught(0).expect("a canary with 10 % errors is found");
    assert!(ours <= 240.0, "{json}");
    assert!(caught(3).is_none_or(|flagger| ours < flagger), "{json}");
    let plot = fs::read_to_string(plot).expect("a plot");
    assert!(plot.starts_with("<svg ") && plot.contains("Flagger"), "{plot}");
    assert_eq!(plot.matches("<polyline").count(), 3, "quiet, canary, stable");
}

#[test]
fn the_documents_show_the_report_as_it_is() {
    let page = fs::read_to_string("docs/judging.md").expect("a page");
    let report = fs::read_to_string("tests/backtesting/report.txt").expect("a report");
    let report = report.split_once('\n').map_or("", |(_, rest)| rest);
    for line in report.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        assert!(
            page.lines().any(|shown| shown.trim_start() == line),
            "docs/judging.md lacks: {line}"
        );
    }
}

#[test]
fn steps_and_new_pods_will_do() {
    let url = answers::serve(past::past(BEGINS.parse().expect("a time")));
    let all = ["--requests", COUNTER, "--prometheus-url", &url, "--quiet", "none", "--bad", BAD];
    let (code, text, errors) = backtest(&[&all[..], &["--step", "30s"]].concat());
    assert_eq!(code, 0, "{errors}");
    assert!(text.contains("scraped every 30 s"), "{text}");
    assert!(text.contains("canary 1 new pod, stable 6 older pods"), "{text}");
    assert!(!text.contains("Quiet"), "{text}");
}

#[test]
fn a_template_says_what_to_replay() {
    let url = answers::serve(past::past(BEGINS.parse().expect("a time")));
    let template = "tests/backtesting/template.yaml";
    let all = [template, "--quiet", QUIET, "--prometheus-url", &url, "--arg", "app=shop"];
    let (code, text, errors) = backtest(&all);
    assert_eq!(code, 0, "{errors}");
    assert!(text.starts_with("AnalysisTemplate shop-errors, metric errors\n"), "{text}");
    assert!(text.contains("9 releases of 30 min pretended"), "{text}");
    let (code, _, errors) = backtest(&all[..5]);
    assert_eq!(code, 1);
    assert!(errors.contains("no value for \"app\""), "{errors}");
}

#[test]
fn what_is_wrong_is_named() {
    let url = answers::serve(past::past(BEGINS.parse().expect("a time")));
    let with = |rest: &[&'static str]| -> (i32, String) {
        let all = [&["--requests", COUNTER, "--prometheus-url", &url], rest].concat();
        let (code, _, errors) = backtest(&all);
        (code, errors)
    };
    for (rest, code, sentence) in [
        (&["--quiet", "2026-01-01..2026-01-02"][..], 1, "no samples of http_requests_total"),
        (
            &["--quiet", "10m..now"],
            2,
            "--quiet: found 10m, allowed is at least one release (30 min)",
        ),
        (&["--quiet", QUIET, "--max-points", "100"], 1, "found more than 100 samples"),
        (
            &["--quiet", "none", "--bad", BAD, "--canary", "v3", "--label", "version"],
            1,
            "--canary: found `v3`, allowed are the values of the label version in that time: v1, v2",
        ),
        (
            &["--quiet", "none", "--bad", "2026-03-02T02:00:00Z..2026-03-02T02:30:00Z"],
            1,
            "0 new pods and 6 that were there before; allowed is a time with a canary and stable",
        ),
        (
            &["--report", "report.png"],
            2,
            "--report: found report.png, allowed is a file *.html or *.svg",
        ),
        (&["--step", "1h"], 2, "--step: found 1h, allowed is a time from 1s to 5m"),
        (&["--weight", "90%"], 2, "--weight: found 90%, allowed is a share from 0.1% to 50%"),
        (&["--false-alarms", "50%"], 2, "falseAlarms: found 50%; allowed is a share of releases"),
        (
            &["--errors", "rate(a[5m])"],
            2,
            "--errors: found a function or parentheses, allowed is a selector",
        ),
    ] {
        let (found, errors) = with(rest);
        assert_eq!(found, code, "{rest:?}: {errors}");
        assert!(errors.contains(sentence), "{rest:?}: {errors}");
    }
    let (code, _, errors) =
        backtest(&["--requests", "a", "--prometheus-url", "http://127.0.0.1:1"]);
    assert_eq!(code, 1);
    assert!(
        errors.contains("cannot reach prometheus at 127.0.0.1:1: connection refused"),
        "{errors}"
    );
    let (code, _, errors) = backtest(&["--requests", "a"]);
    assert_eq!(code, 2);
    assert!(errors.contains("allowed is --prometheus-url"), "{errors}");
}

//! A backtest over a real Prometheus says what it says over the one in this process.

use std::process::Command;

use sluice::sim::prometheus::openmetrics;

use crate::{
    scenario::on_runtime,
    support::{folder, prometheus::Prometheus},
};

#[path = "../support/past.rs"]
mod past;

/// When the past of the report begins.
const BEGINS: &str = "2026-03-02T00:00:00Z";

#[test]
fn a_real_past_is_replayed_like_a_simulated_one() {
    on_runtime(async {
        let samples = openmetrics(&past::past(BEGINS.parse().expect("a time")));
        let real = Prometheus::over(&folder("e2e-backtest"), &samples).await;
        let backtest = |rest: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-sluice"));
            command.args(["backtest", "--requests", "http_requests_total{app=\"shop\"}"]);
            command.args(["--prometheus-url", &real.url, "--label", "version"]);
            command.args(["--quiet", "2026-03-02T00:30:00Z..2026-03-02T05:00:00Z"]);
            command.args(["--bad", "2026-03-02T05:00:00Z..2026-03-02T05:20:00Z"]);
            let output = command.env("KUBECONFIG", "/nowhere").args(rest).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), told.as_str()), (Some(0), ""));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let (_, report) = include_str!("../backtesting/report.txt")
            .split_once("\nerrors\n")
            .expect("a command and its report");
        assert_eq!(backtest(&[]), format!("errors\n{report}"));
        let steps = backtest(&["--step", "15s"]);
        assert!(
            steps.contains("Sluice, compare                                    0   0.00 %"),
            "{steps}"
        );
    });
}

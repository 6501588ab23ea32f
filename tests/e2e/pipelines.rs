//! The examples' pipelines, as a runner of a pipeline runs them: the verdict is the exit code.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::{
    scenario::{Scenario, scenario_in},
    support::{folder, kubectl::Answer, package},
};

/// A copy of an example, which its pipeline may edit.
async fn copy(example: &str) -> PathBuf {
    let to = folder(&format!("pipeline-{example}"));
    let from = package().join("examples").join(example).join(".");
    let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().await;
    assert!(copied.expect("cp").success());
    to
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).expect("a file of the example");
    assert!(text.contains(from), "{}: no {from}", file.display());
    std::fs::write(file, text.replace(from, to)).expect("the copy is ours");
}

/// Runs a script with our binaries, kubectl and the user's cluster.
async fn run(scenario: &Scenario, script: &Path, arguments: &[&str], dry: bool) -> Answer {
    let binaries = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.arg(script).args(arguments).env("KUBECONFIG", &scenario.user.kubeconfig);
    command.env("PATH", format!("{}:{path}", binaries.display()));
    command.env("DRY_RUN", dry.to_string());
    command.kill_on_drop(true).output().await.expect("the script runs").into()
}

#[test]
fn vivespheres_pipeline_ends_with_the_verdict() {
    scenario_in("pipeline", "vivesphere", async |scenario| {
        let folder = copy("vivesphere").await;
        edit(&folder.join("base/sluice.yaml"), "progressDeadline: 2m", "progressDeadline: 5s");
        let script = folder.join("pipeline.sh");
        let overlay = folder.join("overlays/production");
        let overlay = overlay.display().to_string();
        for (tag, code) in [("1.1.0", 0), ("1.2.0", 0), ("1.3.0-never-ready", 4)] {
            let answer = run(scenario, &script, &[&overlay, tag], false).await;
            assert_eq!(answer.code, code, "{tag}: {answer:?}");
            let line = "get rollout authentication -o jsonpath={.status.history[0].images[0]}";
            let image = scenario.user.kubectl(line, "").await.expect("the Rollout");
            assert_eq!(image, format!("vivesphere/authentication:{tag}"), "{answer:?}");
        }
        let answer = run(scenario, &script, &["nowhere", "1"], false).await;
        assert_ne!(answer.code, 0, "{answer:?}");
    });
}

#[test]
fn pakes_dry_run_changes_nothing_and_its_deployment_is_judged() {
    scenario_in("pake-pipeline", "pake-system", async |scenario| {
        let folder = copy("pake-backend").await;
        let script = folder.join("deploy.sh");
        let answer = run(scenario, &script, &["staging"], true).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.stdout.contains("rollout.sluice.dev/pake-backend created (server dry run)"));
        assert!(answer.stdout.contains("Verdict:   promoted after"), "{answer:?}");
        assert!(answer.stdout.contains("Verdict:   rolled back after"), "{answer:?}");
        let left = scenario.user.kubectl("get rollouts,deployments -o name", "").await;
        assert_eq!(left.expect("get"), "");
        let answer = run(scenario, &script, &["development"], false).await;
        assert_eq!(answer.code, 0, "{answer:?}");
        let answer = run(scenario, &script, &["qa"], false).await;
        assert_eq!(answer.code, 2, "{answer:?}");
    });
}

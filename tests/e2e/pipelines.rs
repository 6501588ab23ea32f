//! The examples' pipelines, as a runner of a pipeline runs them: the verdict is the exit code.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    app::App,
    scenario::{Scenario, scenario, scenario_in},
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

/// The shell of a job of `examples/pipelines`, as its runner runs it: `-e`, in a checkout that has
/// `release.sh`, with these variables.
async fn job(scenario: &Scenario, script: &str, variables: &[(&str, &str)]) -> (Answer, PathBuf) {
    let folder = copy("pipelines").await;
    let binaries = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-e", "-c", script]).current_dir(&folder);
    command.env("KUBECONFIG", &scenario.user.kubeconfig);
    command.env("PATH", format!("{}:{path}", binaries.display()));
    command.envs(variables.iter().copied());
    (command.kill_on_drop(true).output().await.expect("the script runs").into(), folder)
}

fn example(file: &str) -> Value {
    let path = package().join("examples/pipelines").join(file);
    let text = std::fs::read_to_string(path).expect("an example");
    serde_yaml::from_str(&text).expect("YAML")
}

#[test]
fn a_pipeline_shows_the_verdict_where_its_users_look() {
    scenario_in("ci", "shop", async |scenario| {
        let app = App::new("checkout", "[{setWeight: 20}]").set("/progressDeadline", "5s");
        scenario.deploy(&app).await;
        let actions = example("github-actions.yaml");
        let github = actions["jobs"]["release"]["steps"][1]["run"].as_str().expect("a script");
        let gitlab = example("gitlab-ci.yml");
        let gitlab = gitlab["release"]["script"][0].as_str().expect("a line").to_owned();
        for (script, tag, code, verdict) in [
            (github, "v2", 0, "✅ shop/checkout: released"),
            (&gitlab, "v3-never-ready", 4, "❌ shop/checkout: rolled back"),
        ] {
            let variables = [
                ("GITHUB_REF_NAME", tag),
                ("CI_COMMIT_TAG", tag),
                ("GITHUB_STEP_SUMMARY", "page.md"),
                ("TIMEOUT", "2m"),
                ("SUMMARY", "summary.md"),
                ("JUNIT", "junit.xml"),
            ];
            let (answer, folder) = job(scenario, script, &variables).await;
            assert_eq!(answer.code, code, "{tag}: {answer:?}");
            let read = |file: &str| std::fs::read_to_string(folder.join(file));
            let page = if script == github { "page.md" } else { "summary.md" };
            let summary = read(page).expect("a summary");
            assert!(summary.contains(verdict), "{summary}");
            assert!(summary.contains(&format!("registry.example.com/checkout:{tag}")), "{summary}");
            let report = read("junit.xml").expect("a report");
            let failed = format!("failures=\"{}\"", u8::from(code != 0));
            assert!(report.contains(&failed), "{report}");
        }
    });
}

/// What a script of Argo CD's returns for an object.
async fn lua(script: &str, object: &Value) -> Value {
    let file = folder("lua").join("script.lua");
    std::fs::write(&file, script).expect("the folder is ours");
    let mut command = Command::new(package().join("target/lua/lua"));
    command.arg(&file).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("tests/lua/build.sh has built it");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(object.to_string().as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{script}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn argo_cd_shows_a_releases_health_and_its_buttons_work() {
    scenario("argo-cd", async |scenario| {
        let config = example("argo-cd/argocd-cm.yaml");
        let custom = |what: &str| {
            let key = format!("resource.customizations.{what}.sluice.dev_Rollout");
            config["data"][key].as_str().expect("a customization").to_owned()
        };
        let actions: Value = serde_yaml::from_str(&custom("actions")).expect("YAML");
        let read = async || -> Value {
            let text = scenario.user.kubectl("get rollout web -o json", "").await.expect("get");
            serde_json::from_str(&text).expect("JSON")
        };
        let health = async || lua(&custom("health"), &read().await).await["status"].clone();
        let enabled = async || -> Vec<String> {
            let discovery = actions["discovery.lua"].as_str().expect("a script");
            let found = lua(discovery, &read().await).await;
            let all = found.as_object().expect("actions").clone();
            let on = all.into_iter().filter(|(_, action)| action["disabled"] == false);
            on.map(|(name, _)| name).collect()
        };
        // As Argo CD does it: the difference that the script made is written.
        let press = async |button: &str| {
            let definitions = actions["definitions"].as_array().expect("definitions");
            let found = definitions.iter().find(|action| action["name"] == button);
            let script = found.expect("the button")["action.lua"].as_str().expect("a script");
            let annotations = &lua(script, &read().await).await["metadata"]["annotations"];
            let command = &annotations["sluice.dev/command"];
            let patch = json!({"metadata": {"annotations": {"sluice.dev/command": command}}});
            let line = "patch rollout web --type merge --patch-file /dev/stdin";
            scenario.user.kubectl(line, &patch.to_string()).await.expect("patch");
        };
        let app = App::new("web", "[{setWeight: 20}, {pause: {}}]");
        scenario.deploy(&app).await;
        assert_eq!(health().await, "Healthy");
        assert_eq!(enabled().await, ["restart"]);

        scenario.release(&app, "app:v2").await;
        scenario.until_status("web", "the pause", |status| status["phase"] == "Paused").await;
        assert_eq!(health().await, "Suspended");
        assert_eq!(enabled().await, ["abort", "pause", "promote", "promote-full"]);
        press("abort").await;
        scenario.until_status("web", "the abort", |status| status["abort"].is_object()).await;
        assert_eq!(health().await, "Degraded");
        assert_eq!(enabled().await, ["promote-full", "retry"]);
        press("retry").await;
        let pause = |status: &Value| status["phase"] == "Paused" && status["attempt"] == json!(2);
        scenario.until_status("web", "the pause of attempt 2", pause).await;
        press("promote").await;
        scenario.until_released("web").await;
        assert_eq!(health().await, "Healthy");
    });
}

//! The plugin through the real kubectl: what it shows of a release, and what it would do.

use std::{os::unix::fs::symlink, path::Path};

use serde_json::Value;
use sluice::cli::complete;
use tokio::process::Command;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::{folder, kubectl::Answer},
};

/// `kubectl sluice …`, with the plugin on the PATH, as people type it.
async fn kubectl(scenario: &Scenario, line: &str) -> Answer {
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-sluice")).parent().expect("a folder");
    let words = ["sluice"].into_iter().chain(line.split(' '));
    let words = words.chain(["--namespace", &scenario.namespace]);
    kubectl_with(scenario, plugin, words).await
}

/// kubectl with a folder more on the PATH.
async fn kubectl_with<'a>(
    scenario: &Scenario,
    folder: &Path,
    words: impl Iterator<Item = &'a str>,
) -> Answer {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("kubectl");
    command.args(words.collect::<Vec<_>>());
    command.env("PATH", format!("{}:{path}", folder.display()));
    command.env("KUBECONFIG", &scenario.user.kubeconfig);
    command.kill_on_drop(true).output().await.expect("kubectl").into()
}

#[test]
fn the_tab_key_offers_verbs_and_the_rollouts_that_are_there() {
    scenario("completion", async |scenario| {
        scenario.deploy(&App::new("web", "[{setWeight: 20}]")).await;
        let folder = folder("completion");
        for name in ["kubectl-sluice", complete::PROGRAM] {
            let linked = symlink(env!("CARGO_BIN_EXE_kubectl-sluice"), folder.join(name));
            linked.expect("a link in a new folder");
        }
        let offered = async |line: &str| -> Vec<String> {
            let words = ["__complete", "sluice"].into_iter().chain(line.split(' '));
            let answer = kubectl_with(scenario, &folder, words).await;
            let told = answer.expect("a completion");
            let lines = told.lines().filter(|line| !line.starts_with(':'));
            lines.filter_map(|line| line.split('\t').next().map(str::to_owned)).collect()
        };
        assert_eq!(offered("pro").await, ["promote"]);
        assert_eq!(offered("set ").await, ["image"]);
        assert_eq!(offered("promote -n completion ").await, ["web"]);
        assert_eq!(offered("adopt --namespace=completion ").await, Vec::<String>::new());
        assert!(offered("get -n comp").await.contains(&"completion".to_owned()));
        for shell in ["completion bash", "completion zsh", "completion fish"] {
            let script = scenario.user.sluice(shell).await.expect("a script");
            assert!(script.contains("skip-current-step"), "{shell}");
        }
    });
}

#[test]
fn what_a_change_would_write_is_what_it_writes() {
    scenario("plan", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}, {setWeight: 60}]");
        scenario.deploy(&app).await;
        let plan = kubectl(scenario, "plan web --image app:v2 -o json").await;
        assert_eq!(plan.code, 0, "{plan:?}");
        let plan: Value = serde_json::from_str(&plan.stdout).expect("JSON");
        let writes: Vec<String> = plan["writes"]
            .as_array()
            .expect("writes")
            .iter()
            .map(|write| write["write"].as_str().unwrap_or_default().to_owned())
            .collect();
        let weights = ["web-canary 0 -> 20 %", "web-canary 20 -> 60 %", "web-canary 60 -> 100 %"];
        for weight in weights {
            assert!(writes.iter().any(|write| write.contains(weight)), "{weight}: {writes:#?}");
        }
        let before = scenario.user.sluice("status web").await.expect("status");
        assert!(before.contains("revision 1 is stable"), "nothing was released: {before}");

        let set = kubectl(scenario, "set image web app=app:v2").await;
        assert_eq!(set.code, 0, "{set:?}");
        let status = kubectl(scenario, "status web --for=completed --timeout 2m -o json").await;
        assert_eq!(status.code, 0, "{status:?}");
        let states: Vec<Value> =
            status.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let seen = |state: &&Value| state["weights"]["canary"] == 60;
        assert!(states.iter().any(|state| seen(&state)), "{states:#?}");
        assert_eq!(states.last().expect("a state")["release"], "complete");
    });
}

#[test]
fn a_release_is_explained_afterwards() {
    scenario("explained", async |scenario| {
        let app = App::new("web", "[{setWeight: 20}, {pause: {}}]");
        scenario.deploy(&app).await;
        for (image, end) in [("app:v2", "abort web --reason basket"), ("app:v3", "promote web")] {
            let set = kubectl(scenario, &format!("set image web app={image}")).await;
            assert_eq!(set.code, 0, "{set:?}");
            let paused = kubectl(scenario, "status web --for=paused --timeout 2m").await;
            assert_eq!(paused.code, 0, "{paused:?}");
            let ended = kubectl(scenario, end).await;
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        let released = kubectl(scenario, "status web --for=healthy --timeout 2m").await;
        assert_eq!(released.code, 0, "{released:?}");
        let history = kubectl(scenario, "history web").await;
        for part in ["Aborted", "basket", "Promoted (stable)", "app:v3"] {
            assert!(history.stdout.contains(part), "{part}: {history:?}");
        }
        let explained = kubectl(scenario, "explain web --all").await;
        for part in ["aborted by", "basket", "paused at step 2/2", "promote by"] {
            assert!(explained.stdout.contains(part), "{part}: {explained:?}");
        }
        let wrong = kubectl(scenario, "status checkout").await;
        assert_eq!(wrong.code, 7, "{wrong:?}");
    });
}

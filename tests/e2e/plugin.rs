//! The plugin through the real kubectl: what it shows of a release, and what it would do.

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::{
    app::App,
    scenario::{Scenario, scenario},
    support::kubectl::Answer,
};

/// `kubectl sluice …`, with the plugin on the PATH, as people type it.
async fn kubectl(scenario: &Scenario, line: &str) -> Answer {
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-sluice")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("kubectl");
    command.arg("sluice").args(line.split(' '));
    command.args(["--namespace", &scenario.namespace]);
    command.env("PATH", format!("{}:{path}", plugin.display()));
    command.env("KUBECONFIG", &scenario.user.kubeconfig);
    command.kill_on_drop(true).output().await.expect("kubectl").into()
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

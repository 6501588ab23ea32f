//! `sluice controller` as a process of its own, with the rights that it ships with.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};

use super::{
    cluster::{CONTROLLER, Cluster},
    kubectl::User,
    reaper,
    wait::until,
};

/// The longest time that a controller may take to fill its caches on a busy machine.
const START: Duration = Duration::from_mins(1);

/// How to start a controller.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A name for its log file, and its identity in the Lease.
    pub name: String,
    /// The Rollouts that it serves, by label; empty for those without one.
    pub instance: String,
    /// Further flags.
    pub flags: Vec<String>,
    /// Whose rights it has, and where its Lease is; the shipped account if none is given.
    pub account: Option<User>,
}

/// A running controller. It ends with this process, or when dropped.
pub struct Controller {
    child: Child,
    /// Its process id.
    pub pid: u32,
    /// Where it serves probes and metrics, as `host:port`.
    pub address: String,
    /// Its log.
    pub log: PathBuf,
}

impl Controller {
    /// Starts a controller and waits until its caches are complete. It may not be the leader.
    pub async fn start(cluster: &Cluster, options: &Options) -> Self {
        let controller = Self::spawn(cluster, options).await;
        let ready = until("the controller to be ready", START, async || {
            (controller.get("readyz").await? == "ok\n").then_some(())
        });
        ready.await.unwrap_or_else(|error| panic!("{error}; see {}", controller.log.display()));
        controller
    }

    /// Starts a controller that may never become ready.
    pub async fn spawn(cluster: &Cluster, options: &Options) -> Self {
        let log = cluster.folder.join(format!("{}.log", options.name));
        // A restarted controller goes on with the same log; its address is in the new lines.
        let seen = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let account = options.account.as_ref();
        let lease_namespace = account.map_or(CONTROLLER.0, |account| &account.namespace);
        let kubeconfig = account.map(|account| &account.kubeconfig);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command
            .arg("controller")
            .args(["--listen", "127.0.0.1:0", "--lease-namespace", lease_namespace])
            .args(["--identity", &options.name, "--instance", &options.instance])
            .args(&options.flags)
            .env("KUBECONFIG", kubeconfig.unwrap_or(&cluster.controller_kubeconfig))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file.expect("the folder is ours"))
            .kill_on_drop(true);
        let child = command.spawn().expect("the controller starts");
        let pid = child.id().expect("the controller has just started");
        reaper::entrust(pid);
        let address = until("the controller's address", START, async || address(&log, seen)).await;
        Self { child, pid, address: address.unwrap(), log }
    }

    /// What it has logged.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).expect("it has a log")
    }

    /// The body of a page that the controller serves, if it answers.
    pub async fn get(&self, page: &str) -> Option<String> {
        let url = format!("http://{}/{page}", self.address);
        reqwest::get(url).await.ok()?.text().await.ok()
    }

    /// Ends it without a warning.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the controller can be ended");
        reaper::forget(self.pid);
    }

    /// Asks it to end, as Kubernetes does, and waits for the end. Returns its exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        reaper::signal(self.pid, "TERM");
        self.ended().await
    }

    /// Waits until it ends by itself. Returns its exit code; none after a signal.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await;
        reaper::forget(self.pid);
        ended.expect("the controller ends").expect("it was ours").code()
    }
}

/// The address that the log tells, after its first `from` bytes.
fn address(log: &Path, from: u64) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let from = usize::try_from(from).expect("a log fits into memory");
    let lines = text
        .get(from..)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut serving = lines.filter(|line| line["message"] == "serving probes and metrics");
    Some(serving.next()?["address"].as_str()?.to_owned())
}

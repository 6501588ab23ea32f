//! Two controllers with a Lease. One that ends is started again at once, as a Deployment does.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{process::Command, task::JoinSet, time::sleep};

use crate::support::{
    cluster::{CONTROLLER, Cluster},
    reaper,
};

/// Their names, which are also their identities in the Lease: that of a container that restarts in
/// its pod stays the same.
pub const NAMES: [&str; 2] = ["one", "two"];

/// The two, each kept running.
pub struct Replicas {
    pids: [Arc<AtomicU32>; 2],
    credentials: BTreeMap<String, &'static str>,
    over: Arc<AtomicBool>,
    keepers: JoinSet<()>,
}

impl Replicas {
    /// Starts both.
    pub async fn start(cluster: &Cluster) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut credentials = BTreeMap::new();
        let mut keepers = JoinSet::new();
        let pids = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
        for (index, name) in NAMES.into_iter().enumerate() {
            let kubeconfig = cluster.another_kubeconfig(name).await;
            credentials.insert(credential(cluster, &kubeconfig).await, name);
            let (log, pid, over) = (log(cluster, name), pids[index].clone(), over.clone());
            keepers.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    run(name, &kubeconfig, &log, &pid).await;
                }
            });
        }
        assert_eq!(credentials.len(), 2, "the tokens can be told apart");
        Self { pids, credentials, over, keepers }
    }

    /// Sends a signal to the one with this name, whatever it is doing.
    pub async fn signal(&self, name: &str, signal: &str) {
        let index = NAMES.iter().position(|known| *known == name).expect("one of the two");
        let pid = loop {
            match self.pids[index].load(Ordering::Relaxed) {
                0 => sleep(Duration::from_millis(10)).await,
                pid => break pid,
            }
        };
        // It may have ended by itself just now.
        let kill = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
        let _ = kill.await;
    }

    /// Ends both. Returns whose the credentials in the audit log are.
    pub async fn stop(mut self) -> BTreeMap<String, &'static str> {
        self.over.store(true, Ordering::Relaxed);
        for name in NAMES {
            self.signal(name, "TERM").await;
        }
        while self.keepers.join_next().await.is_some() {}
        self.credentials
    }
}

/// Where the log of all its lives is.
pub fn log(cluster: &Cluster, name: &str) -> PathBuf {
    cluster.folder.join(format!("{name}.log"))
}

/// One life of a controller.
async fn run(name: &str, kubeconfig: &PathBuf, log: &PathBuf, pid: &AtomicU32) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("controller")
        .args(["--listen", "127.0.0.1:0", "--lease-namespace", CONTROLLER.0, "--identity", name])
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file.expect("the folder is ours"))
        .kill_on_drop(true)
        .spawn()
        .expect("the controller starts");
    let id = child.id().expect("it has just started");
    reaper::entrust(id);
    pid.store(id, Ordering::Relaxed);
    child.wait().await.expect("it was ours");
    pid.store(0, Ordering::Relaxed);
    reaper::forget(id);
}

/// What the audit log calls the token of a kubeconfig.
async fn credential(cluster: &Cluster, kubeconfig: &PathBuf) -> String {
    let user = crate::support::kubectl::User {
        kubeconfig: kubeconfig.clone(),
        namespace: cluster.admin.namespace.clone(),
    };
    let answer = user.kubectl("auth whoami -o json", "").await.expect("who it is");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let extra = &answer["status"]["userInfo"]["extra"];
    let id = extra["authentication.kubernetes.io/credential-id"][0].as_str();
    id.expect("a token has an id").to_owned()
}

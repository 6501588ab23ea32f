//! istiod and Envoy as processes, on fixed addresses: the network namespace is ours alone.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use crate::support::{package, reaper, wait::until};

/// The longest time that one of them may take to start on a busy machine.
const START: Duration = Duration::from_mins(1);

/// What an upstream Envoy, without Istio's own filters, needs of istiod; and no certificates, since
/// everything is on one machine.
const SETTINGS: [(&str, &str); 13] = [
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("XDS_AUTH", "false"),
    ("POD_NAME", "istiod-0"),
    ("POD_NAMESPACE", "istio-system"),
    ("PILOT_ENABLE_GATEWAY_API", "false"),
    ("ENABLE_DEBUG_ON_HTTP", "true"),
    ("ENABLE_DEBUG_ENDPOINT_AUTH", "false"),
    ("INJECTION_WEBHOOK_CONFIG_NAME", ""),
    ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
    ("ENABLE_LEADER_ELECTION", "false"),
];

/// A process that ends with this one, or when it is killed.
pub struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    fn start(name: &str, log: &Path, prepare: impl FnOnce(&mut Command)) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let log = log.expect("the folder is ours");
        let mut command = Command::new(package().join("target/mesh").join(name));
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .kill_on_drop(true);
        prepare(&mut command);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {name}: {error}; run tests/mesh/build.sh first")
        });
        let pid = child.id().expect("it has just started");
        reaper::entrust(pid);
        Self { child, pid }
    }

    /// Ends it without a warning.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be ended");
        reaper::forget(self.pid);
    }
}

/// Starts istiod and waits until it is ready.
pub async fn istiod(folder: &Path, kubeconfig: &Path) -> Process {
    let log = folder.join("istiod.log");
    let process = Process::start("istiod", &log, |command| {
        command
            .arg("discovery")
            .arg("--registries=Kubernetes")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--meshConfig")
            .arg(package().join("tests/mesh/config/mesh.yaml"))
            .args(["--clusterID", "Kubernetes", "--httpAddr", "127.0.0.1:15080"])
            .args(["--httpsAddr", "", "--secureGRPCAddr", "", "--grpcAddr", "127.0.0.1:15010"])
            .args(["--monitoringAddr", "127.0.0.1:15014"])
            .args(["--ctrlz_address", "127.0.0.1", "--ctrlz_port", "9876"])
            .envs(SETTINGS);
    });
    ready("istiod", "http://127.0.0.1:15080/ready", &log).await;
    process
}

/// A proxy of the mesh.
pub struct Proxy {
    /// What it is to Istio: `router` for a gateway, `sidecar` beside a workload.
    pub kind: &'static str,
    /// Its workload, and the label `app` of it.
    pub name: &'static str,
    /// Its namespace.
    pub namespace: &'static str,
    /// Its address.
    pub ip: &'static str,
    /// The port on which it tells of itself.
    pub admin: u16,
}

impl Proxy {
    /// Starts an Envoy and waits until it has its configuration.
    pub async fn start(&self, folder: &Path) -> Process {
        let template = include_str!("config/bootstrap.yaml");
        let bootstrap = template
            .replace("${TYPE}", self.kind)
            .replace("${IP}", self.ip)
            .replace("${NAMESPACE}", self.namespace)
            .replace("${NAME}", self.name)
            .replace("${ADMIN}", &self.admin.to_string());
        let file = folder.join(format!("{}.yaml", self.name));
        std::fs::write(&file, bootstrap).expect("the folder is ours");
        let log = folder.join(format!("{}.log", self.name));
        let process = Process::start("envoy", &log, |command| {
            command.arg("--config-path").arg(&file).args([
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "warning",
            ]);
        });
        ready(self.name, &format!("http://127.0.0.1:{}/ready", self.admin), &log).await;
        process
    }
}

/// Waits until a page answers with success.
async fn ready(what: &str, page: &str, log: &Path) {
    let up = until(what, START, async || {
        let answer = reqwest::get(page).await.ok()?;
        answer.status().is_success().then_some(())
    });
    up.await.unwrap_or_else(|error| panic!("{error}; see {}", log.display()));
}

//! The control plane of `tests/cluster`, with our CRDs, Istio's, and the controller's rights.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use kube::{Client, Config, config::KubeConfigOptions, config::Kubeconfig};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{kubectl::User, package, wait::until};

/// The longest time that the control plane may take to start on a busy machine.
const START: Duration = Duration::from_mins(2);

/// Namespace and name of the controller's service account.
pub const CONTROLLER: (&str, &str) = ("sluice-system", "sluice");

/// A running control plane. It ends with this process.
pub struct Cluster {
    /// Files of this run.
    pub folder: PathBuf,
    /// An administrator.
    pub admin: User,
    /// The controller's kubeconfig: a token of its service account.
    pub controller_kubeconfig: PathBuf,
    /// The API server's audit log.
    pub audit_log: PathBuf,
    /// An administrator's client, without rate limits.
    pub client: Client,
    /// Held for its standard input: the control plane ends when that closes.
    process: Child,
    answers: Option<Lines<BufReader<ChildStdout>>>,
}

/// What breaks and mends a control plane that was started with `-faults`.
pub struct Breaker {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Breaker {
    /// Carries out a command of `tests/cluster/parts.go`, such as `kill etcd`.
    pub async fn tell(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.expect("the control plane listens");
        let answer = timeout(START, self.answers.next_line()).await;
        let answer = answer.expect("an answer in time").expect("text").unwrap_or_default();
        assert_eq!(answer, format!("DONE {command}"));
    }
}

impl Cluster {
    /// Starts a control plane and installs what the controller needs.
    pub async fn start(folder: PathBuf) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// The same, with further flags for the control plane.
    pub async fn start_with(folder: PathBuf, flags: &[&str]) -> Self {
        let binary = package().join("target/cluster/testcluster");
        assert!(binary.exists(), "no control plane to test on: run tests/cluster/build.sh first");
        let kubeconfig = folder.join("admin.kubeconfig");
        let audit_log = folder.join("audit.log");
        let (process, answers) = launch(&binary, &folder, flags, &kubeconfig, &audit_log).await;
        let admin = User { kubeconfig: kubeconfig.clone(), namespace: String::new() };
        let controller_kubeconfig = folder.join("controller.kubeconfig");
        install(&admin).await;
        let token = token(&admin, CONTROLLER).await;
        write_kubeconfig(&kubeconfig, &token, &controller_kubeconfig);
        let client = client(&kubeconfig).await;
        let answers = Some(answers);
        Self { folder, admin, controller_kubeconfig, audit_log, client, process, answers }
    }

    /// What breaks it, once; the control plane ends when it is dropped.
    pub fn breaker(&mut self) -> Breaker {
        let commands = self.process.stdin.take().expect("nobody else took it");
        Breaker { commands, answers: self.answers.take().expect("nobody else took them") }
    }

    /// A kubeconfig with another token of the controller's account, so that the audit log tells
    /// this controller from others.
    pub async fn another_kubeconfig(&self, name: &str) -> PathBuf {
        let kubeconfig = self.folder.join(format!("{name}.kubeconfig"));
        let token = token(&self.admin, CONTROLLER).await;
        write_kubeconfig(&self.admin.kubeconfig, &token, &kubeconfig);
        kubeconfig
    }

    /// Stops the control plane and waits for its end.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        let ended = timeout(Duration::from_secs(30), self.process.wait()).await;
        assert!(ended.is_ok(), "the control plane did not end");
    }

    /// Its process id: all parts of the control plane are one process.
    pub fn pid(&self) -> u32 {
        self.process.id().expect("the control plane runs")
    }

    /// Applies our CRDs, as they are shipped.
    pub async fn install_crds(&self) {
        install_crds(&self.admin).await;
    }

    /// An administrator in a namespace.
    pub fn user(&self, namespace: &str) -> User {
        User { kubeconfig: self.admin.kubeconfig.clone(), namespace: namespace.to_owned() }
    }

    /// A service account of a namespace, which has the rights that it is given there.
    pub async fn account(&self, namespace: &str, name: &str) -> User {
        let line = format!("create serviceaccount {name} -n {namespace}");
        self.admin.kubectl(&line, "").await.expect("a new account");
        let token = token(&self.admin, (namespace, name)).await;
        let kubeconfig = self.folder.join(format!("{namespace}-{name}.kubeconfig"));
        write_kubeconfig(&self.admin.kubeconfig, &token, &kubeconfig);
        User { kubeconfig, namespace: namespace.to_owned() }
    }

    /// The name of the controller's user in the audit log.
    pub fn controller_user() -> String {
        let (namespace, name) = CONTROLLER;
        format!("system:serviceaccount:{namespace}:{name}")
    }
}

async fn launch(
    binary: &Path,
    folder: &Path,
    flags: &[&str],
    kubeconfig: &Path,
    audit_log: &Path,
) -> (Child, Lines<BufReader<ChildStdout>>) {
    let log = std::fs::File::create(folder.join("testcluster.log")).expect("the folder is ours");
    let mut process = Command::new(binary)
        .arg("-until-stdin-closes")
        .arg("-kubeconfig")
        .arg(kubeconfig)
        .arg("-audit-log")
        .arg(audit_log)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the control plane starts");
    let mut lines = BufReader::new(process.stdout.take().expect("stdout is a pipe")).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("lines are text") {
            if line.starts_with("READY") {
                return;
            }
        }
        panic!("the control plane ended at its start: see {}", folder.display());
    };
    timeout(START, ready).await.expect("the control plane is ready in time");
    (process, lines)
}

/// Our CRDs, as they are shipped.
async fn install_crds(admin: &User) {
    let line = format!("apply -f {}", package().join("crds").display());
    admin.kubectl(&line, "").await.expect("our CRDs can be applied");
}

/// CRDs, the controller's namespace, account and rights.
async fn install(admin: &User) {
    let package = package();
    let istio = package.join("target/cluster/istio-crds.yaml");
    install_crds(admin).await;
    admin
        .kubectl(&format!("apply --server-side -f {}", istio.display()), "")
        .await
        .expect("Istio's CRDs can be applied");
    admin
        .kubectl("wait crd --all --for=condition=Established --timeout=60s", "")
        .await
        .expect("the CRDs are served");
    let (namespace, name) = CONTROLLER;
    admin.kubectl(&format!("create namespace {namespace}"), "").await.expect("a namespace");
    for folder in ["config/rbac", "config/policy"] {
        let line = format!("apply -f {}", package.join(folder).display());
        admin.kubectl(&line, "").await.expect("the shipped rights");
    }
    let account = format!("get serviceaccount {name} -n {namespace}");
    admin.kubectl(&account, "").await.expect("the controller's account is among the rights");
}

async fn token(admin: &User, (namespace, name): (&str, &str)) -> String {
    let line = format!("create token {name} -n {namespace} --duration=8h");
    let token = until("a token", Duration::from_secs(30), async || {
        let answer = admin.kubectl(&line, "").await;
        (answer.code == 0).then(|| answer.stdout.trim().to_owned())
    });
    token.await.unwrap()
}

/// The administrator's kubeconfig with another token in it.
fn write_kubeconfig(admin: &Path, token: &str, to: &Path) {
    let mut kubeconfig = Kubeconfig::read_from(admin).expect("the kubeconfig can be read");
    for user in &mut kubeconfig.auth_infos {
        let info = user.auth_info.get_or_insert_default();
        info.token = None;
        info.token_file = Some(to.with_extension("token").display().to_string());
    }
    std::fs::write(to.with_extension("token"), token).expect("the folder is ours");
    let text = serde_json::to_string(&kubeconfig).expect("a kubeconfig is JSON");
    std::fs::write(to, text).expect("the folder is ours");
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig can be read");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.expect("the kubeconfig is sound");
    // A 429 is an answer, such as that to an eviction which a budget forbids.
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

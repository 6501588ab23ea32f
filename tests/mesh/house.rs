//! What all tests share: the control plane whose pods are processes, istiod, the two proxies that
//! users come through, and Prometheus.

use std::{
    net::TcpListener,
    sync::{Arc, LazyLock},
};

use tokio::{
    runtime::Runtime,
    sync::{Mutex, OnceCell, RwLock},
};

use crate::{
    proxy::{self, Process, Proxy},
    support::{cluster::Cluster, folder, package, prometheus::Prometheus},
};

/// The gateway that users from outside come through.
pub const GATEWAY: Proxy = Proxy {
    kind: "router",
    name: "gateway",
    namespace: "istio-system",
    ip: "127.0.0.10",
    admin: 15000,
};

/// The sidecar of a client within the mesh.
pub const SIDECAR: Proxy =
    Proxy { kind: "sidecar", name: "client", namespace: "client", ip: "127.0.0.11", admin: 15001 };

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
static HOUSE: OnceCell<House> = OnceCell::const_new();

/// What all tests share.
pub struct House {
    /// The control plane.
    pub cluster: Cluster,
    /// Scrapes the proxies.
    pub prometheus: Prometheus,
    /// Who disturbs all tests (by stopping istiod, say) waits until it is alone.
    pub peace: Arc<RwLock<()>>,
    istiod: Mutex<Option<Process>>,
    _proxies: [Process; 2],
}

impl House {
    async fn open() -> Self {
        assert!(
            TcpListener::bind("10.244.0.1:0").is_ok(),
            "addresses of pods cannot be served here: run tests/mesh/run.sh, which makes a network \
             namespace"
        );
        let folder = folder("mesh");
        let app = package().join("target/mesh/app");
        let app = app.to_str().expect("a path in UTF-8");
        let cluster = Cluster::start_with(folder.clone(), &["-pods", app]).await;
        let config = "tests/mesh/config";
        let given = [format!("{config}/proxies.yaml"), format!("{config}/metrics.yaml")];
        for file in given.iter().map(String::as_str).chain(["analysis-templates"]) {
            let line = format!("apply -f {}", package().join(file).display());
            cluster.admin.kubectl(&line, "").await.expect("what the tests need can be applied");
        }
        // Before the proxies: one that finds no istiod waits seconds before it tries again.
        let istiod = proxy::istiod(&folder, &cluster.admin.kubeconfig).await;
        let proxies = [GATEWAY.start(&folder).await, SIDECAR.start(&folder).await];
        let config = include_str!("config/prometheus.yaml");
        let prometheus = Prometheus::scraping(&folder, config).await;
        let istiod = Mutex::new(Some(istiod));
        Self { cluster, prometheus, peace: Arc::default(), istiod, _proxies: proxies }
    }

    /// Ends istiod without a warning: nothing reaches the proxies until it is started again.
    pub async fn kill_istiod(&self) {
        if let Some(process) = self.istiod.lock().await.take() {
            process.kill().await;
        }
    }

    /// Starts istiod again and waits until it is ready.
    pub async fn start_istiod(&self) {
        let folder = &self.cluster.folder;
        let process = proxy::istiod(folder, &self.cluster.admin.kubeconfig).await;
        *self.istiod.lock().await = Some(process);
    }
}

/// The house, opened by the first test that needs it.
pub async fn house() -> &'static House {
    HOUSE.get_or_init(House::open).await
}

/// Runs what must not end before the runtime that all tests share.
pub fn on_runtime<T>(body: impl Future<Output = T>) -> T {
    RUNTIME.block_on(body)
}

//! A real Prometheus that scrapes an exporter in this process, whose counters the tests let grow.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, process::Command};

use super::{package, reaper, wait::until};

/// The longest time that Prometheus may take to start, or to show a number that was set.
const PATIENCE: Duration = Duration::from_mins(1);

/// Counters by series.
type Counters = Arc<Mutex<BTreeMap<String, Counter>>>;

/// A counter that grows evenly.
#[derive(Clone, Copy)]
struct Counter {
    start: f64,
    since: Instant,
    per_second: f64,
}

impl Counter {
    fn value(&self) -> f64 {
        self.start + self.per_second * self.since.elapsed().as_secs_f64()
    }
}

/// A running Prometheus and its exporter. Both end with this process.
pub struct Prometheus {
    /// Its address, as an AnalysisTemplate names it.
    pub url: String,
    counters: Counters,
}

impl Prometheus {
    /// Starts both, with a scrape each second.
    pub async fn start(folder: &Path) -> Self {
        let counters = Counters::default();
        let exporter = export(counters.clone()).await;
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: tests\n  \
             honor_labels: true\n  static_configs: [{{targets: ['{exporter}']}}]\n"
        );
        Self { counters, ..Self::scraping(folder, &config).await }
    }

    /// Starts one that scrapes what this configuration says.
    pub async fn scraping(folder: &Path, config: &str) -> Self {
        let prometheus = Self { url: launch(folder, config).await, counters: Counters::default() };
        let up =
            until("Prometheus", PATIENCE, async || prometheus.query("up").await.first().copied());
        up.await.unwrap_or_else(|error| panic!("{error}; see {}/prometheus.log", folder.display()));
        prometheus
    }

    /// Starts one that scrapes nothing and holds these samples, in the OpenMetrics format.
    pub async fn over(folder: &Path, samples: &str) -> Self {
        tools().await;
        let input = folder.join("samples.txt");
        std::fs::write(&input, samples).expect("the folder is ours");
        let filled = Command::new(package().join("target/prometheus/promtool"))
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg(&input)
            .arg(folder.join("prometheus"))
            .stdin(Stdio::null())
            .output()
            .await
            .expect("promtool runs");
        assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
        let url = launch(folder, "scrape_configs: []\n").await;
        let prometheus = Self { url, counters: Counters::default() };
        let ready = until("Prometheus", PATIENCE, async || {
            prometheus.answer("query", &[("query", "1")]).await
        });
        ready.await.unwrap_or_else(|error| panic!("{error}"));
        prometheus
    }

    /// The whole answer to a request to its HTTP API, once it answers at all.
    pub async fn answer(&self, kind: &str, fields: &[(&str, &str)]) -> Option<serde_json::Value> {
        let url = format!("{}/api/v1/{kind}", self.url);
        reqwest::Client::new().post(url).form(fields).send().await.ok()?.json().await.ok()
    }

    /// Lets a counter, such as `requests_total{code="200"}`, grow by so much a second from now on,
    /// and waits until Prometheus sees it grow, or for 0 until it sees it stand still.
    pub async fn flow(&self, series: &str, per_second: f64) {
        self.grow(series, per_second);
        let query = format!("rate({series}[4s])");
        let shown = until(&query, PATIENCE, async || {
            let rates = self.query(&query).await;
            rates.iter().any(|rate| (*rate > 0.0) == (per_second > 0.0)).then_some(())
        });
        shown.await.unwrap();
    }

    /// Waits until a query yields anything.
    pub async fn until(&self, query: &str) {
        let shown = until(query, PATIENCE, async || {
            let values = self.query(query).await;
            (!values.is_empty()).then_some(())
        });
        shown.await.unwrap();
    }

    fn grow(&self, series: &str, per_second: f64) {
        let mut counters = self.counters();
        // A counter never falls: it goes on from what it has reached.
        let start = counters.get(series).map_or(0.0, Counter::value);
        let counter = Counter { start, since: Instant::now(), per_second };
        counters.insert(series.to_owned(), counter);
    }

    /// The values that a query yields now.
    pub async fn query(&self, query: &str) -> Vec<f64> {
        let body = self.answer("query", &[("query", query)]).await.unwrap_or_default();
        let series = body["data"]["result"].as_array().cloned().unwrap_or_default();
        let values = series.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok());
        values.collect()
    }

    fn counters(&self) -> MutexGuard<'_, BTreeMap<String, Counter>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sure of the programs.
async fn tools() {
    let script = package().join("hack/prometheus.sh");
    let made = Command::new(&script).status().await;
    assert!(made.is_ok_and(|status| status.success()), "{} failed", script.display());
}

/// Starts Prometheus. Returns its address.
async fn launch(folder: &Path, config: &str) -> String {
    tools().await;
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).expect("the folder is ours");
    let port = free_port().await;
    let log = std::fs::File::create(folder.join("prometheus.log")).expect("the folder is ours");
    let child = Command::new(package().join("target/prometheus/prometheus"))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
        // Simulations are at a fixed time, which may be long ago.
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Prometheus starts");
    reaper::entrust(child.id().expect("Prometheus has just started"));
    format!("http://127.0.0.1:{port}")
}

/// Serves the counters. Returns the address, as `host:port`.
async fn export(counters: Counters) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let show = move || {
        let counters = counters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines =
            counters.iter().map(|(series, counter)| format!("{series} {}\n", counter.value()));
        std::future::ready(lines.collect::<String>())
    };
    let router = axum::Router::new().route("/metrics", axum::routing::get(show));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A port that was free a moment ago: Prometheus takes no socket and does not tell which it chose.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}
